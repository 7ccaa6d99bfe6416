import { monotonicFactory } from 'ulid';
import type { Embedding, EmbeddingSpace } from '../domain/embedding.js';
import { FacedError } from '../domain/errors.js';
import type { FaceQuality } from '../domain/face.js';
import { normaliseName } from '../domain/name.js';
import type { Match, Person, PersonRef } from '../domain/person.js';
import type { Enrolment, GalleryCounts, NewSample, OwnSample, SampleInfo } from '../pipeline/ports.js';
import type { Db } from './database.js';
import { emptyLog, forGood } from './for-good.js';
import type { Sealer } from './seal.js';
import type { SampleSearch } from './search.js';

interface PersonRow {
  readonly id: string;
  readonly name: Buffer;
  readonly created_at: number;
  readonly updated_at: number;
  readonly samples: number;
}

export interface SampleRow {
  readonly id: string;
  readonly person_id: string;
  readonly space: EmbeddingSpace;
  readonly vector: Buffer;
  readonly quality: string;
  readonly created_at: number;
}

/** A sample as it is written and then indexed. */
export interface StoredSample {
  readonly id: string;
  readonly person: string;
  readonly embedding: Embedding;
  readonly quality: FaceQuality;
  readonly createdAt: number;
  /** JPEG. */
  readonly image?: Uint8Array;
}

/** Samples that one person may have: more do not make the recognition better, and memory and export are bounded. */
const SAMPLES_LIMIT = 1_000;

/**
 * People and their samples. The database is changed first, in one transaction; what is kept in memory (names, vectors)
 * follows only after it has committed, so that after an error both are as before.
 */
export class People {
  readonly #db: Db;
  readonly #sealer: Sealer;
  readonly #search: SampleSearch;
  readonly #names = new Map<string, string>();
  readonly #ulid = monotonicFactory();

  constructor(db: Db, sealer: Sealer, search: SampleSearch) {
    this.#db = db;
    this.#sealer = sealer;
    this.#search = search;
  }

  /** Reads everything into memory. */
  load(): void {
    for (const row of this.#db.prepare<[], PersonRow>('SELECT id, name FROM people').iterate())
      this.#names.set(row.id, this.openName(row));
    for (const row of this.#db.prepare<[], SampleRow>('SELECT * FROM samples ORDER BY id').iterate())
      this.#search.add(row.space, { id: row.id, person: row.person_id, vector: this.openVector(row) });
  }

  list(): Person[] {
    const rows = this.#db
      .prepare<[], PersonRow>(
        `SELECT *, (SELECT count(*) FROM samples WHERE person_id = people.id) AS samples
         FROM people ORDER BY id`,
      )
      .all();
    return rows.map((row) => ({
      id: row.id,
      name: this.openName(row),
      samples: row.samples,
      createdAt: row.created_at,
      updatedAt: row.updated_at,
    }));
  }

  ensure(name: string): PersonRef {
    const normal = normaliseName(name);
    const found = this.findByName(normal);
    if (found !== undefined) return { id: found, name: normal };
    const id = this.#ulid();
    const now = Date.now();
    this.change(() => this.insertPerson({ id, name: normal, createdAt: now, updatedAt: now }));
    this.nameChanged(id, normal);
    return { id, name: normal };
  }

  /** `within` runs in the same transaction, here and below. */
  rename(id: string, name: string, within: () => void = () => {}): void {
    const normal = normaliseName(name);
    this.mustExist(id);
    const holder = this.findByName(normal);
    if (holder !== undefined && holder !== id)
      throw new FacedError('gallery.invalid-name', 'Another person has this name.', {
        fix: 'Choose another name, or remove one of the two people.',
      });
    this.change(() => {
      this.updateName(id, normal, Date.now());
      within();
    });
    this.nameChanged(id, normal);
  }

  remove(id: string, within: () => void = () => {}): void {
    this.mustExist(id);
    const samples = this.#sampleIds(id);
    this.changeForGood(() => {
      this.#db.prepare('DELETE FROM people WHERE id = ?').run(id);
      this.#bury(id);
      within();
    });
    for (const sample of samples) this.#search.remove(sample);
    this.#names.delete(id);
    this.emptyLog();
  }

  addSamples(person: string, samples: readonly NewSample[], within: () => void = () => {}): string[] {
    this.mustExist(person);
    const now = Date.now();
    const stored = this.#stored(person, samples, now);
    this.#mustHaveRoom(person, stored.length);
    if (stored.length === 0) return [];
    this.change(() => {
      for (const sample of stored) this.insertSample(sample);
      this.#touch(person, now);
      within();
    });
    for (const sample of stored) this.indexed(sample);
    return stored.map(({ id }) => id);
  }

  /** `within` is given the person's id. */
  enroll(
    { name, add, remove }: Pick<Enrolment, 'name' | 'add' | 'remove'>,
    within: (person: string) => void,
  ): { person: PersonRef; samples: string[] } {
    const normal = normaliseName(name);
    const known = this.findByName(normal);
    const id = known ?? this.#ulid();
    const now = Date.now();
    const stored = this.#stored(id, add, now);
    for (const sample of remove) this.#mustBeOf(sample, known);
    if (known !== undefined) this.#mustHaveRoom(known, stored.length - remove.length);
    const work = () => {
      if (known === undefined) this.insertPerson({ id, name: normal, createdAt: now, updatedAt: now });
      for (const sample of remove) this.#deleteSample(sample);
      for (const sample of stored) this.insertSample(sample);
      this.#touch(id, now);
      within(id);
    };
    if (remove.length > 0) this.changeForGood(work);
    else this.change(work);
    this.nameChanged(id, normal);
    for (const sample of remove) this.#search.remove(sample);
    for (const sample of stored) this.indexed(sample);
    return { person: { id, name: normal }, samples: stored.map((sample) => sample.id) };
  }

  ownSamples(person: string, space: EmbeddingSpace): OwnSample[] {
    this.mustExist(person);
    return this.#db
      .prepare<[string, string], SampleRow>(
        'SELECT * FROM samples WHERE person_id = ? AND space = ? ORDER BY id',
      )
      .all(person, space)
      .map((row) => ({
        id: row.id,
        embedding: { space: row.space, vector: this.openVector(row) },
        quality: JSON.parse(row.quality) as FaceQuality,
      }));
  }

  /** Another model's embeddings in the place of those that samples have. */
  replace(changes: readonly { sample: string; embedding: Embedding }[]): void {
    const select = this.#db.prepare<[string], string>('SELECT person_id FROM samples WHERE id = ?').pluck();
    const update = this.#db.prepare('UPDATE samples SET space = ?, vector = ? WHERE id = ?');
    const planned = changes.map(({ sample, embedding }) => {
      const person = select.get(sample);
      if (person === undefined) throw notFound('sample', sample);
      this.checkEmbedding(embedding, changes[0]?.embedding);
      return { id: sample, person, embedding };
    });
    this.change(() => {
      for (const { id, person, embedding } of planned)
        update.run(embedding.space, this.#sealVector(id, person, embedding), id);
    });
    for (const { id, person, embedding } of planned) {
      this.#search.remove(id);
      this.#search.add(embedding.space, { id, person, vector: embedding.vector });
    }
  }

  samples(person: string): SampleInfo[] {
    this.mustExist(person);
    return this.#db
      .prepare<[string], SampleRow & { image: number }>(
        `SELECT *, EXISTS (SELECT 1 FROM images WHERE sample_id = samples.id) AS image
         FROM samples WHERE person_id = ? ORDER BY id`,
      )
      .all(person)
      .map((row) => ({
        id: row.id,
        space: row.space,
        quality: JSON.parse(row.quality) as FaceQuality,
        createdAt: row.created_at,
        image: row.image === 1,
      }));
  }

  /** `within` is given the id of whose it was. */
  removeSample(id: string, within: (person: string) => void = () => {}): void {
    if (!this.#search.has(id)) throw notFound('sample', id);
    const owner = this.#db.prepare('SELECT person_id FROM samples WHERE id = ?').pluck().get(id) as string;
    this.changeForGood(() => {
      this.#deleteSample(id);
      within(owner);
    });
    this.#search.remove(id);
    this.emptyLog();
  }

  counts(space: EmbeddingSpace): GalleryCounts {
    const version = this.#db.prepare("SELECT value FROM meta WHERE key = 'version'").pluck().get() as number;
    const samples = this.#search.sizeOf(space);
    return { version, people: this.#names.size, samples, otherSpaces: this.#search.size - samples };
  }

  match(embedding: Embedding): Match | null {
    mustBeUnit(embedding);
    const nearest = this.#search.nearest(embedding);
    if (nearest === null) return null;
    const { owner, similarity, runnerUp } = nearest;
    return {
      person: { id: owner, name: this.#names.get(owner) ?? '' },
      similarity: cosine(similarity),
      runnerUp: runnerUp === null ? null : cosine(runnerUp),
    };
  }

  // ---- also for joining another device's people ------------------------------------------------

  /** One transaction that also moves the gallery's version. */
  change(work: () => void): void {
    this.#db.transaction(() => {
      work();
      this.#db.prepare("UPDATE meta SET value = value + 1 WHERE key = 'version'").run();
    })();
  }

  has(person: string): boolean {
    return this.#names.has(person);
  }

  hasSample(id: string): boolean {
    return this.#search.has(id);
  }

  findByName(normalName: string): string | undefined {
    return this.#db
      .prepare<[Buffer], string>('SELECT id FROM people WHERE name_key = ?')
      .pluck()
      .get(this.#sealer.nameKey(normalName)) as string | undefined;
  }

  insertPerson(person: Omit<Person, 'samples'>): void {
    const { id, name, createdAt, updatedAt } = person;
    this.#db
      .prepare('INSERT INTO people (id, name, name_key, created_at, updated_at) VALUES (?, ?, ?, ?, ?)')
      .run(id, this.#sealer.seal(name, ['name', id]), this.#sealer.nameKey(name), createdAt, updatedAt);
  }

  updateName(id: string, name: string, updatedAt: number): void {
    this.#db
      .prepare('UPDATE people SET name = ?, name_key = ?, updated_at = ? WHERE id = ?')
      .run(this.#sealer.seal(name, ['name', id]), this.#sealer.nameKey(name), updatedAt, id);
  }

  insertSample(sample: StoredSample): void {
    const { id, person, embedding, quality, createdAt, image } = sample;
    const vector = this.#sealVector(id, person, embedding);
    this.#db
      .prepare(`INSERT INTO samples (id, person_id, space, vector, quality, created_at)
         VALUES (?, ?, ?, ?, ?, ?)`)
      .run(id, person, embedding.space, vector, JSON.stringify(quality), createdAt);
    if (image !== undefined)
      this.#db
        .prepare('INSERT INTO images (sample_id, image) VALUES (?, ?)')
        .run(id, this.#sealer.seal(image, ['image', id]));
  }

  nameChanged(id: string, name: string): void {
    this.#names.set(id, name);
  }

  indexed({ id, person, embedding }: StoredSample): void {
    this.#search.add(embedding.space, { id, person, vector: embedding.vector });
  }

  /** `first`: another embedding of the same change, for a space that has no samples yet. */
  checkEmbedding(embedding: Embedding, first?: Embedding): void {
    const { space, vector } = embedding;
    const peer = first?.space === space ? first.vector.length : undefined;
    const dimension = this.#search.dimensionOf(space) ?? peer ?? vector.length;
    if (vector.length !== dimension)
      throw new FacedError('space.mismatch', `Embeddings of ${space} have ${dimension} dimensions here.`, {
        fix: 'Two models claim the same embedding space: correct the card of one of them.',
      });
    mustBeUnit(embedding);
  }

  openName(row: { readonly id: string; readonly name: Buffer }): string {
    return this.#sealer.open(row.name, ['name', row.id]).toString('utf8');
  }

  openVector(row: SampleRow): Float32Array {
    const bytes = this.#sealer.open(row.vector, ['sample', row.id, row.person_id, row.space]);
    const vector = new Float32Array(bytes.length / 4);
    new Uint8Array(vector.buffer).set(bytes);
    return vector;
  }

  mustExist(person: string): void {
    if (!this.#names.has(person)) throw notFound('person', person);
  }

  #sampleIds(person: string): string[] {
    return this.#db.prepare('SELECT id FROM samples WHERE person_id = ?').pluck().all(person) as string[];
  }

  #stored(person: string, samples: readonly NewSample[], now: number): StoredSample[] {
    for (const { embedding } of samples) this.checkEmbedding(embedding, samples[0]?.embedding);
    return samples.map((sample) => ({ ...sample, id: this.#ulid(), person, createdAt: now }));
  }

  #mustHaveRoom(person: string, more: number): void {
    if (this.#sampleIds(person).length + more <= SAMPLES_LIMIT) return;
    throw new FacedError('gallery.invalid-sample', `A person may have ${SAMPLES_LIMIT} samples.`, {
      fix: 'Remove some of the samples first.',
    });
  }

  #mustBeOf(sample: string, person: string | undefined): void {
    const owner = this.#db.prepare('SELECT person_id FROM samples WHERE id = ?').pluck().get(sample);
    if (person === undefined || owner !== person) throw notFound('sample', sample);
  }

  #deleteSample(id: string): void {
    this.#db.prepare('DELETE FROM samples WHERE id = ?').run(id);
    this.#bury(id);
  }

  #touch(person: string, now: number): void {
    this.#db.prepare('UPDATE people SET updated_at = ? WHERE id = ?').run(now, person);
  }

  #sealVector(id: string, person: string, { space, vector }: Embedding): Buffer {
    const bytes = new Uint8Array(vector.buffer, vector.byteOffset, vector.byteLength);
    return this.#sealer.seal(bytes, ['sample', id, person, space]);
  }

  #bury(id: string): void {
    this.#db
      .prepare(
        `INSERT INTO tombstones (id, deleted_at) VALUES (?, ?)
         ON CONFLICT DO UPDATE SET deleted_at = excluded.deleted_at`,
      )
      .run(id, Date.now());
  }

  /** The deletion also overwrites the pages: what is forgotten cannot be opened with the key later. */
  changeForGood(work: () => void): void {
    forGood(this.#db, () => this.change(work));
  }

  emptyLog(): void {
    emptyLog(this.#db);
  }
}

/** Also stops NaN, which no comparison in the search would. */
function mustBeUnit({ space, vector }: Embedding): void {
  const squares = vector.reduce((sum, value) => sum + value * value, 0);
  if (space === '' || !(Math.abs(squares - 1) < 1e-3))
    throw new FacedError('gallery.invalid-sample', 'An embedding is not a unit vector with a space.', {
      fix: 'Enrol the picture again; if it was imported, export it again.',
    });
}

/** Rounding may take the product of two unit vectors a little past 1. */
function cosine(product: number): number {
  return Math.max(-1, Math.min(1, product));
}

function notFound(what: string, id: string): FacedError {
  return new FacedError('gallery.not-found', `There is no ${what} ${id}.`, {
    fix: 'List the people to see their ids.',
  });
}
