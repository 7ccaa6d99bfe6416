import type { Migration } from './index.js';

/** `name` and `vector` are sealed; `name_key` is a keyed hash. A tombstone says that an id was deleted, not whose it was. */
export const people: Migration = {
  id: 101,
  sql: `
    CREATE TABLE meta (key TEXT PRIMARY KEY, value ANY NOT NULL) STRICT, WITHOUT ROWID;
    INSERT INTO meta VALUES ('version', 0);
    CREATE TABLE people (
      id TEXT PRIMARY KEY,
      name BLOB NOT NULL,
      name_key BLOB NOT NULL UNIQUE,
      created_at INTEGER NOT NULL,
      updated_at INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE samples (
      id TEXT PRIMARY KEY,
      person_id TEXT NOT NULL REFERENCES people (id) ON DELETE CASCADE,
      space TEXT NOT NULL,
      vector BLOB NOT NULL,
      quality TEXT NOT NULL,
      created_at INTEGER NOT NULL
    ) STRICT;
    CREATE INDEX samples_person ON samples (person_id);
    CREATE TABLE tombstones (id TEXT PRIMARY KEY, deleted_at INTEGER NOT NULL) STRICT, WITHOUT ROWID;
  `,
};
