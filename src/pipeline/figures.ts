import type { Health } from './health.js';
import type { StageTimes } from './ports.js';

/** What one stage cost since the daemon began. */
export interface StageFigures {
  readonly count: number;
  readonly meanMs: number;
  readonly maxMs: number;
}

/** What a running daemon can say of its speed and health, for `faced doctor --report`. */
export interface DaemonFigures {
  readonly health: Awaited<ReturnType<Health['report']>>;
  readonly stages: Readonly<Record<string, StageFigures>>;
}

/** Adds up the stages of every beat. */
export class StageTotals {
  readonly #totals = new Map<string, { totalMs: number; count: number; maxMs: number }>();

  beat({ stages }: { readonly stages: StageTimes }): void {
    for (const [stage, { totalMs, count, maxMs }] of Object.entries(stages)) {
      const before = this.#totals.get(stage) ?? { totalMs: 0, count: 0, maxMs: 0 };
      this.#totals.set(stage, {
        totalMs: before.totalMs + totalMs,
        count: before.count + count,
        maxMs: Math.max(before.maxMs, maxMs),
      });
    }
  }

  figures(): Record<string, StageFigures> {
    return Object.fromEntries(
      [...this.#totals].map(([stage, { totalMs, count, maxMs }]) => [
        stage,
        { count, meanMs: thousandths(totalMs / Math.max(1, count)), maxMs: thousandths(maxMs) },
      ]),
    );
  }
}

function thousandths(ms: number): number {
  return Math.round(ms * 1000) / 1000;
}
