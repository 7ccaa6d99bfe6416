/** Pictures of this size are what motion is looked for in: one pixel is 8 of a 640x480 frame, a far face still some 20. */
export const THUMBNAIL_WIDTH = 80;
export const THUMBNAIL_HEIGHT = 60;

export interface MotionGateOptions {
  /** Share of the watched pixels that has to change. 0: always open. */
  readonly threshold: number;
  /** While closed, look anyway this often, milliseconds. */
  readonly lookEveryMs: number;
  /** How long the gate stays open after the last motion, milliseconds. */
  readonly holdMs: number;
  /** 1 for each thumbnail pixel that counts. */
  readonly watched: Uint8Array;
}

/** How fast the background follows, as time constants in milliseconds: where nothing changes, and where something stands. */
const FOLLOW_STILL_MS = 2000;
const FOLLOW_CHANGED_MS = 15_000;
/** A pixel has changed when it differs by this many standard deviations of its own noise, and by at least so many grey levels. */
const DEVIATIONS = 4;
const LEAST_DIFFERENCE = 8;
const FIRST_DEVIATION = 6;
/** A changed pixel counts when at least this many of its eight neighbours changed as well: noise is lonely, people are not. */
const NEIGHBOURS = 3;

/**
 * Says whether there is anything to look at. Each pixel of a small grey picture keeps a running mean and variance (one
 * Gaussian a pixel: C. Wren et al., "Pfinder", PAMI 1997); what leaves them has changed. The frame's common change of
 * brightness (a camera's own exposure control, a cloud) is taken out first.
 */
export class MotionGate {
  readonly #options: MotionGateOptions;
  readonly #mean: Float32Array;
  readonly #variance: Float32Array;
  readonly #changed: Uint8Array;
  readonly #watchedCount: number;
  #lastMs: number | undefined;
  #openUntilMs = Number.NEGATIVE_INFINITY;
  #lookedAtMs = Number.NEGATIVE_INFINITY;

  constructor(options: MotionGateOptions) {
    this.#options = options;
    const pixels = THUMBNAIL_WIDTH * THUMBNAIL_HEIGHT;
    this.#mean = new Float32Array(pixels);
    this.#variance = new Float32Array(pixels).fill(FIRST_DEVIATION ** 2);
    this.#changed = new Uint8Array(pixels);
    this.#watchedCount = options.watched.reduce((sum, one) => sum + one, 0);
  }

  /**
   * True when the frame is to be looked at.
   * @param thumbnail grey, {@link THUMBNAIL_WIDTH} by {@link THUMBNAIL_HEIGHT}
   * @param nowMs the frame's time; never goes back
   * @param busy somebody is being followed: the gate is open whatever moves
   */
  look(thumbnail: Uint8Array, nowMs: number, busy: boolean): boolean {
    if (this.#options.threshold === 0) return true;
    const moved = this.#lastMs === undefined ? this.#begin(thumbnail) : this.#compare(thumbnail, nowMs);
    this.#lastMs = nowMs;
    if (moved) this.#openUntilMs = nowMs + this.#options.holdMs;
    const open = busy || nowMs < this.#openUntilMs || nowMs - this.#lookedAtMs >= this.#options.lookEveryMs;
    if (open) this.#lookedAtMs = nowMs;
    return open;
  }

  #begin(thumbnail: Uint8Array): boolean {
    this.#mean.set(thumbnail);
    return true;
  }

  #compare(thumbnail: Uint8Array, nowMs: number): boolean {
    const elapsed = Math.max(0, nowMs - (this.#lastMs ?? nowMs));
    const still = 1 - Math.exp(-elapsed / FOLLOW_STILL_MS);
    const standing = 1 - Math.exp(-elapsed / FOLLOW_CHANGED_MS);
    const shift = this.#commonShift(thumbnail);
    const { watched } = this.#options;
    for (let at = 0; at < this.#mean.length; at++) {
      const mean = this.#mean[at] ?? 0;
      const variance = this.#variance[at] ?? 0;
      const difference = (thumbnail[at] ?? 0) - mean;
      const own = difference - shift;
      const changed = own * own > Math.max(LEAST_DIFFERENCE ** 2, DEVIATIONS ** 2 * variance);
      this.#changed[at] = changed && watched[at] === 1 ? 1 : 0;
      this.#mean[at] = mean + (changed ? standing : still) * difference;
      if (!changed) this.#variance[at] = variance + still * (own * own - variance);
    }
    return this.#countClustered() >= Math.max(1, this.#options.threshold * this.#watchedCount);
  }

  /** The middle of all differences, from a histogram: a person in half of the view does not move it far. */
  #commonShift(thumbnail: Uint8Array): number {
    const histogram = new Uint16Array(511);
    for (let at = 0; at < this.#mean.length; at++) {
      const bin = Math.round((thumbnail[at] ?? 0) - (this.#mean[at] ?? 0)) + 255;
      histogram[bin] = (histogram[bin] ?? 0) + 1;
    }
    let below = 0;
    for (let bin = 0; bin < histogram.length; bin++) {
      below += histogram[bin] ?? 0;
      if (below * 2 >= this.#mean.length) return bin - 255;
    }
    return 0;
  }

  #countClustered(): number {
    const changed = this.#changed;
    const width = THUMBNAIL_WIDTH;
    let count = 0;
    for (let row = 1; row < THUMBNAIL_HEIGHT - 1; row++) {
      for (let at = row * width + 1; at < (row + 1) * width - 1; at++) {
        if (changed[at] !== 1) continue;
        const above =
          (changed[at - width - 1] ?? 0) + (changed[at - width] ?? 0) + (changed[at - width + 1] ?? 0);
        const below =
          (changed[at + width - 1] ?? 0) + (changed[at + width] ?? 0) + (changed[at + width + 1] ?? 0);
        const beside = (changed[at - 1] ?? 0) + (changed[at + 1] ?? 0);
        if (above + below + beside >= NEIGHBOURS) count++;
      }
    }
    return count;
  }
}
