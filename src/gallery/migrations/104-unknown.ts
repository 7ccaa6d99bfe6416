import type { Migration } from './index.js';

/** Faces of strangers, kept until `expires_at` and only when asked; `vector`, `about` (JSON) and `image` (JPEG) are sealed. */
export const unknown: Migration = {
  id: 104,
  sql: `
    CREATE TABLE unknown_faces (
      id TEXT PRIMARY KEY,
      group_id TEXT NOT NULL,
      space TEXT NOT NULL,
      vector BLOB NOT NULL,
      about BLOB NOT NULL,
      image BLOB,
      expires_at INTEGER NOT NULL
    ) STRICT;
    CREATE INDEX unknown_group ON unknown_faces (group_id);
    CREATE INDEX unknown_expiry ON unknown_faces (expires_at);
  `,
};
