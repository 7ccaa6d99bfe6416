import { createHash } from 'node:crypto';
import type { AuditEntry, AuditRow, AuditState } from '../pipeline/ports.js';
import type { Db } from './database.js';
import { bounded, PAGE_LIMIT } from './event-log.js';

interface Row {
  readonly seq: number;
  readonly time: number;
  readonly kind: string;
  readonly actor: string;
  readonly detail: string;
  readonly previous: Buffer;
  readonly hash: Buffer;
}

const START = Buffer.alloc(32);

/** Who did what, in a chain of hashes: a row that is changed, taken out or put in later breaks it. */
export class Audit {
  readonly #db: Db;

  constructor(db: Db) {
    this.#db = db;
  }

  append({ kind, actor, detail }: AuditEntry, now: number): void {
    const last = this.#db
      .prepare<[], Pick<Row, 'seq' | 'hash'>>('SELECT seq, hash FROM audit ORDER BY seq DESC LIMIT 1')
      .get();
    const body = { seq: (last?.seq ?? 0) + 1, time: now, kind, actor, detail: JSON.stringify(detail) };
    const previous = last?.hash ?? START;
    this.#db
      .prepare('INSERT INTO audit VALUES (?, ?, ?, ?, ?, ?, ?)')
      .run(body.seq, body.time, kind, actor, body.detail, previous, hashOf(body, previous));
  }

  rows({ after, limit }: { after?: number; limit: number }): AuditRow[] {
    return this.#page(after ?? 0, bounded(limit)).map(({ detail, previous, hash, ...rest }) => ({
      ...rest,
      detail: JSON.parse(detail) as AuditEntry['detail'],
      previous: previous.toString('hex'),
      hash: hash.toString('hex'),
    }));
  }

  /** In pages, and gives way between them: a long chain must not hold up a search. */
  async verify(): Promise<AuditState> {
    let previous: Buffer = START;
    let rows = 0;
    for (;;) {
      const page = this.#page(rows, PAGE_LIMIT);
      for (const row of page) {
        const fits =
          row.seq === rows + 1 && row.previous.equals(previous) && row.hash.equals(hashOf(row, previous));
        if (!fits) return { ok: false, rows, head: headOf(previous, rows), brokenAt: row.seq };
        previous = row.hash;
        rows += 1;
      }
      if (page.length === 0) return { ok: true, rows, head: headOf(previous, rows), brokenAt: null };
      await new Promise((resolve) => setImmediate(resolve));
    }
  }

  #page(after: number, limit: number): Row[] {
    return this.#db
      .prepare<[number, number], Row>('SELECT * FROM audit WHERE seq > ? ORDER BY seq LIMIT ?')
      .all(after, limit);
  }
}

/** SHA-256 over the JSON array [previous (hex), seq, time, kind, actor, detail (the stored JSON text)] in UTF-8. */
function hashOf(row: Pick<Row, 'seq' | 'time' | 'kind' | 'actor' | 'detail'>, previous: Buffer): Buffer {
  const form = JSON.stringify([previous.toString('hex'), row.seq, row.time, row.kind, row.actor, row.detail]);
  return createHash('sha256').update(form).digest();
}

function headOf(hash: Buffer, rows: number): string | null {
  return rows === 0 ? null : hash.toString('hex');
}
