import { readFileSync } from 'node:fs';
import type { ClockState } from '../pipeline/ports.js';
import type { Db } from './database.js';

/** Events that were recorded under a clock that nobody vouched for. Ids are after `from`; `''` is before all. */
interface Run {
  /** Of this boot: what their time was off by is known as soon as the true time is. */
  readonly boot: string;
  readonly from: string;
  /** Wall minus monotonic time, by which they were stamped. */
  readonly offsetMs: number;
  /** Events of earlier boots from here on: nobody will ever know when they were. null: there are none. */
  readonly unknownFrom: string | null;
  /** From this id on events were put right before the work was cut off; left out: none were. */
  readonly movedFrom?: string;
}

/** What has to be put right. Ids are after the first and before the second. */
export interface Correction {
  readonly moved: { readonly after: string; readonly before: string; readonly byMs: number } | null;
  readonly unknown: { readonly after: string; readonly before: string; readonly atMs: number } | null;
  /** To be kept when that is done; null: nothing more is open. */
  readonly next: Run | null;
}

const KEY = 'clock-run';
/** A clock that is kept by a time daemon moves by less. */
const SAME_MS = 2000;

/** Which events may have a wrong time, over restarts of the program and of the machine. Written only when it changes. */
export class ClockRun {
  readonly #db: Db;
  readonly #boot: string;

  /** @param boot tells this boot of the machine from every other, for tests */
  constructor(db: Db, boot = bootId()) {
    this.#db = db;
    this.#boot = boot;
  }

  /** @param newest id of the newest event; `''`: there is none */
  correction({ at, known }: ClockState, newest: string): Correction {
    const offsetMs = at.wallMs - at.monotonicMs;
    const kept = this.#read();
    const run = kept?.boot === this.#boot ? kept : null;
    const unknownFrom = kept === null ? null : (kept.unknownFrom ?? (run === null ? kept.from : null));
    const byMs = run === null ? 0 : Math.round(offsetMs - run.offsetMs);
    const before = run?.movedFrom ?? `${newest}~`;
    const moved = run !== null && Math.abs(byMs) > SAME_MS ? { after: run.from, before, byMs } : null;
    const from = run === null || moved !== null ? newest : run.from;
    if (!known) return { moved, unknown: null, next: { boot: this.#boot, from, offsetMs, unknownFrom } };
    const unknown =
      unknownFrom === null
        ? null
        : { after: unknownFrom, before: `${run?.from ?? newest}~`, atMs: at.wallMs };
    return { moved, unknown, next: null };
  }

  /** The events from this id on are put right. To be called within the transaction that does it. */
  movedDownTo(id: string): void {
    const run = this.#read();
    if (run !== null) this.#write({ ...run, movedFrom: id });
  }

  keep(next: Run | null): void {
    const before = this.#read();
    if (next === null) {
      if (before !== null) this.#db.prepare('DELETE FROM meta WHERE key = ?').run(KEY);
      return;
    }
    const same =
      before !== null &&
      before.boot === next.boot &&
      before.from === next.from &&
      before.unknownFrom === next.unknownFrom &&
      before.movedFrom === next.movedFrom &&
      Math.abs(before.offsetMs - next.offsetMs) <= SAME_MS;
    if (!same) this.#write(next);
  }

  #write(run: Run): void {
    this.#db.prepare('INSERT OR REPLACE INTO meta (key, value) VALUES (?, ?)').run(KEY, JSON.stringify(run));
  }

  #read(): Run | null {
    const text = this.#db.prepare('SELECT value FROM meta WHERE key = ?').pluck().get(KEY);
    return typeof text === 'string' ? (JSON.parse(text) as Run) : null;
  }
}

/** The kernel's; where it says none, each process counts as a boot of its own. */
function bootId(): string {
  try {
    return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
  } catch {
    return `${process.pid} ${process.hrtime.bigint()}`;
  }
}
