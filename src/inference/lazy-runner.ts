import { Serial } from '../lib/serial.js';
import type { ModelRunner } from './session.js';

export interface LazyOptions {
  /** Loads the model. `input` is what callers write to: a runner that can takes it as its own, and nothing is copied. */
  readonly open: (input: Float32Array | Uint8Array | null) => Promise<ModelRunner>;
  /** Pictures that may share a run, whatever form is loaded later. */
  readonly maxBatch?: number;
  readonly now?: () => number;
}

/**
 * A model that may be let go at any time and is loaded again by the next run. What callers hold (input, batch, stride)
 * stays the same through all that; a form that takes fewer pictures at a time is run as often as it needs.
 */
export class LazyRunner implements ModelRunner {
  readonly maxBatch: number;
  readonly stride: number;
  readonly input: Float32Array;
  declare readonly bytes?: Uint8Array;
  readonly #options: LazyOptions;
  readonly #now: () => number;
  #inner: ModelRunner | null;
  #usedAt: number;
  #waiting = 0;
  /** Runs, loads and releases follow each other. */
  readonly #turns = new Serial();

  private constructor(first: ModelRunner, options: LazyOptions) {
    this.#options = options;
    this.#now = options.now ?? (() => performance.now());
    this.#inner = first;
    this.#usedAt = this.#now();
    this.stride = first.stride;
    this.maxBatch = options.maxBatch ?? first.maxBatch;
    const fits = this.maxBatch === first.maxBatch;
    this.input =
      fits || first.bytes !== undefined ? first.input : new Float32Array(this.stride * this.maxBatch);
    if (first.bytes !== undefined)
      this.bytes = fits ? first.bytes : new Uint8Array(this.stride * this.maxBatch);
  }

  /** Loads it at once: what cannot be loaded is known from the beginning, and the first face waits for nothing. */
  static async open(options: LazyOptions): Promise<LazyRunner> {
    return new LazyRunner(await options.open(null), options);
  }

  get loaded(): boolean {
    return this.#inner !== null;
  }

  run(count: number): Promise<ReadonlyMap<string, Float32Array>> {
    return this.#inTurn(() => this.#run(count));
  }

  /** Loads it now, if it is not; so that nobody has to wait for it later. */
  load(): Promise<void> {
    return this.#inTurn(async () => {
      await this.#open();
    });
  }

  /** After the runs that were asked for. The next run loads it again. */
  async release(): Promise<void> {
    await this.#inTurn(() => this.#letGo());
  }

  /** Lets it go when nobody has wanted it for so long. Answers whether it did. */
  async releaseIdle(idleMs: number): Promise<boolean> {
    const inner = this.#inner;
    if (inner === null || inner.holdsNothing === true) return false;
    if (this.#waiting > 0 || this.#now() - this.#usedAt < idleMs) return false;
    await this.release();
    return true;
  }

  async #inTurn<Result>(work: () => Promise<Result>): Promise<Result> {
    this.#waiting++;
    try {
      return await this.#turns.run(work);
    } finally {
      this.#waiting--;
    }
  }

  async #run(count: number): Promise<ReadonlyMap<string, Float32Array>> {
    if (count < 1 || count > this.maxBatch)
      throw new RangeError(`1 to ${this.maxBatch} pictures (is ${count})`);
    const inner = await this.#open();
    try {
      const own = this.bytes === undefined ? inner.input === this.input : inner.bytes === this.bytes;
      return own ? await inner.run(count) : await this.#inParts(inner, count);
    } finally {
      this.#usedAt = this.#now();
    }
  }

  async #inParts(inner: ModelRunner, count: number): Promise<ReadonlyMap<string, Float32Array>> {
    const answers = new Map<string, Float32Array>();
    for (let first = 0; first < count; first += inner.maxBatch) {
      const size = Math.min(inner.maxBatch, count - first);
      const [from, to] = [first * this.stride, (first + size) * this.stride];
      if (this.bytes === undefined) inner.input.set(this.input.subarray(from, to));
      else inner.bytes?.set(this.bytes.subarray(from, to));
      for (const [name, values] of await inner.run(size)) {
        const each = values.length / size;
        const whole = answers.get(name) ?? new Float32Array(each * count);
        whole.set(values, first * each);
        answers.set(name, whole);
      }
    }
    return answers;
  }

  async #open(): Promise<ModelRunner> {
    if (this.#inner === null) {
      this.#inner = await this.#options.open(this.bytes ?? this.input);
      this.#usedAt = this.#now();
    }
    return this.#inner;
  }

  async #letGo(): Promise<void> {
    const inner = this.#inner;
    this.#inner = null;
    await inner?.release();
  }
}
