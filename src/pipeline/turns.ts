/** Under want of time pictures get this share of it; the rest belongs to the cameras. */
const PICTURES_SHARE = 0.1;
/** How much of that share may be saved up, or taken beforehand, milliseconds. */
const MOST_CREDIT_MS = 500;

/**
 * One at a time. Models write into input tensors that they share, so a frame and a picture must not be worked on in one
 * another's pauses. A frame goes before pictures, which give way between their stages; where cameras would take all the
 * time, pictures still get a tenth of it.
 */
export class Turns {
  readonly #now: () => number;
  readonly #frames: (() => void)[] = [];
  readonly #pictures: (() => void)[] = [];
  #busy = false;
  #creditMs = 0;

  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
  }

  /** For a frame, or what else cannot wait. In the order of asking. Rejects with what `work` rejects with; the next is not held up. */
  async take<Result>(work: () => Promise<Result>): Promise<Result> {
    await this.#enter(this.#frames);
    const startedAt = this.#now();
    try {
      return await work();
    } finally {
      this.#creditMs = Math.min(MOST_CREDIT_MS, this.#creditMs + PICTURES_SHARE * (this.#now() - startedAt));
      this.#leave();
    }
  }

  /** For a picture: `giveWay`, to be called between stages, lets frames through that have come meanwhile. */
  async takeBehind<Result>(work: (giveWay: () => Promise<void>) => Promise<Result>): Promise<Result> {
    await this.#enter(this.#pictures);
    let startedAt = this.#now();
    const leave = (): void => {
      // Time that no frame wanted is free.
      if (this.#frames.length > 0)
        this.#creditMs = Math.max(-MOST_CREDIT_MS, this.#creditMs - (this.#now() - startedAt));
      this.#leave();
    };
    const giveWay = async (): Promise<void> => {
      // Frames and messages come in between two turns of the loop.
      await new Promise((resolve) => setImmediate(resolve));
      if (this.#frames.length === 0) return;
      leave();
      // Before pictures that have not begun.
      await this.#enter(this.#pictures, true);
      startedAt = this.#now();
    };
    try {
      return await work(giveWay);
    } finally {
      leave();
    }
  }

  #enter(queue: (() => void)[], first = false): Promise<void> {
    if (!this.#busy) {
      this.#busy = true;
      return Promise.resolve();
    }
    return new Promise((resolve) => {
      if (first) queue.unshift(resolve);
      else queue.push(resolve);
    });
  }

  /** Hands the turn over; nobody can take it in between. */
  #leave(): void {
    const picturesTurn = this.#pictures.length > 0 && this.#creditMs > 0;
    const next =
      (picturesTurn ? undefined : this.#frames.shift()) ?? this.#pictures.shift() ?? this.#frames.shift();
    if (next === undefined) this.#busy = false;
    else next();
  }
}
