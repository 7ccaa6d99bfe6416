import type { Clock } from '../../src/lib/clock.js';

/** A clock that stands until the test moves it. */
export function heldClock(): Clock & { forward(ms: number): void } {
  let now = Date.UTC(2026, 10, 1);
  return {
    wall: () => now,
    monotonic: () => now,
    forward: (ms) => {
      now += ms;
    },
  };
}
