import { mkdir, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { BackupTurn } from '../pipeline/ports.js';
import { backupTo, purgeCopy, tombstonesOf } from './backup.js';
import type { Db } from './database.js';
import type { Sealer } from './seal.js';

/** `faced-20261124T170312Z.db`: in the order of their names they are in that of time. Nothing else in the folder is touched. */
const NAME = /^faced-\d{8}T\d{6}Z\.db$/;

/** A new backup, who was deleted since taken out of the older ones, and the oldest deleted. */
export async function rotate(
  db: Db,
  sealer: Sealer,
  { directory, keep }: { directory: string; keep: number },
): Promise<Omit<BackupTurn, 'key'>> {
  await mkdir(directory, { recursive: true, mode: 0o700 });
  const stamp = new Date().toISOString().replace(/[-:]|\.\d+/g, '');
  const path = join(directory, `faced-${stamp}.db`);
  const info = await backupTo(db, path);
  const names = (await readdir(directory)).filter((name) => NAME.test(name)).sort();
  const kept = names.slice(-Math.max(1, keep));
  const removed = names.filter((name) => !kept.includes(name)).map((name) => join(directory, name));
  for (const one of removed) await rm(one, { force: true });
  let purged = 0;
  const failed: string[] = [];
  for (const name of kept) {
    const older = join(directory, name);
    if (older === path) continue;
    try {
      purged += await purgeCopy(older, tombstonesOf(db), sealer);
    } catch {
      failed.push(older);
    }
  }
  return { ...info, path, purged, removed, failed };
}
