import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

type Env = Readonly<Record<string, string | undefined>>;

/** Runs `systemd-notify` with these assignments (sd_notify(3)). */
export type SendNotification = (assignments: readonly string[]) => Promise<void>;

export interface NotifierOptions {
  readonly env: Env;
  /** Called once when systemd cannot be told; the daemon goes on. */
  readonly onProblem?: (reason: string) => void;
  readonly send?: SendNotification;
}

const run = promisify(execFile);

/** systemd's patience with a start begins anew with each sign of progress, and lasts so long. */
const START_PATIENCE_MS = 90_000;
/** Each sign starts a program; this many milliseconds hold no second one. */
const PROGRESS_EVERY_MS = 10_000;

/** sd_notify(3) over the `systemd-notify` program: an unconnected datagram socket is beyond Node, and this needs no native code. */
export function systemdNotify(env: Env): SendNotification {
  return async (assignments) => {
    await run('systemd-notify', [...assignments], {
      env: { ...env, PATH: env.PATH ?? '/usr/bin:/bin' },
      timeout: 10_000,
    });
  };
}

/**
 * Tells systemd how the service is. Without NOTIFY_SOCKET (no systemd, or not Type=notify) every call does nothing.
 * No call ever rejects: that systemd cannot be told is reported once.
 */
export class Notifier {
  readonly #options: NotifierOptions;
  readonly #send: SendNotification;
  #timer: NodeJS.Timeout | undefined;
  #last: Promise<void> = Promise.resolve();
  #told = false;
  #progressAt = Number.NEGATIVE_INFINITY;

  constructor(options: NotifierOptions) {
    this.#options = options;
    this.#send = options.send ?? systemdNotify(options.env);
  }

  get active(): boolean {
    return Boolean(this.#options.env.NOTIFY_SOCKET);
  }

  ready(status = 'running'): Promise<void> {
    return this.#notify('READY=1', statusLine(status));
  }

  /** After SIGHUP; end it with {@link ready}. */
  reloading(): Promise<void> {
    // systemd wants to know when the reload began on CLOCK_MONOTONIC, in microseconds (sd_notify(3), RELOADING=1).
    return this.#notify('RELOADING=1', `MONOTONIC_USEC=${process.hrtime.bigint() / 1000n}`);
  }

  stopping(): Promise<void> {
    this.stopWatchdog();
    return this.#notify('STOPPING=1');
  }

  /**
   * The start, which may take long, has come a step further: bytes of a model have come, a part of a database is changed.
   * systemd's TimeoutStartSec counts from the last of them then (EXTEND_TIMEOUT_USEC, systemd 236 or later). To be called
   * for real progress only, and then as often as there is any: few calls become a message.
   */
  progress(): void {
    const now = performance.now();
    if (now - this.#progressAt < PROGRESS_EVERY_MS) return;
    this.#progressAt = now;
    void this.#notify(`EXTEND_TIMEOUT_USEC=${START_PATIENCE_MS * 1000}`);
  }

  /** One line, as `systemctl status` shows it. No name of a person belongs here: the journal keeps it. */
  status(text: string): Promise<void> {
    return this.#notify(statusLine(text));
  }

  /**
   * Feed systemd's watchdog three times in its period, as long as `alive` says so. When it does not, nothing is sent
   * and systemd ends the service and starts it again.
   * @returns the period between signs of life in milliseconds; null when systemd asked for none
   */
  watchdog(alive: () => boolean): number | null {
    const period = watchdogPeriod(this.#options.env);
    if (!this.active || period === null) return null;
    const every = Math.max(1, Math.floor(period / 3));
    this.stopWatchdog();
    let sending = false;
    this.#timer = setInterval(() => {
      // On a machine that is too busy to send one sign in time, they must not pile up.
      if (!alive() || sending) return;
      sending = true;
      void this.#notify('WATCHDOG=1').then(() => {
        sending = false;
      });
    }, every);
    this.#timer.unref();
    return every;
  }

  stopWatchdog(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  /** One after the other: READY must not overtake a STATUS that was said before. */
  #notify(...assignments: string[]): Promise<void> {
    if (!this.active) return Promise.resolve();
    this.#last = this.#last
      .then(() => this.#send(assignments))
      .catch((error: unknown) => this.#failed(error));
    return this.#last;
  }

  #failed(error: unknown): void {
    if (this.#told) return;
    this.#told = true;
    this.#options.onProblem?.(
      `systemd cannot be told how the service is: ${error instanceof Error ? error.message : String(error)}`,
    );
  }
}

/** systemd's WATCHDOG_USEC in milliseconds, when it is meant for this process; null when there is no watchdog. */
export function watchdogPeriod(env: Env, pid: number = process.pid): number | null {
  if (env.WATCHDOG_PID !== undefined && Number(env.WATCHDOG_PID) !== pid) return null;
  const period = Number(env.WATCHDOG_USEC) / 1000;
  return Number.isFinite(period) && period > 0 ? period : null;
}

function statusLine(text: string): string {
  return `STATUS=${text.replace(/\s*[\r\n]+\s*/g, ' ')}`;
}
