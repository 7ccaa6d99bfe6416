import { randomBytes } from 'node:crypto';
import { chmod, copyFile, open, rename, rm, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import Database from 'better-sqlite3';
import { FacedError } from '../domain/errors.js';
import type { BackupInfo } from '../pipeline/ports.js';
import type { Db } from './database.js';
import { EventLog } from './event-log.js';
import { forGood } from './for-good.js';
import type { Sealer } from './seal.js';

/** Pages copied at a time; between two steps other calls are served. */
const STEP_PAGES = 256;

/** SQLite's online backup. Strangers' faces, which are kept for a while only, are not in it. */
export function backupTo(db: Db, path: string, onProgress?: () => void): Promise<BackupInfo> {
  return writeCopy(path, async (temporary) => {
    const progress = () => {
      onProgress?.();
      return STEP_PAGES;
    };
    await db.backup(temporary, { progress });
    return (copy) => {
      if (hasTable(copy, 'unknown_faces')) forGood(copy, () => copy.exec('DELETE FROM unknown_faces'));
      copy.prepare("INSERT OR REPLACE INTO meta (key, value) VALUES ('backup-at', ?)").run(Date.now());
    };
  });
}

/** What was deleted from a gallery, which older copies of it may still hold. */
export interface Deleted {
  /** Ids of people and samples, and when. */
  readonly ids: ReadonlyMap<string, number>;
  /** Samples that are there without a picture: a picture that a copy has of them was deleted. */
  readonly withoutImage: ReadonlySet<string>;
}

export const NOTHING_DELETED: Deleted = { ids: new Map(), withoutImage: new Set() };

export function deletedFrom(db: Db): Deleted {
  const rows = db.prepare('SELECT id, deleted_at FROM tombstones').raw().all() as [string, number][];
  const withoutImage = hasTable(db, 'images')
    ? db.prepare('SELECT id FROM samples WHERE id NOT IN (SELECT sample_id FROM images)').pluck().all()
    : [];
  return { ids: new Map(rows), withoutImage: new Set(withoutImage as string[]) };
}

/** A database from before a migration may have no such table yet. */
function hasTable(db: Db, name: string): boolean {
  return db.prepare("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?").get(name) !== undefined;
}

/** Takes out of a backup what was deleted since; the file is whole at every moment. Answers how many people went. */
export async function purgeCopy(path: string, deleted: Deleted, sealer: Sealer): Promise<number> {
  mustOpenWith(path, sealer);
  if (!holdsDeleted(path, deleted)) return 0;
  let people = 0;
  await writeCopy(path, async (temporary) => {
    await copyFile(path, temporary);
    return async (copy) => {
      people = await bury(copy, deleted, sealer);
    };
  });
  return people;
}

/** Deletes from an open copy what was deleted, with the names in its events. Answers how many people went. */
export async function bury(copy: Db, { ids, withoutImage }: Deleted, sealer: Sealer): Promise<number> {
  copy.pragma('foreign_keys = ON');
  const person = copy.prepare('DELETE FROM people WHERE id = ?');
  const sample = copy.prepare('DELETE FROM samples WHERE id = ?');
  const image = hasTable(copy, 'images') ? copy.prepare('DELETE FROM images WHERE sample_id = ?') : null;
  const stone = copy.prepare('INSERT INTO tombstones (id, deleted_at) VALUES (?, ?) ON CONFLICT DO NOTHING');
  const gone: string[] = [];
  forGood(
    copy,
    copy.transaction(() => {
      for (const [id, deletedAt] of ids) {
        if (person.run(id).changes > 0) gone.push(id);
        sample.run(id);
        stone.run(id, deletedAt);
      }
      for (const id of imagesIn(copy, withoutImage)) image?.run(id);
    }),
  );
  const log = new EventLog(copy, sealer, { outboxLimit: 0, retentionDays: 0, eventLimit: 0 });
  log.load();
  for (const id of gone) await log.redact(id);
  copy.exec('VACUUM');
  return gone.length;
}

/**
 * Makes a database beside `path`, lets `write` fill it and the answered function change it, checks and syncs it, and
 * only then gives it its name.
 */
export async function writeCopy(
  path: string,
  write: (temporary: string) => Promise<(copy: Db) => void | Promise<void>>,
): Promise<BackupInfo> {
  const temporary = `${path}.${process.pid}.${randomBytes(4).toString('hex')}.tmp`;
  try {
    const folder = await open(dirname(path), 'r');
    try {
      const change = await write(temporary);
      await chmod(temporary, 0o600);
      const info = await finish(temporary, change);
      const file = await open(temporary, 'r+');
      await file.sync().finally(() => file.close());
      await rename(temporary, path);
      await folder.sync();
      return { ...info, bytes: (await stat(path)).size };
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

/** What is told of the key: enough to know it again, nothing that helps to find it. */
export function keyIdOf(keyCheck: Uint8Array): string {
  return Buffer.from(keyCheck.subarray(0, 8)).toString('hex');
}

/** The value by which a copy's key is known. */
export function keyCheckOf(copy: Db): Buffer {
  const check = copy.prepare("SELECT value FROM meta WHERE key = 'key-check'").pluck().get();
  if (check instanceof Buffer) return check;
  throw new FacedError('gallery.corrupt', 'The file does not say which key opens it.', {
    fix: 'Use another backup.',
  });
}

/** What a copy says of itself. */
export function describeCopy(copy: Db): Omit<BackupInfo, 'bytes'> {
  const count = (table: string) => copy.prepare(`SELECT count(*) FROM ${table}`).pluck().get() as number;
  const madeAt = copy.prepare("SELECT value FROM meta WHERE key = 'backup-at'").pluck().get();
  return {
    madeAt: typeof madeAt === 'number' ? madeAt : 0,
    keyId: keyIdOf(keyCheckOf(copy)),
    people: count('people'),
    samples: count('samples'),
  };
}

/** One file that needs no log beside it, and is whole. */
async function finish(
  path: string,
  change: (copy: Db) => void | Promise<void>,
): Promise<Omit<BackupInfo, 'bytes'>> {
  const copy = new Database(path);
  try {
    copy.pragma('journal_mode = DELETE');
    await change(copy);
    const [problem] = integrityProblems(copy);
    if (problem !== undefined)
      throw new FacedError('gallery.corrupt', `The copy is damaged: ${problem}`, {
        fix: 'Look at the kernel log (dmesg) for errors of the disk, and write the backup to another one.',
      });
    return describeCopy(copy);
  } finally {
    copy.close();
  }
}

/** Looks without writing: an old backup in which nothing was deleted is not written again at every turn. */
function holdsDeleted(path: string, { ids, withoutImage }: Deleted): boolean {
  const copy = new Database(path, { readonly: true, fileMustExist: true });
  try {
    const there = copy.prepare('SELECT id FROM people UNION ALL SELECT id FROM samples').pluck().all();
    return (there as string[]).some((id) => ids.has(id)) || imagesIn(copy, withoutImage).length > 0;
  } finally {
    copy.close();
  }
}

/** Which of these samples have a picture in a copy. */
function imagesIn(copy: Db, samples: ReadonlySet<string>): string[] {
  if (samples.size === 0 || !hasTable(copy, 'images')) return [];
  const pictured = copy.prepare('SELECT sample_id FROM images').pluck().all() as string[];
  return pictured.filter((id) => samples.has(id));
}

function mustOpenWith(path: string, sealer: Sealer): void {
  const copy = new Database(path, { readonly: true, fileMustExist: true });
  try {
    const check = keyCheckOf(copy);
    if (!check.equals(sealer.check))
      throw new FacedError(
        'gallery.key-wrong',
        `${path} is sealed with the key ${keyIdOf(check)}, not with ours.`,
        {
          fix: 'Delete this backup if it is of no use any more, or keep it with its key elsewhere.',
        },
      );
  } finally {
    copy.close();
  }
}
