import type { HealthReport } from './schemas.js';

/** Changes are published at once, but not more often than this. */
const MIN_GAP_MS = 1_000;

/**
 * Decides when a health report is worth a publication: when something changed that people care about, else
 * at most once in `everyMs`. Counters alone are no change.
 */
export class HealthThrottle {
  readonly #everyMs: number;
  readonly #monotonic: () => number;
  #last: { readonly key: string; readonly at: number } | undefined;

  constructor(everyMs: number, monotonic: () => number) {
    this.#everyMs = everyMs;
    this.#monotonic = monotonic;
  }

  /** True when this report shall be published now; it then counts as published. */
  due(report: HealthReport): boolean {
    const now = this.#monotonic();
    const key = JSON.stringify([
      report.state,
      report.problems,
      report.cameras.map(({ camera, state, problem }) => [camera, state, problem]),
      report.outbox.dropped,
    ]);
    const gap = this.#last?.key === key ? this.#everyMs : MIN_GAP_MS;
    if (this.#last !== undefined && now - this.#last.at < gap) return false;
    this.#last = { key, at: now };
    return true;
  }
}
