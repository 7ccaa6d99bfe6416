import type { Migration } from './index.js';

/**
 * Bodies and payloads name people and are sealed. The highest `seq` ever given is the highest in the table or, when
 * that is empty, `acknowledged`: it needs no counter of its own that each event would have to write.
 */
export const events: Migration = {
  id: 201,
  sql: `
    CREATE TABLE events (id TEXT PRIMARY KEY, body BLOB NOT NULL) STRICT, WITHOUT ROWID;
    CREATE TABLE outbox (seq INTEGER PRIMARY KEY, topic TEXT NOT NULL, payload BLOB NOT NULL) STRICT;
    CREATE TABLE outbox_state (
      one INTEGER PRIMARY KEY CHECK (one = 1),
      acknowledged INTEGER NOT NULL,
      dropped INTEGER NOT NULL
    ) STRICT;
    INSERT INTO outbox_state VALUES (1, 0, 0);
  `,
};
