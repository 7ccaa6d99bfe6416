import type { StageTimes } from './ports.js';

/**
 * Upper bounds of the buckets into which times are counted, milliseconds; beyond the last is one more. Fine where a
 * board's figures lie.
 */
export const STAGE_BOUNDS_MS = [0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000] as const;

/** What the parts of the loop cost since somebody last asked. One for each vision worker. */
export class StageClock {
  #totals = new Map<string, { totalMs: number; count: number; maxMs: number; buckets: number[] }>();
  readonly #now: () => number;

  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
  }

  now(): number {
    return this.#now();
  }

  /** Adds what has passed since `startedAt` and answers the time now, where the next stage may begin. */
  lap(stage: string, startedAt: number): number {
    const now = this.#now();
    const ms = now - startedAt;
    const entry = this.#totals.get(stage);
    const bound = STAGE_BOUNDS_MS.findIndex((one) => ms <= one);
    const bucket = bound === -1 ? STAGE_BOUNDS_MS.length : bound;
    if (entry === undefined) {
      const buckets = Array<number>(STAGE_BOUNDS_MS.length + 1).fill(0);
      buckets[bucket] = 1;
      this.#totals.set(stage, { totalMs: ms, count: 1, maxMs: ms, buckets });
      return now;
    }
    entry.totalMs += ms;
    entry.count++;
    entry.maxMs = Math.max(entry.maxMs, ms);
    entry.buckets[bucket] = (entry.buckets[bucket] ?? 0) + 1;
    return now;
  }

  /** The figures since the last call, which begin anew. */
  take(): StageTimes {
    const times = Object.fromEntries(this.#totals);
    this.#totals = new Map();
    return times;
  }
}
