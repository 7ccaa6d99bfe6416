import type { AuditEntry } from '../pipeline/ports.js';

const MOST_KEPT = 1000;
const RETRY_MS = 2000;

/**
 * Rows on their way to the audit table, in order. A row that the store cannot take now (a full disk, a store that is
 * started again) waits here; what would not fit any more is counted, and the count is written first thing afterwards.
 */
export class AuditTrail {
  readonly #write: (entry: AuditEntry) => Promise<void>;
  #kept: AuditEntry[] = [];
  #lost = 0;
  #running: Promise<void> = Promise.resolve();
  #retry: NodeJS.Timeout | null = null;

  constructor(write: (entry: AuditEntry) => Promise<void>) {
    this.#write = write;
  }

  /** Rows that wait. */
  get waiting(): number {
    return this.#kept.length;
  }

  /** Written as soon as it can be. */
  note(entry: AuditEntry): void {
    if (this.#kept.length >= MOST_KEPT) this.#lost++;
    else this.#kept.push(entry);
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
      for (let entry = this.#kept[0]; entry !== undefined; entry = this.#kept[0]) {
        await this.#write(entry);
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

  #later(): void {
    if (this.#retry !== null) return;
    this.#retry = setTimeout(() => {
      this.#retry = null;
      void this.#flush().catch(() => this.#later());
    }, RETRY_MS);
    this.#retry.unref();
  }
}
