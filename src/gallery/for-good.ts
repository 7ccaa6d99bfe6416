import type { Db } from './database.js';

/** Deletions in `work` also overwrite the pages: what is forgotten cannot be opened with the key later. */
export function forGood<Result>(db: Db, work: () => Result): Result {
  db.pragma('secure_delete = ON');
  try {
    return work();
  } finally {
    db.pragma('secure_delete = FAST');
  }
}

/** The log holds what was there before. When it cannot be emptied now, the next checkpoint does it. */
export function emptyLog(db: Db): void {
  try {
    db.pragma('wal_checkpoint(TRUNCATE)');
  } catch {
    // The deletion has been made and must not be reported as if it had not.
  }
}
