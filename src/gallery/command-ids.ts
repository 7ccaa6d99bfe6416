import type { CommandClaim, CommandVerdict } from '../pipeline/ports.js';
import type { Db } from './database.js';

/**
 * Which commands were carried out. Nothing is written but for a command that is about to be: what has expired goes in
 * the same transaction, so the table never grows above its limit and a quiet house costs the card nothing.
 */
export class CommandIds {
  readonly #db: Db;

  constructor(db: Db) {
    this.#db = db;
  }

  claim({ kind, id, until, now, limit }: CommandClaim): CommandVerdict {
    const known = this.#db.prepare('SELECT 1 FROM commands WHERE kind = ? AND id = ? AND until >= ?').pluck();
    const living = this.#db.prepare('SELECT count(*) FROM commands WHERE kind = ? AND until >= ?').pluck();
    const forget = this.#db.prepare('DELETE FROM commands WHERE until < ?');
    const insert = this.#db.prepare('INSERT INTO commands (kind, id, until) VALUES (?, ?, ?)');
    const wall = Math.floor(now);
    if (known.get(kind, id, wall) !== undefined) return 'repeated';
    if ((living.get(kind, wall) as number) >= limit) return 'full';
    this.#db.transaction(() => {
      forget.run(wall);
      insert.run(kind, id, Math.ceil(until));
    })();
    return 'claimed';
  }
}
