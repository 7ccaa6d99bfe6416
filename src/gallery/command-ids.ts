import type { CommandClaim, CommandVerdict } from '../pipeline/ports.js';
import type { Db } from './database.js';

/** Ids of a kind that are remembered beyond their `exp`: a clock that was set back makes old commands fresh again. */
const REMEMBERED = 1_000;
/** No command that the gate lets through expires later than this. */
const FARTHEST_MS = 600_000;

/**
 * Which commands were carried out. Nothing is written but for a command that is about to be: the oldest of what has
 * expired goes in the same transaction, so the table never grows above its limits and a quiet house costs the card nothing.
 */
export class CommandIds {
  readonly #db: Db;

  constructor(db: Db) {
    this.#db = db;
  }

  claim({ kind, id, until, now, limit }: CommandClaim): CommandVerdict {
    const known = this.#db.prepare('SELECT until FROM commands WHERE kind = ? AND id = ?').pluck();
    const living = this.#db
      .prepare('SELECT count(*) FROM commands WHERE kind = ? AND until BETWEEN ? AND ?')
      .pluck();
    const forget = this.#db.prepare(
      `DELETE FROM commands WHERE kind = ? AND until < ? AND until <=
       (SELECT until FROM commands WHERE kind = ? ORDER BY until DESC LIMIT 1 OFFSET ?)`,
    );
    const insert = this.#db.prepare('INSERT OR REPLACE INTO commands (kind, id, until) VALUES (?, ?, ?)');
    const wall = Math.floor(now);
    const end = Math.ceil(until);
    const before = known.get(kind, id) as number | undefined;
    if (before !== undefined && (before >= wall || before === end)) return 'repeated';
    if ((living.get(kind, wall, wall + FARTHEST_MS) as number) >= limit) return 'full';
    this.#db.transaction(() => {
      insert.run(kind, id, end);
      forget.run(kind, wall, kind, REMEMBERED);
    })();
    return 'claimed';
  }
}
