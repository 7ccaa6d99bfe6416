/** The same numbers for the same seed: mulberry32. */
export class Random {
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  /** From `low` to `high`. */
  between(low = 0, high = 1): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let value = this.#state;
    value = Math.imul(value ^ (value >>> 15), value | 1);
    value ^= value + Math.imul(value ^ (value >>> 7), value | 61);
    return low + (((value ^ (value >>> 14)) >>> 0) / 2 ** 32) * (high - low);
  }

  chance(share: number): boolean {
    return this.between() < share;
  }

  whole(below: number): number {
    return Math.floor(this.between(0, below));
  }

  pick<T>(list: readonly T[]): T {
    const one = list[this.whole(list.length)];
    if (one === undefined) throw new RangeError('nothing to pick from');
    return one;
  }

  /** A smooth path around 0 (mean square about 0.5, hardly above 1.5): three sines between these frequencies, hertz. */
  wander(low: number, high: number): (seconds: number) => number {
    const waves = [0.7, 0.55, 0.45].map((height) => ({
      height,
      turn: 2 * Math.PI * this.between(low, high),
      phase: this.between(0, 2 * Math.PI),
    }));
    return (seconds) =>
      waves.reduce((sum, { height, turn, phase }) => sum + height * Math.sin(turn * seconds + phase), 0);
  }
}
