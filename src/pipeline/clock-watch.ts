import { FacedError } from '../domain/errors.js';
import { type Clock, systemClock } from '../lib/clock.js';

export interface ClockWatchOptions {
  /** The wall clock when it was last written down, milliseconds since 1970; null: never. */
  readonly seenAt: number | null;
  /** Whether a time daemon has set the clock; rejects where nobody can say. */
  readonly ask: () => Promise<boolean>;
  readonly clock?: Clock;
}

const DAY_MS = 86_400_000;
/** No earlier time can be right: the project is younger. */
const EARLIEST = Date.UTC(2026, 10, 1);
/** A machine that was off for longer than this, with nobody to vouch for its clock, is taken for one with a wrong clock. */
const LONG_OFF_MS = 366 * DAY_MS;
const BACK_MS = DAY_MS;
/** While the process runs, a wall clock that moves more than this against the monotonic one was set. */
const SET_MS = DAY_MS;

/**
 * Whether the wall clock can be believed where deleting goes by it. A board without a battery-backed clock starts years
 * away, and what is deleted by a wrong year does not come back. An ordinary clock that nobody synchronises is believed:
 * what is old must go there too.
 */
export class ClockWatch {
  readonly #ask: () => Promise<boolean>;
  readonly #clock: Clock;
  #wall: number | null;
  #monotonic: number | null = null;

  constructor({ seenAt, ask, clock = systemClock }: ClockWatchOptions) {
    this.#wall = seenAt;
    this.#ask = ask;
    this.#clock = clock;
  }

  /** The last time that was believed, to be written down; null: none yet. */
  get seenAt(): number | null {
    return this.#wall;
  }

  /** Rejects with `system.clock-wrong` while the clock cannot be believed. */
  async check(): Promise<{ synchronised: boolean | null }> {
    const [wall, monotonic] = [this.#clock.wall(), this.#clock.monotonic()];
    const synchronised = await this.#ask().catch(() => null);
    const wrong = this.#wrong(wall, monotonic);
    if (wrong !== null && (synchronised !== true || wall < EARLIEST))
      throw new FacedError('system.clock-wrong', wrong, {
        fix: 'Set the clock (sudo timedatectl set-ntp true); nothing is deleted by age until then.',
      });
    this.#wall = wall;
    this.#monotonic = monotonic;
    return { synchronised };
  }

  #wrong(wall: number, monotonic: number): string | null {
    const now = new Date(wall).toISOString();
    if (wall < EARLIEST) return `the clock says ${now}, before this program was written`;
    const before = this.#wall;
    if (before === null) return null;
    const then = new Date(before).toISOString();
    if (wall < before - BACK_MS) return `the clock says ${now}, and said ${then} before`;
    // Since the last look of this process it is known how much time went by; since the last process it is not.
    const most = this.#monotonic === null ? LONG_OFF_MS : monotonic - this.#monotonic + SET_MS;
    return wall - before > most
      ? `the clock went from ${then} to ${now} at once, and nobody vouches for it`
      : null;
  }
}
