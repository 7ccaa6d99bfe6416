export interface BackoffOptions {
  readonly firstMs: number;
  readonly longestMs: number;
}

export const DEFAULT_BACKOFF: BackoffOptions = { firstMs: 1000, longestMs: 60_000 };

/**
 * The pause before the attempt that follows the given number of failures (from 1): doubling, and up to a quarter less
 * by `random` (0 to 1), so that cameras that were lost together do not come back together.
 */
export function pauseBefore(failures: number, options: BackoffOptions, random: number): number {
  const doubled = options.firstMs * 2 ** Math.min(failures - 1, 30);
  return Math.min(doubled, options.longestMs) * (1 - random / 4);
}
