import { readFile, stat } from 'node:fs/promises';
import { FacedError } from '../domain/errors.js';

/** As large as a picture may be on disk; the decoder has the same limit, and a limit of its own for pixels. */
const MAX_PICTURE_BYTES = 64 * 1024 * 1024;

/** The bytes of a picture file. Throws `usage.not-found` or `image.too-large`. */
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
