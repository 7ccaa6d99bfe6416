import type { StageTimes } from './ports.js';

/** What the parts of the loop cost since somebody last asked. One for each vision worker. */
export class StageClock {
  #totals = new Map<string, { totalMs: number; count: number; maxMs: number }>();
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
    if (entry === undefined) this.#totals.set(stage, { totalMs: ms, count: 1, maxMs: ms });
    else {
      entry.totalMs += ms;
      entry.count++;
      entry.maxMs = Math.max(entry.maxMs, ms);
    }
    return now;
  }

  /** The figures since the last call, which begin anew. */
  take(): StageTimes {
    const times = Object.fromEntries(this.#totals);
    this.#totals = new Map();
    return times;
  }
}
