import { monotonicFactory } from 'ulid';
import { FacedError } from '../domain/errors.js';
import type { Consent } from '../pipeline/ports.js';
import type { Db } from './database.js';

interface Row {
  readonly id: string;
  readonly person_id: string;
  readonly version: string;
  readonly given_at: number;
  readonly recorded_at: number;
}

const LONGEST_VERSION = 100;

/** Which text somebody agreed to, and when. */
export class Consents {
  readonly #db: Db;
  readonly #ulid = monotonicFactory();

  constructor(db: Db) {
    this.#db = db;
  }

  /** To be called within a transaction that also writes the audit. */
  record({ person, version, givenAt }: Pick<Consent, 'person' | 'version' | 'givenAt'>): Consent {
    const consent = { id: this.#ulid(), person, version, givenAt, recordedAt: Date.now() };
    this.insert(consent);
    return consent;
  }

  insert({ id, person, version, givenAt, recordedAt }: Consent): void {
    const text = version.trim();
    if (text === '' || text.length > LONGEST_VERSION || !isTime(givenAt) || !isTime(recordedAt))
      throw new FacedError('gallery.invalid-consent', 'The consent names no version of a text, or no date.', {
        fix: `Name the version in 1 to ${LONGEST_VERSION} characters, and the day on which consent was given.`,
      });
    this.#db
      .prepare(`INSERT INTO consents (id, person_id, version, given_at, recorded_at) VALUES (?, ?, ?, ?, ?)
         ON CONFLICT DO NOTHING`)
      .run(id, person, text, givenAt, recordedAt);
  }

  list(person?: string): Consent[] {
    return this.#db
      .prepare<[string | null, string | null], Row>(
        'SELECT * FROM consents WHERE ? IS NULL OR person_id = ? ORDER BY id',
      )
      .all(person ?? null, person ?? null)
      .map((row) => ({
        id: row.id,
        person: row.person_id,
        version: row.version,
        givenAt: row.given_at,
        recordedAt: row.recorded_at,
      }));
  }
}

function isTime(milliseconds: number): boolean {
  return Number.isSafeInteger(milliseconds) && milliseconds >= 0 && milliseconds < 8.64e15;
}
