import type { Migration } from './index.js';

/** Accounts, sessions, tokens and what else decides who may ask over HTTP. Bodies are sealed; of secrets they hold hashes. */
export const access: Migration = {
  id: 501,
  sql: `
    CREATE TABLE access (
      kind TEXT NOT NULL,
      id TEXT NOT NULL,
      body BLOB NOT NULL,
      PRIMARY KEY (kind, id)
    ) STRICT, WITHOUT ROWID;
  `,
};
