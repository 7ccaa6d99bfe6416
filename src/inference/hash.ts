import { createHash } from 'node:crypto';
import { open } from 'node:fs/promises';

/** SHA-256 of a file, hexadecimal, and its size; read in pieces, since a recogniser may be larger than is good for the heap. */
export async function hashFile(path: string): Promise<{ sha256: string; bytes: number }> {
  const file = await open(path, 'r');
  try {
    const hash = createHash('sha256');
    const piece = Buffer.allocUnsafe(1 << 18);
    let bytes = 0;
    for (;;) {
      const { bytesRead } = await file.read(piece, 0, piece.length);
      if (bytesRead === 0) return { sha256: hash.digest('hex'), bytes };
      hash.update(piece.subarray(0, bytesRead));
      bytes += bytesRead;
    }
  } finally {
    await file.close();
  }
}

export function hashBytes(data: Uint8Array): string {
  return createHash('sha256').update(data).digest('hex');
}
