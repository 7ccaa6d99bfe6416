import type { Migration } from './index.js';

/** Ids of commands that were carried out, until their own `exp` refuses them: a repetition is known after a restart too. */
export const commands: Migration = {
  id: 202,
  sql: `
    CREATE TABLE commands (
      kind TEXT NOT NULL,
      id TEXT NOT NULL,
      until INTEGER NOT NULL,
      PRIMARY KEY (kind, id)
    ) STRICT, WITHOUT ROWID;
  `,
};
