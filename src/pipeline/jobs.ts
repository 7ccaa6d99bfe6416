import { FacedError } from '../domain/errors.js';
import type { Problem } from '../domain/problem.js';
import { type Clock, systemClock } from '../lib/clock.js';
import type { Logger } from '../lib/log.js';

/** Where times come due. */
export interface Timetable {
  /** Calls `onDue` whenever the cron expression, which was checked before, comes due. */
  plan(expression: string, onDue: () => void): Planned;
}

export interface Planned {
  /** Milliseconds since 1970 of the next time; null when there is none. */
  next(): number | null;
  stop(): void;
}

export interface Job {
  readonly name: string;
  /** Cron expression; null: never. */
  readonly when: string | null;
  /** What is worth a line in the log; nothing personal. Rejects when the work failed. */
  readonly run: () => Promise<object | undefined>;
}

/** When each job is next due, milliseconds since 1970: what is written down outlives the process. */
export type DueTimes = Readonly<Record<string, number>>;

export interface JobsOptions {
  readonly jobs: readonly Job[];
  readonly timetable: Timetable;
  readonly log: Logger;
  /** What was written down before; empty at the first start. */
  readonly due: DueTimes;
  readonly writeDue: (due: DueTimes) => Promise<void>;
  readonly clock?: Pick<Clock, 'wall'>;
}

/** A process that starts a little late has missed nothing that its first tick does not do. */
const LATE_MS = 60_000;

/**
 * Work at set times. One piece at a time: a job that comes due while another runs waits its turn, and one that waits or
 * runs already is not taken twice. What fails is a problem of the daemon's health until it succeeds.
 */
export class Jobs {
  readonly #options: JobsOptions;
  readonly #clock: Pick<Clock, 'wall'>;
  readonly #planned = new Map<string, Planned>();
  readonly #taken = new Set<string>();
  readonly #failed = new Map<string, FacedError>();
  #line: Promise<void> = Promise.resolve();
  #stopped = false;

  constructor(options: JobsOptions) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
  }

  /** Begins. A job whose time passed while no daemon ran is done now, once, however often it was missed. */
  start(): void {
    const { jobs, timetable, due, log } = this.#options;
    for (const job of jobs) {
      if (job.when === null) continue;
      this.#planned.set(
        job.name,
        timetable.plan(job.when, () => this.#take(job)),
      );
      const before = due[job.name];
      if (before === undefined || before + LATE_MS > this.#clock.wall()) continue;
      log.warn(
        { job: job.name, due: new Date(before).toISOString() },
        'scheduled work was missed while faced did not run; it is done now',
      );
      this.#take(job);
    }
    this.#line = this.#line.then(() => this.#write());
  }

  /** Nothing more is begun; resolves when what runs has ended. */
  async stop(): Promise<void> {
    this.#stopped = true;
    for (const planned of this.#planned.values()) planned.stop();
    this.#planned.clear();
    await this.#line;
  }

  /** Resolves when nothing waits and nothing runs. */
  settled(): Promise<void> {
    return this.#line;
  }

  problems(): Problem[] {
    return [...this.#failed].map(([name, { code, message }]) => ({
      code,
      message: `scheduled work (${name}): ${message}`,
    }));
  }

  #take(job: Job): void {
    if (this.#stopped) return;
    if (this.#taken.has(job.name)) {
      this.#options.log.warn({ job: job.name }, 'scheduled work is due again before it was done');
      return;
    }
    this.#taken.add(job.name);
    this.#line = this.#line.then(() => this.#run(job));
  }

  async #run(job: Job): Promise<void> {
    const { log } = this.#options;
    const { name } = job;
    if (!this.#stopped) {
      try {
        const done = await job.run();
        if (this.#failed.delete(name)) log.info({ job: name }, 'scheduled work succeeds again');
        log.debug({ job: name, ...done }, 'scheduled work is done');
      } catch (thrown) {
        const error = FacedError.from(thrown);
        this.#failed.set(name, error);
        log.warn({ job: name, code: error.code, reason: error.message }, 'scheduled work failed');
      }
    }
    this.#taken.delete(name);
    // One that was called off is due still.
    if (!this.#stopped) await this.#write();
  }

  async #write(): Promise<void> {
    const due: Record<string, number> = {};
    for (const [name, planned] of this.#planned) {
      const next = planned.next();
      const before = this.#options.due[name];
      // One that waits its turn is not done yet: a power cut must not lose it.
      const value = this.#taken.has(name) ? (before ?? this.#clock.wall()) : next;
      if (value !== null) due[name] = value;
    }
    if (this.#stopped) return;
    await this.#options
      .writeDue(due)
      .catch((error: unknown) =>
        this.#options.log.warn(
          { reason: FacedError.from(error).message },
          'when work is due could not be kept',
        ),
      );
  }
}
