import {
  accessSync,
  closeSync,
  existsSync,
  openSync,
  readFileSync,
  readSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { FacedError } from '../domain/errors.js';
import { type KeyOptions, keySource, loadKey } from './key.js';
import { formOf, type Migrated, migrate, unknownTo } from './migrate.js';
import { MIGRATIONS, type Migration } from './migrations/index.js';
import { Sealer } from './seal.js';

export type Db = Database.Database;

/** 'FACD': SQLite's application id, by which a database is known to be ours. */
const APPLICATION_ID = 0x46414344;
const MAGIC = 'SQLite format 3\0';
/** Long enough for a short command to finish before us, short enough to be told about a daemon at once. */
const LOCK_WAIT_MS = 500;

export interface OpenOptions extends KeyOptions {
  /** Pages that the file may have; for tests of a full disk. */
  readonly maxPages?: number | undefined;
  readonly migrations?: readonly Migration[] | undefined;
  /** A piece of the copy before a migration is written, or a migration is done. */
  readonly onProgress?: (() => void) | undefined;
}

/** An open gallery: the database, the lock on its directory, and the key. */
export interface OpenGallery {
  readonly db: Db;
  readonly sealer: Sealer;
  /** What it was brought through to this version's form; null when it had that already. */
  readonly migrated: Migrated | null;
  /** Additions of newer versions, which this one does without. */
  readonly ahead: readonly number[];
  close(): void;
}

/**
 * Takes the lock, looks at the file without changing it, loads the key, and only then opens for writing, makes a copy
 * and applies what migrations are missing. Throws `gallery.locked`, `.corrupt`, `.newer`, `.key-unusable`, `.key-wrong`, or what
 * SQLite threw.
 */
export async function openGallery(options: OpenOptions): Promise<OpenGallery> {
  const migrations = options.migrations ?? MIGRATIONS;
  const path = join(options.directory, 'gallery.db');
  const release = takeLock(options.directory);
  let db: Db | undefined;
  try {
    const found = inspectFile(path, migrations);
    const source = keySource(options);
    const sealer = new Sealer(await loadKey(source, found.keyCheck === undefined));
    if (found.keyCheck !== undefined && !sealer.check.equals(found.keyCheck))
      throw new FacedError('gallery.key-wrong', `The gallery was not made with the key in ${source.path}.`, {
        fix: 'Give the key that the gallery was made with: systemd credential faced.key, then the configured key file, then gallery.key in the state directory.',
      });
    // SQLite gives the log the same mode as the database.
    closeSync(openSync(path, 'a', 0o600));
    db = new Database(path, { timeout: LOCK_WAIT_MS });
    configure(db, options);
    const migrated = await migrate(db, migrations, {
      stateDir: found.keyCheck === undefined ? null : options.directory,
      onProgress: options.onProgress,
    });
    if (found.keyCheck === undefined)
      db.prepare("INSERT INTO meta (key, value) VALUES ('key-check', ?)").run(sealer.check);
    const opened = db;
    return {
      db: opened,
      sealer,
      migrated,
      ahead: found.ahead,
      close: () => {
        opened.close();
        release();
      },
    };
  } catch (error) {
    db?.close();
    release();
    throw error;
  }
}

/**
 * One process for each state directory: an exclusive SQLite transaction on an empty file that is never written. It
 * is a lock of the kernel, so it ends with its process, however that ends; `gallery.pid` only names the owner.
 */
export function takeLock(directory: string): () => void {
  const pidFile = join(directory, 'gallery.pid');
  // better-sqlite3 would say it without a code.
  accessSync(directory);
  const lock = new Database(join(directory, 'gallery.lock'), { timeout: LOCK_WAIT_MS });
  try {
    lock.exec('BEGIN EXCLUSIVE');
  } catch (cause) {
    lock.close();
    if (!(cause instanceof Database.SqliteError) || cause.code !== 'SQLITE_BUSY') throw cause;
    const pid = existsSync(pidFile) ? readFileSync(pidFile, 'utf8').trim() : 'unknown';
    throw new FacedError('gallery.locked', `The state directory ${directory} is in use by process ${pid}.`, {
      fix: 'Stop that process, or give this one another state directory (FACED_STATE_DIR).',
      cause,
    });
  }
  try {
    writeFileSync(pidFile, `${process.pid}\n`);
  } catch {
    // Only a courtesy to whoever finds the lock taken; a full disk is reported by what needs the space.
  }
  return () => {
    rmSync(pidFile, { force: true });
    lock.close();
  };
}

interface Found {
  /** Migrations that only add and that this program does not have. */
  readonly ahead: readonly number[];
  readonly keyCheck: Buffer | undefined;
}

/** Reads a database file as it lies there and changes nothing; nobody may have it open for writing. */
export function inspectFile(path: string, migrations: readonly Migration[]): Found {
  const nothing: Found = { ahead: [], keyCheck: undefined };
  const header = existsSync(path) ? firstBytes(path, 100) : Buffer.alloc(0);
  if (header.length === 0) return nothing;
  if (header.toString('latin1', 0, 16) !== MAGIC || header.readUInt32BE(68) !== APPLICATION_ID)
    throw new FacedError(
      'gallery.corrupt',
      `${path} is damaged or not a gallery of faced; it was left as it is.`,
      {
        fix: 'Restore a backup of the state directory, or move the file away to begin anew.',
      },
    );
  const db = new Database(path, { readonly: true, fileMustExist: true, timeout: LOCK_WAIT_MS });
  try {
    const { breaking, additive } = unknownTo(migrations, formOf(db));
    if (breaking.length > 0)
      throw new FacedError(
        'gallery.newer',
        `${path} was brought by a newer faced to a form that this version cannot read (${breaking.join(', ')}).`,
        {
          fix: 'Install that version again, or restore the copy that it made before (folder before-migration); the database was left as it is.',
        },
      );
    const tables = db.prepare("SELECT name FROM sqlite_master WHERE type = 'table'").pluck().all();
    const keyCheck = tables.includes('meta')
      ? (db.prepare("SELECT value FROM meta WHERE key = 'key-check'").pluck().get() as Buffer | undefined)
      : undefined;
    return { ahead: additive, keyCheck };
  } finally {
    db.close();
    // Made by reading; the exclusive connection that follows keeps its index in memory.
    rmSync(`${path}-shm`, { force: true });
  }
}

function firstBytes(path: string, count: number): Buffer {
  const file = openSync(path, 'r');
  try {
    const bytes = Buffer.alloc(count);
    const read = readSync(file, bytes, 0, count, 0);
    return read === 0 ? Buffer.alloc(0) : bytes;
  } finally {
    closeSync(file);
  }
}

function configure(db: Db, options: OpenOptions): void {
  // An exclusive lock keeps the WAL's index in memory: no -shm file, whose pages would be written to the card too.
  db.pragma('locking_mode = EXCLUSIVE');
  // Before WAL, so that it stands in the main file's first page and inspect() finds it there.
  if (db.pragma('application_id', { simple: true }) !== APPLICATION_ID)
    db.pragma(`application_id = ${APPLICATION_ID}`);
  db.pragma('journal_mode = WAL');
  db.pragma('synchronous = FULL');
  db.pragma('foreign_keys = ON');
  db.pragma('recursive_triggers = ON');
  db.pragma('temp_store = MEMORY');
  db.pragma('cache_size = -2000');
  // What was deleted is overwritten where that costs no further page.
  db.pragma('secure_delete = FAST');
  // A large import must not leave its log behind for good.
  db.pragma('journal_size_limit = 8388608');
  if (options.maxPages !== undefined) db.pragma(`max_page_count = ${options.maxPages}`);
}
