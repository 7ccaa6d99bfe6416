import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { FacedError } from '../domain/errors.js';

const PICTURE = /\.(jpe?g|png|webp|bmp|gif|tiff?|pgm|ppm)$/i;

/** A file as it is named; a folder as all the pictures in and below it, sorted by path. */
export async function expandPictures(paths: readonly string[]): Promise<string[]> {
  const expanded = await Promise.all(
    paths.map(async (path) => {
      let isFolder: boolean;
      try {
        isFolder = (await stat(path)).isDirectory();
      } catch {
        return [path];
      }
      if (!isFolder) return [path];
      const names = await readdir(path, { recursive: true });
      return names
        .filter((name) => PICTURE.test(name))
        .sort()
        .map((name) => join(path, name));
    }),
  );
  return expanded.flat();
}

/** As large as a picture may be on disk; the decoder has the same limit, and a limit of its own for pixels. */
const MAX_PICTURE_BYTES = 64 * 1024 * 1024;

export async function readPicture(path: string): Promise<Uint8Array> {
  try {
    const { size } = await stat(path);
    if (size > MAX_PICTURE_BYTES) {
      throw new FacedError('image.too-large', `${path} has ${size} bytes, more than ${MAX_PICTURE_BYTES}`, {
        fix: 'make the picture smaller',
      });
    }
    return await readFile(path);
  } catch (cause) {
    if (cause instanceof FacedError) throw cause;
    throw new FacedError('usage.not-found', `${path} cannot be read`, {
      cause,
      fix: 'check the path and its permissions',
    });
  }
}
