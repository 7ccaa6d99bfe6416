import { FacedError } from '../domain/errors.js';
import { type Clock, systemClock } from '../lib/clock.js';

const FREE_TRIES = 10;
const LONGEST_LOCK_MS = 15 * 60 * 1000;
const FORGET_MS = 60 * 60 * 1000;
const MOST_REMEMBERED = 2000;

/** Wrong tokens, codes and passwords by who tries them, the address that they come from: each after the tenth doubles the wait. */
export class Throttle {
  readonly #clock: Clock;
  readonly #wrong = new Map<string, { tries: number; until: number; at: number }>();

  constructor(clock: Clock = systemClock) {
    this.#clock = clock;
  }

  /** Rejects with `http.locked` while the address has to wait. */
  check(address: string): void {
    const found = this.#wrong.get(address);
    const now = this.#clock.monotonic();
    if (found === undefined || found.until <= now) return;
    throw new FacedError(
      'http.locked',
      `too many wrong tries: wait ${Math.ceil((found.until - now) / 1000)} s`,
    );
  }

  wrong(address: string): void {
    const now = this.#clock.monotonic();
    const before = this.#wrong.get(address);
    const tries = before === undefined || now - before.at > FORGET_MS ? 1 : before.tries + 1;
    const lockMs = tries < FREE_TRIES ? 0 : Math.min(LONGEST_LOCK_MS, 1000 * 2 ** (tries - FREE_TRIES));
    this.#wrong.delete(address);
    this.#wrong.set(address, { tries, until: now + lockMs, at: now });
    const [oldest] = this.#wrong.keys();
    if (this.#wrong.size > MOST_REMEMBERED && oldest !== undefined) this.#wrong.delete(oldest);
  }

  right(address: string): void {
    this.#wrong.delete(address);
  }
}
