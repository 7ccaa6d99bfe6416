import type { Db } from './database.js';
import type { Sealer } from './seal.js';

/** A place in the chain: the number of a row and its hash. */
export interface ChainPlace {
  readonly seq: number;
  readonly hash: Buffer;
}

const PURPOSE = 'audit-end';
const SEQ_BYTES = 8;

/**
 * Where the audit's chain ends, sealed with the gallery's key and moved in the transaction of each row. Without it the
 * newest rows could be taken off and what is left would still be whole. Whoever puts an older copy of both there, or
 * empties it so that it is begun anew, is found by a head that was kept elsewhere, and only by that.
 */
export class AuditEnd {
  readonly #db: Db;
  readonly #sealer: Sealer;
  /** A backup of a version before this one has no such table; it is made when the restored gallery is opened. */
  readonly #kept: boolean;

  constructor(db: Db, sealer: Sealer) {
    this.#db = db;
    this.#sealer = sealer;
    this.#kept =
      db.prepare("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'audit_end'").get() !==
      undefined;
  }

  /** What counts as the end when the table is new. */
  begin(place: ChainPlace): void {
    if (this.#sealed()?.length === 0) this.move(place);
  }

  /** To be called within the transaction that writes the row. */
  move({ seq, hash }: ChainPlace): void {
    if (!this.#kept) return;
    const place = Buffer.alloc(SEQ_BYTES + hash.length);
    place.writeBigUInt64BE(BigInt(seq));
    hash.copy(place, SEQ_BYTES);
    this.#db
      .prepare(
        'INSERT INTO audit_end (one, sealed) VALUES (1, ?) ON CONFLICT DO UPDATE SET sealed = excluded.sealed',
      )
      .run(this.#sealer.seal(place, [PURPOSE]));
  }

  /** Null when it is not there, or not ours. */
  read(): ChainPlace | null {
    const sealed = this.#sealed();
    if (sealed === undefined) return null;
    try {
      const place = this.#sealer.open(sealed, [PURPOSE]);
      return { seq: Number(place.readBigUInt64BE()), hash: Buffer.from(place.subarray(SEQ_BYTES)) };
    } catch {
      return null;
    }
  }

  #sealed(): Buffer | undefined {
    if (!this.#kept) return undefined;
    return this.#db.prepare('SELECT sealed FROM audit_end').pluck().get() as Buffer | undefined;
  }
}
