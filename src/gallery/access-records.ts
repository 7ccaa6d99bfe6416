import type { AccessRecord } from '../pipeline/ports.js';
import type { Db } from './database.js';
import type { Sealer } from './seal.js';

/** Accounts, sessions and tokens as sealed records: few, and read as a whole when the daemon starts. */
export class AccessRecords {
  readonly #db: Db;
  readonly #sealer: Sealer;

  constructor(db: Db, sealer: Sealer) {
    this.#db = db;
    this.#sealer = sealer;
  }

  all(): AccessRecord[] {
    const rows = this.#db.prepare('SELECT kind, id, body FROM access').all() as {
      kind: string;
      id: string;
      body: Buffer;
    }[];
    return rows.map(({ kind, id, body }) => ({
      ...{ kind, id },
      body: this.#sealer.open(body, ['access', kind, id]).toString('utf8'),
    }));
  }

  put({ kind, id, body }: AccessRecord): void {
    this.#db
      .prepare(`INSERT INTO access (kind, id, body) VALUES (?, ?, ?)
         ON CONFLICT DO UPDATE SET body = excluded.body`)
      .run(kind, id, this.#sealer.seal(body, ['access', kind, id]));
  }

  remove({ kind, id }: Pick<AccessRecord, 'kind' | 'id'>): void {
    this.#db.prepare('DELETE FROM access WHERE kind = ? AND id = ?').run(kind, id);
  }
}
