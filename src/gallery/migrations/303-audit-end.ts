import type { Migration } from './index.js';

/** The newest row of the chain, sealed: whoever takes rows off its end cannot say that this was the end. Empty until the next opening. */
export const auditEnd: Migration = {
  id: 303,
  additive: true,
  sql: `
    CREATE TABLE audit_end (
      one INTEGER PRIMARY KEY CHECK (one = 1),
      sealed BLOB NOT NULL
    ) STRICT;
    INSERT INTO audit_end VALUES (1, x'');
  `,
};
