import { rm } from 'node:fs/promises';
import type { BackupInfo } from '../pipeline/ports.js';
import { copyBeforeMigration, trimBeforeMigration } from './backup-folder.js';
import type { Db } from './database.js';
import type { Migration } from './migrations/index.js';

/** Which migrations a database has had. */
export interface Form {
  /** Those that change what was there. A program that does not know one of them cannot use the database. */
  readonly breaking: readonly number[];
  /** Those that only add. A program that does not know one of them does without. */
  readonly additive: readonly number[];
}

/** What a database was brought through when it was opened. */
export interface Migrated {
  readonly migrations: readonly number[];
  /** The copy from before; null for a new database. */
  readonly copy: (BackupInfo & { readonly path: string }) | null;
}

const TABLES = { breaking: 'migrations', additive: 'additions' } as const;

/** Changes nothing. */
export function formOf(db: Db): Form {
  const tables = db.prepare("SELECT name FROM sqlite_master WHERE type = 'table'").pluck().all();
  const ids = (table: string) =>
    tables.includes(table) ? (db.prepare(`SELECT id FROM ${table}`).pluck().all() as number[]) : [];
  return { breaking: ids(TABLES.breaking), additive: ids(TABLES.additive) };
}

/** Of a database's migrations those that this program does not have. */
export function unknownTo(migrations: readonly Migration[], form: Form): Form {
  const known = new Set(migrations.map(({ id }) => id));
  const foreign = (ids: readonly number[]) => ids.filter((id) => !known.has(id));
  return { breaking: foreign(form.breaking), additive: foreign(form.additive) };
}

/**
 * Applies what is missing: all of it or, when one step fails, nothing. Before, a verified copy is made of a database that
 * holds something (`stateDir` null: it is new). null when nothing was missing.
 */
export async function migrate(
  db: Db,
  migrations: readonly Migration[],
  { stateDir, onProgress }: { stateDir: string | null; onProgress?: (() => void) | undefined },
): Promise<Migrated | null> {
  const { breaking, additive } = formOf(db);
  const applied = new Set([...breaking, ...additive]);
  const missing = migrations.filter(({ id }) => !applied.has(id)).sort((a, b) => a.id - b.id);
  if (missing.length === 0) return null;
  const copy = stateDir === null ? null : await copyBeforeMigration(db, stateDir, onProgress);
  try {
    db.transaction(() => {
      for (const migration of missing) {
        apply(db, migration);
        onProgress?.();
      }
    })();
  } catch (error) {
    // Nothing was changed, and a start that is tried again and again must not push out copies of before.
    if (copy !== null) await rm(copy.path, { force: true }).catch(() => {});
    throw error;
  }
  // Too many copies are no reason not to start.
  if (stateDir !== null && copy !== null) await trimBeforeMigration(stateDir, copy.path).catch(() => {});
  return { migrations: missing.map(({ id }) => id), copy };
}

function apply(db: Db, { id, sql, additive }: Migration): void {
  const table = additive === true ? TABLES.additive : TABLES.breaking;
  db.exec(`CREATE TABLE IF NOT EXISTS ${table} (id INTEGER PRIMARY KEY, applied_at INTEGER NOT NULL) STRICT`);
  db.exec(sql);
  db.prepare(`INSERT INTO ${table} (id, applied_at) VALUES (?, ?)`).run(id, Date.now());
}
