import { randomBytes } from 'node:crypto';
import { open, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';

/**
 * Write a whole file or nothing: temporary file beside it, fsync, rename, fsync of the folder.
 * After a power cut either the old content or the new one is there.
 */
export async function writeFileAtomic(path: string, data: string | Uint8Array, mode = 0o644): Promise<void> {
  await writeFilesAtomic([{ path, data }], mode);
}

/**
 * Several files of one folder that belong together: all are on the disk before the first one gets its name, and `agreed`
 * is awaited in between. When it rejects nothing has changed.
 */
export async function writeFilesAtomic(
  files: readonly { readonly path: string; readonly data: string | Uint8Array }[],
  mode = 0o644,
  agreed: () => Promise<void> = async () => {},
): Promise<void> {
  const written: { path: string; temporary: string }[] = [];
  try {
    for (const { path, data } of files) {
      const temporary = `${path}.${process.pid}.${randomBytes(4).toString('hex')}.tmp`;
      written.push({ path, temporary });
      const file = await open(temporary, 'wx', mode);
      try {
        await file.writeFile(data);
        await file.sync();
      } finally {
        await file.close();
      }
    }
    await agreed();
    for (const { path, temporary } of written) await rename(temporary, path);
  } catch (error) {
    for (const { temporary } of written) await rm(temporary, { force: true });
    throw error;
  }
  for (const folder of new Set(files.map(({ path }) => dirname(path)))) {
    const handle = await open(folder, 'r');
    try {
      await handle.sync();
    } finally {
      await handle.close();
    }
  }
}
