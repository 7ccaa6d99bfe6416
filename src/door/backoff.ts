/** How failures close a path for a while. All in milliseconds. */
export interface BackoffRules {
  /** Failures until it closes. */
  readonly failures: number;
  /** How long the first time; doubles each further time. */
  readonly firstMs: number;
  readonly longestMs: number;
  /** After so long without a failure all is forgotten. */
  readonly forgetMs: number;
}

export interface Backoff {
  /** Failures since the path was last closed or forgiven. */
  readonly failures: number;
  /** How often it was closed in a row. */
  readonly rounds: number;
  readonly lastAt: number | null;
  /** Closed until then. */
  readonly until: number | null;
}

export const NO_BACKOFF: Backoff = { failures: 0, rounds: 0, lastAt: null, until: null };

export function isClosed({ until }: Backoff, now: number): boolean {
  return until !== null && now < until;
}

/** One more failure. A failure while the path is closed counts as well: an attack that goes on stays out longer. */
export function fail(state: Backoff, rules: BackoffRules, now: number): Backoff {
  const { failures, rounds, until } = settle(state, rules, now);
  if (failures + 1 < rules.failures) return { failures: failures + 1, rounds, lastAt: now, until };
  const length = Math.min(rules.longestMs, rules.firstMs * 2 ** Math.min(rounds, 30));
  // The exponent is bounded with `rounds`, so that no attack makes the numbers grow for ever.
  return {
    failures: 0,
    rounds: Math.min(rounds + 1, 30),
    lastAt: now,
    until: Math.max(until ?? 0, now + length),
  };
}

/** What time alone does: a closed path opens, an old failure is forgotten. */
export function settle(state: Backoff, rules: BackoffRules, now: number): Backoff {
  if (state.lastAt === null) return state;
  const until = isClosed(state, now) ? state.until : null;
  if (until === null && now - state.lastAt >= rules.forgetMs) return NO_BACKOFF;
  return until === state.until ? state : { ...state, until };
}
