import { randomBytes } from 'node:crypto';
import { chmod, open, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import Database from 'better-sqlite3';
import { FacedError } from '../domain/errors.js';
import type { Db } from './database.js';

/** Pages copied at a time; between two steps other calls are served. */
const STEP_PAGES = 256;

/** SQLite's online backup into a temporary file, which takes its name after it was checked and synced. */
export async function backupTo(db: Db, path: string): Promise<void> {
  const temporary = `${path}.${process.pid}.${randomBytes(4).toString('hex')}.tmp`;
  try {
    const folder = await open(dirname(path), 'r');
    try {
      await db.backup(temporary, { progress: () => STEP_PAGES });
      await chmod(temporary, 0o600);
      const problems = finish(temporary);
      if (problems.length > 0)
        throw new FacedError('gallery.corrupt', `The copy is damaged: ${problems[0]}`, {
          fix: 'Look at the kernel log (dmesg) for errors of the disk, and write the backup to another one.',
        });
      const copy = await open(temporary, 'r+');
      await copy.sync().finally(() => copy.close());
      await rename(temporary, path);
      await folder.sync();
    } finally {
      await folder.close();
    }
  } catch (error) {
    for (const suffix of ['', '-journal', '-wal', '-shm']) await rm(`${temporary}${suffix}`, { force: true });
    throw error;
  }
}

/** Empty when the database is sound. */
export function integrityProblems(db: Db): string[] {
  const lines = db.pragma('integrity_check(100)') as { integrity_check: string }[];
  const foreign = db.pragma('foreign_key_check') as { table: string; rowid: number }[];
  return [
    ...lines.map((line) => line.integrity_check).filter((line) => line !== 'ok'),
    ...foreign.map(({ table, rowid }) => `row ${rowid} of ${table} belongs to nothing`),
  ];
}

/** One file that needs no log beside it, and is whole. */
function finish(path: string): string[] {
  const copy = new Database(path);
  try {
    copy.pragma('journal_mode = DELETE');
    return integrityProblems(copy);
  } finally {
    copy.close();
  }
}
