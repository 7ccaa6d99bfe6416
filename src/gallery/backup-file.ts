/** Backups without a running store: looked at, and put into the place of a gallery. */

import { existsSync } from 'node:fs';
import { copyFile, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { FacedError } from '../domain/errors.js';
import type { BackupInfo } from '../pipeline/ports.js';
import { Audit } from './audit.js';
import {
  bury,
  type Deleted,
  deletedFrom,
  describeCopy,
  integrityProblems,
  keyCheckOf,
  keyIdOf,
  NOTHING_DELETED,
  writeCopy,
} from './backup.js';
import { type Db, inspectFile, takeLock } from './database.js';
import { type KeyOptions, type KeySource, keySource, loadKey } from './key.js';
import { MIGRATIONS } from './migrations/index.js';
import { Sealer } from './seal.js';
import { galleryError } from './sqlite-errors.js';

export interface BackupReport extends BackupInfo {
  /** SQLite's words; empty when the file is sound. */
  readonly problems: readonly string[];
  /** Where this machine looks for its key, the id of the key there (null: there is none that can be read), and whether it opens the backup. */
  readonly key: KeySource & { readonly id: string | null; readonly opens: boolean };
}

export interface RestoreReport {
  readonly people: number;
  readonly samples: number;
  /** When the backup was made, milliseconds since 1970. */
  readonly madeAt: number;
  /** People in the backup who had been deleted since and were deleted again; null when the gallery before could not be read. */
  readonly deletedAgain: number | null;
}

/** Looks at a backup without changing it. Throws `gallery.*` when it is none of ours or from a newer version. */
export async function inspectBackup(path: string, keys: KeyOptions): Promise<BackupReport> {
  try {
    const { size } = await stat(path);
    inspectFile(path, MIGRATIONS);
    const copy = new Database(path, { readonly: true, fileMustExist: true });
    try {
      const source = keySource(keys);
      const id = await keyIdAt(source);
      const info = describeCopy(copy);
      return {
        ...info,
        bytes: size,
        problems: integrityProblems(copy),
        key: { ...source, id, opens: id === info.keyId },
      };
    } finally {
      copy.close();
    }
  } catch (thrown) {
    throw galleryError(thrown, path);
  }
}

/** The id of the key that this machine uses; null when there is none that can be read. */
export async function keyIdAt(source: KeySource): Promise<string | null> {
  try {
    return keyIdOf(new Sealer(await loadKey(source, false)).check);
  } catch {
    return null;
  }
}

/**
 * Puts a backup into the place of the gallery in `directory`, while nothing else uses it. Who was deleted since the
 * backup is deleted in it too, before it gets its name; the audit of the backup goes on with a row that says so.
 */
export async function restoreBackup(
  path: string,
  options: KeyOptions & { readonly replace: boolean; readonly actor: string },
): Promise<RestoreReport> {
  const { directory, replace, actor } = options;
  const target = join(directory, 'gallery.db');
  let release = () => {};
  try {
    release = takeLock(directory);
    inspectFile(path, MIGRATIONS);
    const sealer = await sealerFor(path, options);
    const before = retire(target, replace);
    await removeLogs(target);
    let deletedAgain = 0;
    const info = await writeCopy(target, async (temporary) => {
      await copyFile(path, temporary);
      return async (copy) => {
        deletedAgain = await bury(copy, before?.deleted ?? NOTHING_DELETED, sealer);
        const { madeAt } = describeCopy(copy);
        const detail = { madeAt, before: before?.head ?? null, deletedAgain };
        new Audit(copy, sealer).append({ kind: 'restore', actor, detail }, Date.now());
      };
    });
    const { people, samples, madeAt } = info;
    return { people, samples, madeAt, deletedAgain: before === null ? null : deletedAgain };
  } catch (thrown) {
    throw galleryError(thrown, directory);
  } finally {
    release();
  }
}

async function sealerFor(path: string, options: KeyOptions): Promise<Sealer> {
  const copy = new Database(path, { readonly: true, fileMustExist: true });
  try {
    const [problem] = integrityProblems(copy);
    if (problem !== undefined)
      throw new FacedError('gallery.corrupt', `The backup is damaged: ${problem}`, {
        fix: 'Use another one.',
      });
    const check = keyCheckOf(copy);
    const source = keySource(options);
    const fix = `Put the key with the id ${keyIdOf(check)} to ${source.path} (it was kept apart from the backup), then try again.`;
    const sealer = await loadKey(source, false).then(
      (key) => new Sealer(key),
      (cause) => {
        throw new FacedError('gallery.key-unusable', `There is no usable key at ${source.path}.`, {
          fix,
          cause,
        });
      },
    );
    if (!sealer.check.equals(check))
      throw new FacedError('gallery.key-wrong', `The key at ${source.path} does not open this backup.`, {
        fix,
      });
    return sealer;
  } finally {
    copy.close();
  }
}

/** Brings the gallery that is there into one file, so that no log of it is read into the next one. */
function retire(path: string, replace: boolean): { deleted: Deleted; head: string | null } | null {
  if (!existsSync(path)) return { deleted: NOTHING_DELETED, head: null };
  let found: { deleted: Deleted; head: string | null; people: number } | null = null;
  try {
    const db = new Database(path, { fileMustExist: true });
    try {
      found = { ...restOf(db), deleted: deletedFrom(db) };
      db.pragma('journal_mode = DELETE');
    } finally {
      db.close();
    }
  } catch {
    // Damaged: that is what backups are for.
  }
  if (!replace && (found === null || found.people > 0))
    throw new FacedError(
      'gallery.occupied',
      found === null
        ? `The gallery in ${path} cannot be read, and would be replaced.`
        : `The gallery in ${path} has ${found.people} people, who would be replaced.`,
      { fix: 'Make a backup of it (faced backup create FILE), or say --replace.' },
    );
  return found;
}

function restOf(db: Db): { people: number; head: string | null } {
  const people = db.prepare('SELECT count(*) FROM people').pluck().get() as number;
  const hash = db.prepare('SELECT hash FROM audit ORDER BY seq DESC LIMIT 1').pluck().get();
  return { people, head: hash instanceof Buffer ? hash.toString('hex') : null };
}

/** A log that a damaged database left behind must not be read into the one that takes its place. */
async function removeLogs(path: string): Promise<void> {
  for (const suffix of ['-wal', '-shm', '-journal']) await rm(`${path}${suffix}`, { force: true });
}
