import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';

export { readPicture } from '../image/index.js';

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
