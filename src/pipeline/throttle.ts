import { FacedError } from '../domain/errors.js';
import { type Clock, systemClock } from '../lib/clock.js';

const LONGEST_LOCK_MS = 15 * 60 * 1000;
const FORGET_MS = 60 * 60 * 1000;
/** Names and addresses that were never there must not fill the memory. */
const MOST_REMEMBERED = 2000;

export interface ThrottleOptions {
  readonly freeTries: number;
  readonly clock?: Clock;
}

/** Wrong tokens, codes and passwords by who is guessed at or who guesses: each after the free tries doubles the wait. */
export class Throttle {
  readonly #freeTries: number;
  readonly #clock: Clock;
  readonly #wrong = new Map<string, { tries: number; until: number; at: number }>();

  constructor({ freeTries, clock = systemClock }: ThrottleOptions) {
    this.#freeTries = freeTries;
    this.#clock = clock;
  }

  /** Rejects with `http.locked` while whoever it is has to wait. */
  check(who: string): void {
    const found = this.#wrong.get(who);
    const now = this.#clock.monotonic();
    if (found === undefined || found.until <= now) return;
    throw new FacedError(
      'http.locked',
      `too many wrong tries: wait ${Math.ceil((found.until - now) / 1000)} s`,
    );
  }

  wrong(who: string): void {
    const now = this.#clock.monotonic();
    const before = this.#wrong.get(who);
    const tries = before === undefined || now - before.at > FORGET_MS ? 1 : before.tries + 1;
    const over = tries - this.#freeTries;
    const lockMs = over < 0 ? 0 : Math.min(LONGEST_LOCK_MS, 1000 * 2 ** over);
    this.#wrong.delete(who);
    this.#wrong.set(who, { tries, until: now + lockMs, at: now });
    const [oldest] = this.#wrong.keys();
    if (this.#wrong.size > MOST_REMEMBERED && oldest !== undefined) this.#wrong.delete(oldest);
  }

  right(who: string): void {
    this.#wrong.delete(who);
  }
}
