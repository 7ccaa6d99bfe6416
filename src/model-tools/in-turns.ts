import type { Session } from '../inference/raw-session.js';
import type { Feeds } from './graph/index.js';

export interface InTurnsOptions {
  readonly runs: number;
  /** Runs of each before those that count. Default 0. */
  readonly warmUp?: number;
  /** Before each turn that counts. */
  readonly onTurn?: () => void;
}

/**
 * Runs models in turn, so that a busy moment of the machine falls on all of them alike. Answers the milliseconds of each,
 * ascending: the first is what a busy machine disturbs least.
 */
export async function timeInTurns(
  entries: readonly { readonly session: Session; readonly feeds: Feeds }[],
  { runs, warmUp = 0, onTurn }: InTurnsOptions,
): Promise<number[][]> {
  const times = entries.map((): number[] => []);
  for (let turn = -warmUp; turn < runs; turn += 1) {
    if (turn >= 0) onTurn?.();
    for (const [at, { session, feeds }] of entries.entries()) {
      const started = performance.now();
      await session.run(feeds);
      if (turn >= 0) times[at]?.push(performance.now() - started);
    }
  }
  return times.map((ms) => ms.sort((a, b) => a - b));
}

/** The middle one of ascending numbers; NaN when there is none. */
export function middle(ascending: readonly number[]): number {
  return ascending[ascending.length >> 1] ?? Number.NaN;
}
