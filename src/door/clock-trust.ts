import { execFile } from 'node:child_process';
import type { Clock } from '../lib/clock.js';
import { HOLDER } from './holder.js';

/** Whether the wall clock may be believed. */
export interface ClockTrust {
  synchronised(): boolean;
}

/** A wall clock that moves against the monotonic one by more than this was set, not disciplined. */
const JUMP_MS = 2000;
const POLL_MS = { unsynchronised: 5000, synchronised: 60_000 };

/**
 * Asks the kernel whether a time daemon has set the clock (adjtimex, the flag that timesyncd, chrony and ntpd all
 * clear). After a jump the answer is asked for again before anything is believed.
 */
export class KernelClockTrust implements ClockTrust {
  readonly #clock: Clock;
  readonly #ask: (signal: AbortSignal) => Promise<boolean>;
  #believed = false;
  #offsetMs: number;
  #timer: NodeJS.Timeout | null = null;
  #signal: AbortSignal | null = null;

  constructor(clock: Clock, ask: (signal: AbortSignal) => Promise<boolean> = askKernel) {
    this.#clock = clock;
    this.#ask = ask;
    this.#offsetMs = clock.wall() - clock.monotonic();
  }

  async start(signal: AbortSignal): Promise<void> {
    this.#signal = signal;
    signal.addEventListener('abort', () => this.stop(), { once: true });
    await this.#poll();
  }

  stop(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    this.#signal = null;
  }

  synchronised(): boolean {
    const offsetMs = this.#clock.wall() - this.#clock.monotonic();
    if (Math.abs(offsetMs - this.#offsetMs) > JUMP_MS) {
      this.#believed = false;
      this.#offsetMs = offsetMs;
      void this.#poll();
    }
    return this.#believed;
  }

  async #poll(): Promise<void> {
    const signal = this.#signal;
    if (signal === null) return;
    if (this.#timer !== null) clearTimeout(this.#timer);
    const before = this.#offsetMs;
    const answer = await this.#ask(signal).catch(() => false);
    if (this.#signal === null) return;
    // The clock was set while the question was on its way: the answer is about another clock.
    const moved = Math.abs(this.#clock.wall() - this.#clock.monotonic() - before) > JUMP_MS;
    this.#offsetMs = this.#clock.wall() - this.#clock.monotonic();
    this.#believed = answer && !moved;
    const pauseMs = this.#believed ? POLL_MS.synchronised : POLL_MS.unsynchronised;
    this.#timer = setTimeout(() => void this.#poll(), pauseMs);
    this.#timer.unref();
  }
}

/** The owner vouches for the clock: a machine with a battery-backed clock and no network. */
export const TRUSTED_CLOCK: ClockTrust = { synchronised: () => true };

/** Whether a time daemon has set the clock. Rejects when the holder, which asks, is not built. */
export function askKernel(signal: AbortSignal): Promise<boolean> {
  return new Promise((resolve, reject) => {
    execFile(HOLDER, ['--clock'], { signal, timeout: 2000 }, (error, stdout) => {
      if (error === null) resolve(stdout.trim() === 'synchronised');
      else reject(error);
    });
  });
}
