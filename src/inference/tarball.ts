import { createReadStream } from 'node:fs';
import { createGunzip } from 'node:zlib';

const BLOCK = 512;

export interface TarLimits {
  /** Of one wanted file. */
  readonly maxFileBytes: number;
  /** Of the whole archive, unpacked: a small file must not become an endless one. */
  readonly maxTotalBytes: number;
}

/**
 * Takes single files out of a `.tgz` (POSIX.1-1988 ustar inside gzip) without writing anything: `wanted` are paths
 * inside the archive. Only regular files are read, so links and devices in an archive have no effect.
 * Rejects with a plain Error when the archive is damaged, cut off or larger than the limits.
 */
export async function readTarball(
  path: string,
  wanted: ReadonlySet<string>,
  limits: TarLimits,
): Promise<Map<string, Buffer>> {
  const reader = new TarReader(wanted, limits);
  const file = createReadStream(path);
  const unpacked = file.pipe(createGunzip());
  file.once('error', (error) => unpacked.destroy(error));
  try {
    for await (const piece of unpacked) reader.push(piece as Buffer);
  } finally {
    file.destroy();
  }
  return reader.end();
}

class TarReader {
  readonly #wanted: ReadonlySet<string>;
  readonly #limits: TarLimits;
  readonly #files = new Map<string, Buffer>();
  readonly #header = Buffer.alloc(BLOCK);
  #headerFilled = 0;
  #total = 0;
  #current: { data: Buffer | null; size: number; done: number; padded: number } | null = null;

  constructor(wanted: ReadonlySet<string>, limits: TarLimits) {
    this.#wanted = wanted;
    this.#limits = limits;
  }

  push(piece: Buffer): void {
    this.#total += piece.length;
    if (this.#total > this.#limits.maxTotalBytes) throw new Error('the archive is larger than allowed');
    let at = 0;
    while (at < piece.length) {
      at += this.#current === null ? this.#takeHeader(piece, at) : this.#takeBody(piece, at);
    }
  }

  end(): Map<string, Buffer> {
    if (this.#current !== null || this.#headerFilled !== 0) throw new Error('the archive is cut off');
    return this.#files;
  }

  #takeHeader(piece: Buffer, at: number): number {
    const taken = piece.copy(this.#header, this.#headerFilled, at, at + BLOCK - this.#headerFilled);
    this.#headerFilled += taken;
    if (this.#headerFilled < BLOCK) return taken;
    this.#headerFilled = 0;
    if (this.#header.every((byte) => byte === 0)) return taken;
    const { name, size, regular } = parseHeader(this.#header);
    const keep = regular && this.#wanted.has(name);
    if (keep && size > this.#limits.maxFileBytes) throw new Error(`${name} is larger than allowed`);
    const data = keep ? Buffer.alloc(size) : null;
    if (data !== null) this.#files.set(name, data);
    const padded = Math.ceil(size / BLOCK) * BLOCK;
    if (padded > 0) this.#current = { data, size, done: 0, padded };
    return taken;
  }

  #takeBody(piece: Buffer, at: number): number {
    const current = this.#current;
    if (current === null) return 0;
    const taken = Math.min(piece.length - at, current.padded - current.done);
    if (current.data !== null && current.done < current.size) {
      piece.copy(current.data, current.done, at, at + Math.min(taken, current.size - current.done));
    }
    current.done += taken;
    if (current.done === current.padded) this.#current = null;
    return taken;
  }
}

function parseHeader(header: Buffer): { name: string; size: number; regular: boolean } {
  // The checksum counts its own eight bytes as spaces.
  let sum = 8 * 0x20;
  for (const [at, byte] of header.entries()) if (at < 148 || at >= 156) sum += byte;
  if (sum !== octal(header, 148, 8)) throw new Error('the archive is damaged: a header has a wrong checksum');
  const prefix = text(header, 345, 155);
  const name = text(header, 0, 100);
  const type = String.fromCharCode(header[156] ?? 0);
  return {
    name: prefix === '' ? name : `${prefix}/${name}`,
    size: octal(header, 124, 12),
    regular: type === '0' || type === '\0',
  };
}

function text(header: Buffer, start: number, length: number): string {
  const end = header.indexOf(0, start);
  return header.toString('utf8', start, end < 0 || end > start + length ? start + length : end);
}

function octal(header: Buffer, start: number, length: number): number {
  const digits = text(header, start, length).trim();
  if (!/^[0-7]+$/.test(digits)) throw new Error('the archive is damaged: a header has no size');
  return Number.parseInt(digits, 8);
}
