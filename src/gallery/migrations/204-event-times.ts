import type { Migration } from './index.js';

/**
 * When an event really was, milliseconds since 1970, where its id tells another time: it was recorded under a wrong clock.
 * What it ages from. The row of `meta` with the key `clock-run` says which events may still get one.
 */
export const eventTimes: Migration = {
  id: 204,
  additive: true,
  sql: `
    CREATE TABLE event_times (
      id TEXT PRIMARY KEY REFERENCES events (id) ON DELETE CASCADE,
      at INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
  `,
};
