import type { Migration } from './index.js';

/** People whose names are still to be taken out of stored events: a power cut in the middle of that work does not end it. */
export const redactions: Migration = {
  id: 203,
  sql: 'CREATE TABLE redactions (person_id TEXT PRIMARY KEY) STRICT, WITHOUT ROWID;',
};
