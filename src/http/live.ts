import type { Logger } from '../lib/log.js';
import type { Looked } from '../pipeline/event.js';
import type { Vision, VisionEvents } from '../pipeline/ports.js';

export type Viewed = VisionEvents['viewed'];

export interface LiveParts {
  readonly vision: Pick<Vision, 'on' | 'watch' | 'label'>;
  /** Each look that was judged. */
  readonly looks: { on(listener: (look: Looked) => void): () => void };
  readonly log: Logger;
}

/** Pictures a second for people: enough for a face that moves, little for the machine. */
const FPS = 10;
const LEASE_MS = 6000;
const RENEW_MS = 2000;
/** Tracks whose looks are remembered, and the looks of one. */
const MOST_TRACKS = 256;
const MOST_LOOKS = 16;

/**
 * The cameras' pictures for people who watch. A camera encodes while somebody watches, once for all; a picture that a
 * slow watcher has no room for is left out for them.
 */
export class LiveHub {
  readonly #parts: LiveParts;
  readonly #watchers = new Map<string, Set<(view: Viewed) => void>>();
  readonly #looks = new Map<string, readonly Looked[]>();
  readonly #unsubscribe: (() => void)[];
  #timer: NodeJS.Timeout | undefined;

  constructor(parts: LiveParts) {
    this.#parts = parts;
    this.#unsubscribe = [
      parts.vision.on('viewed', (view) => {
        for (const listener of this.#watchers.get(view.camera) ?? []) listener(view);
      }),
      parts.looks.on((look) => this.#looked(look)),
    ];
  }

  /** Rejects with `source.invalid` when there is no such camera. Answers how to end it. */
  async watch(camera: string, listener: (view: Viewed) => void): Promise<() => void> {
    await this.#parts.vision.watch({ camera, forMs: LEASE_MS, fps: FPS });
    const watchers = this.#watchers.get(camera) ?? new Set();
    this.#watchers.set(camera, watchers);
    watchers.add(listener);
    this.#timer ??= setInterval(() => this.#renew(), RENEW_MS);
    return () => {
      watchers.delete(listener);
      if (watchers.size === 0) this.#watchers.delete(camera);
      if (this.#watchers.size > 0) return;
      clearInterval(this.#timer);
      this.#timer = undefined;
    };
  }

  /** What was last found out about a track; null when nothing was yet. */
  lookAt(track: string): Looked | null {
    return this.#looks.get(track)?.at(-1) ?? null;
  }

  /** The last looks at a track, oldest first; none when it is long ago. */
  looksAt(track: string): readonly Looked[] {
    return this.#looks.get(track) ?? [];
  }

  stop(): void {
    clearInterval(this.#timer);
    for (const unsubscribe of this.#unsubscribe) unsubscribe();
  }

  /** Also after the vision worker was started again, which knows of no watcher. */
  #renew(): void {
    for (const camera of this.#watchers.keys())
      this.#parts.vision.watch({ camera, forMs: LEASE_MS, fps: FPS }).catch((error: unknown) => {
        this.#parts.log.debug({ error: String(error) }, 'the live view waits for the vision worker');
      });
  }

  #looked(look: Looked): void {
    const before = this.#looks.get(look.track) ?? [];
    this.#looks.delete(look.track);
    this.#looks.set(look.track, [...before, look].slice(-MOST_LOOKS));
    const [oldest] = this.#looks.keys();
    if (this.#looks.size > MOST_TRACKS && oldest !== undefined) this.#looks.delete(oldest);
    const { track, decision, person, similarity } = look;
    if (decision === 'poor') return;
    const tone = decision === 'known' || decision === 'spoof' ? decision : 'unknown';
    const score = similarity === null ? '' : ` ${similarity.toFixed(2)}`;
    this.#parts.vision.label({ track, text: `${person?.name ?? decision}${score}`, tone });
  }
}
