import { mkdir, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { FacedError } from '../domain/errors.js';
import type { BackupInfo, BackupTurn } from '../pipeline/ports.js';
import { backupTo, deletedFrom, purgeCopy } from './backup.js';
import type { Db } from './database.js';
import type { Sealer } from './seal.js';
import { galleryError } from './sqlite-errors.js';

/** `faced-20261124T170312Z.db`: in the order of their names they are in that of time. Nothing else in the folder is touched. */
const NAME = /^faced-(\d{8}T\d{6}Z)\.db$/;
/** In the state directory: copies from before a change of the database's form, and how many of them are kept. */
const BEFORE_MIGRATION = 'before-migration';
const KEPT_BEFORE_MIGRATION = 3;

/** A new backup, who was deleted since taken out of the older ones, and the oldest deleted. */
export async function rotate(
  db: Db,
  sealer: Sealer,
  { directory, keep }: { directory: string; keep: number },
): Promise<Omit<BackupTurn, 'key'>> {
  const { path, ...info } = await backupInto(db, directory);
  const { others, removed } = await trim(directory, { keep, made: path });
  return { ...info, path, ...(await purgeAll(db, sealer, others)), removed };
}

/**
 * A verified copy in the state directory, before the database is changed for a newer version of the program. On a full
 * disk rejects with `gallery.disk-full`, which says how much room it needs.
 */
export async function copyBeforeMigration(
  db: Db,
  stateDir: string,
  onProgress?: () => void,
): Promise<BackupInfo & { readonly path: string }> {
  const directory = join(stateDir, BEFORE_MIGRATION);
  try {
    return await backupInto(db, directory, onProgress);
  } catch (thrown) {
    const error = galleryError(thrown, stateDir);
    if (error.code !== 'gallery.disk-full') throw error;
    const bytes =
      Number(db.pragma('page_count', { simple: true })) * Number(db.pragma('page_size', { simple: true }));
    throw new FacedError(
      'gallery.disk-full',
      `This version changes the form of the database, and for the copy that is made before there is no room in ${directory}; nothing was changed.`,
      {
        fix: `Free ${Math.ceil((2 * bytes) / 2 ** 20)} MB on that disk and start again; until then the version before runs on.`,
        cause: thrown,
      },
    );
  }
}

/** When the migration has succeeded: the oldest copies go, never the one that was `made` for it. */
export async function trimBeforeMigration(stateDir: string, made: string): Promise<void> {
  await trim(join(stateDir, BEFORE_MIGRATION), { keep: KEPT_BEFORE_MIGRATION, made });
}

/** Takes out of the copies from before migrations who was deleted since, as out of every backup. */
export async function purgeBeforeMigration(
  db: Db,
  sealer: Sealer,
  stateDir: string,
): Promise<{ purged: number; failed: string[] }> {
  return purgeAll(db, sealer, await backupsIn(join(stateDir, BEFORE_MIGRATION)));
}

/** Those made before this time, milliseconds since 1970, go: they hold events that are kept no longer. */
export async function forgetBeforeMigration(stateDir: string, madeBefore: number): Promise<void> {
  for (const path of await backupsIn(join(stateDir, BEFORE_MIGRATION)))
    if (path < join(stateDir, BEFORE_MIGRATION, nameAt(madeBefore))) await rm(path, { force: true });
}

async function backupInto(
  db: Db,
  directory: string,
  onProgress?: () => void,
): Promise<BackupInfo & { readonly path: string }> {
  await mkdir(directory, { recursive: true, mode: 0o700 });
  const path = join(directory, nameAt(Date.now()));
  return { ...(await backupTo(db, path, onProgress)), path };
}

function nameAt(ms: number): string {
  return `faced-${new Date(ms).toISOString().replace(/[-:]|\.\d+/g, '')}.db`;
}

/** Oldest first; none where there is no such folder. */
async function backupsIn(directory: string): Promise<string[]> {
  const names = await readdir(directory).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return [];
    throw error;
  });
  return names
    .filter((name) => NAME.test(name))
    .sort()
    .map((name) => join(directory, name));
}

/** The one that was just `made` stays and counts as the newest, whatever the clock called it. */
async function trim(
  directory: string,
  { keep, made }: { keep: number; made: string },
): Promise<{ others: string[]; removed: string[] }> {
  const all = (await backupsIn(directory)).filter((path) => path !== made);
  const removed = all.slice(0, Math.max(0, all.length - (Math.max(1, keep) - 1)));
  for (const one of removed) await rm(one, { force: true });
  return { others: all.slice(removed.length), removed };
}

async function purgeAll(
  db: Db,
  sealer: Sealer,
  paths: readonly string[],
): Promise<{ purged: number; failed: string[] }> {
  let purged = 0;
  const failed: string[] = [];
  for (const path of paths) {
    try {
      purged += await purgeCopy(path, deletedFrom(db), sealer);
    } catch {
      failed.push(path);
    }
  }
  return { purged, failed };
}
