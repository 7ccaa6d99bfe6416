import type { Migration } from './index.js';

/** Who agreed to which text, and when. That it was withdrawn stands in the audit: the person, and this row, are gone then. */
export const consents: Migration = {
  id: 103,
  sql: `
    CREATE TABLE consents (
      id TEXT PRIMARY KEY,
      person_id TEXT NOT NULL REFERENCES people (id) ON DELETE CASCADE,
      version TEXT NOT NULL,
      given_at INTEGER NOT NULL,
      recorded_at INTEGER NOT NULL
    ) STRICT;
    CREATE INDEX consents_person ON consents (person_id);
  `,
};
