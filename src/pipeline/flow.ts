/**
 * Looks that may wait to be judged before a source that can wait does so. One picture more may show a hundred faces, and
 * all of them still fit into the queue of those who judge.
 */
const MOST_AHEAD = 8;

/**
 * How far what was seen is ahead of what was judged. A live camera never waits: it drops frames. A folder or a clip is
 * read as fast as its faces are judged, so that none of them is lost.
 */
export class Flow {
  #ahead = 0;
  readonly #waiting = new Set<() => void>();

  /** A look was sent to be judged. */
  sent(): void {
    this.#ahead++;
  }

  /** So many looks were judged, or given up. */
  judged(looks: number): void {
    // Looks of a worker that ended may be judged only now.
    this.#ahead = Math.max(0, this.#ahead - looks);
    if (this.#ahead >= MOST_AHEAD) return;
    for (const resolve of [...this.#waiting]) resolve();
  }

  /** Resolves when the next frame may be read, or `signal` aborts. */
  async room(signal: AbortSignal): Promise<void> {
    while (this.#ahead >= MOST_AHEAD && !signal.aborted) {
      await new Promise<void>((resolve) => {
        const done = (): void => {
          this.#waiting.delete(done);
          signal.removeEventListener('abort', done);
          resolve();
        };
        this.#waiting.add(done);
        signal.addEventListener('abort', done);
      });
    }
  }
}
