import type { AuditEntry } from '../pipeline/ports.js';

const MOST_KEPT = 1000;
const RETRY_MS = 2000;
/** A row that is written so much later than it happened says how much. */
const LATE_MS = 1000;

interface Kept {
  readonly entry: AuditEntry;
  /** Monotonic milliseconds. */
  readonly since: number;
}

/**
 * Rows on their way to the audit table, in order. A row that the store cannot take now (a full disk, a store that is
 * started again) waits here; what would not fit any more is counted, and the count is written first thing afterwards.
 */
export class AuditTrail {
  readonly #write: (entry: AuditEntry) => Promise<void>;
  readonly #monotonic: () => number;
  #kept: Kept[] = [];
  #lost = 0;
  #running: Promise<void> = Promise.resolve();
  #retry: NodeJS.Timeout | null = null;

  constructor(write: (entry: AuditEntry) => Promise<void>, monotonic: () => number) {
    this.#write = write;
    this.#monotonic = monotonic;
  }

  /** Rows that wait. */
  get waiting(): number {
    return this.#kept.length;
  }

  /** Written as soon as it can be. */
  note(entry: AuditEntry): void {
    if (this.#kept.length >= MOST_KEPT) this.#lost++;
    else this.#kept.push({ entry, since: this.#monotonic() });
    void this.#flush().catch(() => this.#later());
  }

  /** Resolves when the row and all before it are on the disk; rejects, and forgets the row, when that fails now. */
  async write(entry: AuditEntry): Promise<void> {
    await this.#flush(entry);
  }

  /** What waits is tried once more. */
  async stop(): Promise<void> {
    if (this.#retry !== null) clearTimeout(this.#retry);
    await this.#flush().catch(() => {});
  }

  #flush(last?: AuditEntry): Promise<void> {
    const run = this.#running.then(async () => {
      for (let kept = this.#kept[0]; kept !== undefined; kept = this.#kept[0]) {
        await this.#write(this.#asWritten(kept));
        this.#kept.shift();
      }
      if (this.#lost > 0) {
        const count = this.#lost;
        await this.#write({ kind: 'door.audit-lost', actor: 'daemon', detail: { count } });
        this.#lost -= count;
      }
      if (last !== undefined) await this.#write(last);
    });
    this.#running = run.catch(() => {});
    return run;
  }

  /** A row bears the time at which it is written. */
  #asWritten({ entry, since }: Kept): AuditEntry {
    const lateMs = Math.round(this.#monotonic() - since);
    return lateMs < LATE_MS ? entry : { ...entry, detail: { ...entry.detail, lateMs } };
  }

  #later(): void {
    if (this.#retry !== null) return;
    this.#retry = setTimeout(() => {
      this.#retry = null;
      void this.#flush().catch(() => this.#later());
    }, RETRY_MS);
    this.#retry.unref();
  }
}
