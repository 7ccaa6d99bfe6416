import type { AuditEntry } from '../pipeline/ports.js';

/** Rows of one kind and reason that are written one by one in a minute. */
const ONE_BY_ONE = 20;
const MINUTE_MS = 60_000;
/** The rest is counted, and the count is written so often: what a power cut can take is the count of so long. */
const COUNT_EVERY_MS = 5000;

interface Minute {
  readonly since: number;
  written: number;
}

/**
 * Rows that somebody outside can cause as often as they like. A flood must not fill the disk, must not hide rows of
 * another reason, and must be accounted for.
 */
export class FloodedRows {
  readonly #write: (entry: AuditEntry) => void;
  readonly #monotonic: () => number;
  /** What every row of counts says beside them. */
  readonly #about: Readonly<Record<string, unknown>>;
  readonly #minutes = new Map<string, Minute>();
  readonly #withheld = new Map<string, number>();
  #timer: NodeJS.Timeout | null = null;

  constructor(
    write: (entry: AuditEntry) => void,
    { monotonic, about = {} }: { monotonic: () => number; about?: Readonly<Record<string, unknown>> },
  ) {
    this.#write = write;
    this.#monotonic = monotonic;
    this.#about = about;
  }

  note(entry: AuditEntry): void {
    const { reason } = entry.detail;
    const key = typeof reason === 'string' ? `${entry.kind} ${reason}` : entry.kind;
    const minute = this.#minuteOf(key);
    if (minute.written < ONE_BY_ONE) {
      minute.written++;
      this.#write(entry);
      return;
    }
    this.#withheld.set(key, (this.#withheld.get(key) ?? 0) + 1);
    this.#timer ??= setTimeout(() => this.#count(), COUNT_EVERY_MS).unref();
  }

  /** Writes the counts that wait. */
  stop(): void {
    this.#count();
  }

  #minuteOf(key: string): Minute {
    const now = this.#monotonic();
    const known = this.#minutes.get(key);
    if (known !== undefined && now - known.since < MINUTE_MS) return known;
    const minute = { since: now, written: 0 };
    this.#minutes.set(key, minute);
    return minute;
  }

  #count(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    if (this.#withheld.size === 0) return;
    const rows = Object.fromEntries(this.#withheld);
    this.#withheld.clear();
    this.#write({ kind: 'door.rows-withheld', actor: 'daemon', detail: { ...this.#about, rows } });
  }
}
