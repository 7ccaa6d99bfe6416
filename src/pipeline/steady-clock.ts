import { decodeTime, monotonicFactory } from 'ulid';
import { type Clock, systemClock } from '../lib/clock.js';
import type { ClockState } from './ports.js';

export interface SteadyClockOptions {
  /** Whether the wall clock can be believed; rejects while it cannot. {@link ClockWatch.check}. */
  readonly check: () => Promise<{ synchronised: boolean | null }>;
  /** Told after each look at the wall clock, before {@link SteadyClock.look} resolves. */
  readonly onLooked: (state: ClockState) => Promise<void>;
  readonly clock?: Clock;
}

/** A wall clock that moves against the monotonic one by more than this was set, not disciplined. */
const SET_MS = 2000;
/** Whether it was set is looked at this often, which costs nothing. */
const TICK_MS = 5000;
/** To ask somebody starts a program: seldom, as long as it is not set. */
const ASK_MS = { new: 30_000, wrong: 30_000, unsynchronised: 600_000, synchronised: 3_600_000 };
type Trust = keyof typeof ASK_MS;

/**
 * The time of day that events, commands and rights go by. It is the machine's where that can be believed. Where it
 * cannot (a board without a battery-backed clock has just started, or the clock was set and nobody has looked at it
 * yet), it goes on from the last time that was known by the monotonic clock: never back, and never ahead by what an empty
 * clock says. What it told too early meanwhile the store puts right when the true time is known ({@link ClockState}).
 */
export class SteadyClock implements Clock {
  readonly #options: SteadyClockOptions;
  readonly #clock: Clock;
  /** The latest time that was known before this process; null: none. */
  #floor: number | null = null;
  /** How often the machine's time was set since the start. */
  #sets = 0;
  /** Added to the machine's time. */
  #shiftMs = 0;
  /** Of the machine's time against the monotonic one, when it was last looked at. */
  #offsetMs: number;
  #trust: Trust = 'new';
  readonly #newId = monotonicFactory();
  #looking: Promise<void> | null = null;
  #timer: NodeJS.Timeout | null = null;
  #askedAt = Number.NEGATIVE_INFINITY;

  constructor(options: SteadyClockOptions) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.#offsetMs = this.#clock.wall() - this.#clock.monotonic();
  }

  /**
   * @param floor the latest time that is known to have been, milliseconds since 1970; null: none
   * @param lastId the highest that was given before; null: none was
   */
  async start(floor: number | null, lastId: string | null = null): Promise<void> {
    this.#floor = floor;
    this.#shiftMs = Math.max(0, (floor ?? 0) - this.#clock.wall());
    // The next ones come after it, also where it was given under a clock that was ahead.
    if (lastId !== null) this.#newId(decodeTime(lastId) + 1);
    this.#timer = setInterval(() => this.#tick(), TICK_MS);
    this.#timer.unref();
    await this.look().catch(() => {});
  }

  stop(): void {
    if (this.#timer !== null) clearInterval(this.#timer);
    this.#timer = null;
  }

  wall(): number {
    if (this.#noticeSet()) void this.look().catch(() => {});
    return Math.round(this.#clock.wall() + this.#shiftMs);
  }

  monotonic(): number {
    return this.#clock.monotonic();
  }

  /** This clock's time of a moment, milliseconds since 1970. */
  at({ monotonicMs }: { readonly monotonicMs: number }): number {
    return Math.round(this.wall() - (this.monotonic() - monotonicMs));
  }

  /** A ULID after all before, whatever the clocks did. */
  newId(): string {
    return this.#newId(Math.max(0, this.wall()));
  }

  /** Looks at the machine's time now. Rejects with `system.clock-wrong` while it cannot be believed. */
  look(): Promise<void> {
    this.#looking ??= this.#judge().finally(() => {
      this.#looking = null;
    });
    return this.#looking;
  }

  #tick(): void {
    const due = this.#clock.monotonic() - this.#askedAt >= ASK_MS[this.#trust];
    if (this.#noticeSet() || due) void this.look().catch(() => {});
  }

  async #judge(): Promise<void> {
    this.#askedAt = this.#clock.monotonic();
    this.#noticeSet();
    const sets = this.#sets;
    const answer = await this.#options.check().catch((error: unknown) => ({ error }));
    this.#noticeSet();
    // Set while the question was on its way, whoever noticed it: the answer is about another clock.
    const isAboutAnother = this.#sets !== sets;
    if ('error' in answer) this.#disbelieve();
    else if (!isAboutAnother) this.#believe(answer.synchronised === true);
    await this.#options.onLooked(this.#state());
    if ('error' in answer) throw answer.error;
  }

  /** Whether the machine's clock was set since the last call; this one goes on as if it had not been. */
  #noticeSet(): boolean {
    const moved = this.#clock.wall() - this.#clock.monotonic() - this.#offsetMs;
    if (Math.abs(moved) <= SET_MS) return false;
    this.#offsetMs += moved;
    this.#shiftMs -= moved;
    this.#sets += 1;
    this.#trust = 'wrong';
    return true;
  }

  #believe(synchronised: boolean): void {
    this.#trust = synchronised ? 'synchronised' : 'unsynchronised';
    // Where nobody vouches for it, it may be behind what was known before: it stood still while the machine was off.
    if (synchronised || this.#sets > 0) this.#shiftMs = 0;
  }

  #disbelieve(): void {
    // At the start there is nothing to go on from but what was known before.
    if (this.#trust === 'new' && this.#floor !== null) this.#shiftMs = this.#floor - this.#clock.wall();
    this.#trust = 'wrong';
  }

  #state(): ClockState {
    const wallMs = this.#clock.wall() + this.#shiftMs;
    const monotonicMs = this.#clock.monotonic();
    return {
      at: { wallMs, monotonicMs },
      known: this.#trust === 'synchronised',
      isMachines: this.#shiftMs === 0,
    };
  }
}
