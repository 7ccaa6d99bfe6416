import type { Migration } from './index.js';

/** Aligned crops (JPEG) of samples, sealed; only with `gallery.keepImages`. They go with their sample. */
export const images: Migration = {
  id: 102,
  sql: `
    CREATE TABLE images (
      sample_id TEXT PRIMARY KEY REFERENCES samples (id) ON DELETE CASCADE,
      image BLOB NOT NULL
    ) STRICT;
  `,
};
