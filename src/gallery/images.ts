import type { EmbeddingSpace } from '../domain/embedding.js';
import type { Reembedding } from '../pipeline/ports.js';
import type { Db } from './database.js';
import { bounded } from './event-log.js';
import { emptyLog, forGood } from './for-good.js';
import type { Sealer } from './seal.js';

interface ImageRow {
  readonly sample_id: string;
  readonly image: Buffer;
}

/** Pictures of samples: aligned crops as JPEG, sealed like the embeddings. */
export class SampleImages {
  readonly #db: Db;
  readonly #sealer: Sealer;

  constructor(db: Db, sealer: Sealer) {
    this.#db = db;
    this.#sealer = sealer;
  }

  of(sample: string): Uint8Array | null {
    const row = this.#db.prepare<[string], ImageRow>('SELECT * FROM images WHERE sample_id = ?').get(sample);
    return row === undefined ? null : this.#open(row);
  }

  waiting(space: EmbeddingSpace): Reembedding {
    return this.#db
      .prepare(
        `SELECT count(image) AS waiting, count(*) - count(image) AS withoutImage
         FROM samples LEFT JOIN images ON sample_id = id WHERE space <> ?`,
      )
      .get(space) as Reembedding;
  }

  toReembed(filter: { space: EmbeddingSpace; after?: string; limit: number }): {
    sample: string;
    image: Uint8Array;
  }[] {
    return this.#db
      .prepare<[string, string, number], ImageRow>(
        `SELECT sample_id, image FROM samples JOIN images ON sample_id = id
         WHERE space <> ? AND id > ? ORDER BY id LIMIT ?`,
      )
      .all(filter.space, filter.after ?? '', bounded(filter.limit))
      .map((row) => ({ sample: row.sample_id, image: this.#open(row) }));
  }

  /** `within` runs in the same transaction. */
  forget(within: (images: number) => void = () => {}): number {
    const changes = forGood(
      this.#db,
      this.#db.transaction(() => {
        const deleted = this.#db.prepare('DELETE FROM images').run().changes;
        within(deleted);
        return deleted;
      }),
    );
    if (changes > 0) emptyLog(this.#db);
    return changes;
  }

  #open({ sample_id, image }: ImageRow): Uint8Array {
    // A copy: a view into a larger buffer would take all of that buffer across to the caller's thread.
    return new Uint8Array(this.#sealer.open(image, ['image', sample_id]));
  }
}
