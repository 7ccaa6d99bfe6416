/**
 * One at a time, in the order of asking. Models write into input tensors that they share, so a frame and a picture must
 * not be worked on in one another's pauses; and with turns, cameras and pictures get their share alternately.
 */
export class Turns {
  #last: Promise<unknown> = Promise.resolve();

  /** Runs `work` when all that was asked for before is done. Rejects with what it rejects with; the next is not held up. */
  take<Result>(work: () => Promise<Result>): Promise<Result> {
    const turn = this.#last.then(work);
    this.#last = turn.catch(() => undefined);
    return turn;
  }
}
