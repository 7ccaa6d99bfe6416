import { type FileHandle, open, readFile, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { ErrorCode } from '../../domain/errors.js';
import { writeFailed, writeOutput } from '../variant.js';
import type { PictureOutcome } from './embed-all.js';

/** Header of NumPy's format 1.0 with room for any shape: a multiple of 64, as the format wishes. */
const HEADER_BYTES = 128;

/** NumPy's format, version 1.0 (NEP 1): rows of little-endian float32. */
export function npyHeader(rows: number, dimensions: number): Buffer {
  const header = Buffer.alloc(HEADER_BYTES, 0x20);
  header.write('\x93NUMPY\x01\x00', 0, 'latin1');
  header.writeUInt16LE(HEADER_BYTES - 10, 8);
  header.write(`{'descr': '<f4', 'fortran_order': False, 'shape': (${rows}, ${dimensions}), }`, 10, 'latin1');
  header[HEADER_BYTES - 1] = 0x0a;
  return header;
}

interface Line {
  readonly batch: number;
  /** One for each picture: null where its row was written. */
  readonly codes: readonly (ErrorCode | null)[];
}

/**
 * An array that grows batch by batch and is there only when it is whole. Until then `F.npy.part` has the rows and
 * `F.npy.part.log` a line for each batch that is in it, so that an interrupted run goes on where it was; a log of other
 * work (`key`) is begun anew. Every method throws `model.write-failed` when the disk refuses.
 */
export class NpyFile {
  readonly #path: string;
  readonly #dimensions: number;
  readonly #rows: FileHandle;
  readonly #log: FileHandle;
  readonly #codes: (ErrorCode | null)[];
  #written: number;
  #batches: number;
  #logBytes = 0;

  private constructor(parts: {
    path: string;
    dimensions: number;
    rows: FileHandle;
    log: FileHandle;
    lines: readonly Line[];
  }) {
    this.#path = parts.path;
    this.#dimensions = parts.dimensions;
    this.#rows = parts.rows;
    this.#log = parts.log;
    this.#codes = parts.lines.flatMap(({ codes }) => codes);
    this.#written = this.#codes.filter((code) => code === null).length;
    this.#batches = parts.lines.length;
  }

  static async open(path: string, options: { key: string; dimensions: number }): Promise<NpyFile> {
    const { key, dimensions } = options;
    const head = `${JSON.stringify({ faced: 'embed', key })}\n`;
    try {
      const old = await readFile(`${path}.part.log`, 'utf8').catch(() => '');
      const lines = old.startsWith(head) ? wholeLines(old.slice(head.length)) : [];
      const rows = await open(`${path}.part`, lines.length > 0 ? 'r+' : 'w+');
      const log = await open(`${path}.part.log`, lines.length > 0 ? 'r+' : 'w+');
      const file = new NpyFile({ path, dimensions, rows, log, lines });
      await file.#cutOff(head, lines);
      return file;
    } catch (cause) {
      throw writeFailed(path, cause);
    }
  }

  /** Batches that are in the file. */
  get batches(): number {
    return this.#batches;
  }

  get rows(): number {
    return this.#written;
  }

  /** One for each picture so far: null where it has a row. */
  get codes(): readonly (ErrorCode | null)[] {
    return this.#codes;
  }

  /** The next batch: its rows are on the disk before the log says so. */
  async append(outcomes: readonly PictureOutcome[]): Promise<void> {
    const vectors = outcomes.flatMap(({ vector }) => vector ?? []);
    const codes = outcomes.map((outcome) => (outcome.vector === null ? outcome.code : null));
    const bytes = vectors.map((vector) => Buffer.from(vector.buffer, vector.byteOffset, vector.byteLength));
    try {
      await writeAll(this.#rows, Buffer.concat(bytes), this.#offset());
      await this.#rows.datasync();
      await this.#say(`${JSON.stringify({ batch: this.#batches, codes })}\n`);
    } catch (cause) {
      throw writeFailed(this.#path, cause);
    }
    this.#written += vectors.length;
    this.#batches += 1;
    this.#codes.push(...codes);
  }

  /** Gives the array its name, and writes `beside` (JSON) next to it. */
  async finish(beside: object): Promise<void> {
    try {
      await writeAll(this.#rows, npyHeader(this.#written, this.#dimensions), 0);
      await this.#rows.truncate(this.#offset());
      await this.#rows.sync();
    } catch (cause) {
      throw writeFailed(this.#path, cause);
    }
    await writeOutput(this.#path.replace(/\.npy$/, '.json'), `${JSON.stringify(beside, null, 2)}\n`);
    await rename(`${this.#path}.part`, this.#path);
    await rm(`${this.#path}.part.log`, { force: true });
    const folder = await open(dirname(this.#path), 'r');
    await folder.sync().finally(() => folder.close());
  }

  async close(): Promise<void> {
    await this.#rows.close();
    await this.#log.close();
  }

  #offset(): number {
    return HEADER_BYTES + this.#written * this.#dimensions * 4;
  }

  async #say(text: string): Promise<void> {
    const bytes = Buffer.from(text);
    await writeAll(this.#log, bytes, this.#logBytes);
    this.#logBytes += bytes.length;
  }

  /** A line or a row that was being written when the run ended is written again. */
  async #cutOff(head: string, lines: readonly Line[]): Promise<void> {
    const text = head + lines.map((line) => `${JSON.stringify(line)}\n`).join('');
    const size = (await this.#rows.stat()).size;
    if (lines.length > 0 && size < this.#offset())
      throw new Error(`${this.#path}.part is shorter than its log says`);
    await this.#log.truncate(0);
    this.#logBytes = 0;
    await this.#say(text);
    if (size > this.#offset()) await this.#rows.truncate(this.#offset());
    if (size < HEADER_BYTES) await writeAll(this.#rows, Buffer.alloc(HEADER_BYTES), 0);
  }
}

function wholeLines(text: string): Line[] {
  const lines: Line[] = [];
  for (const line of text.split('\n').slice(0, -1)) {
    try {
      const parsed = JSON.parse(line) as Line;
      if (parsed.batch !== lines.length || !Array.isArray(parsed.codes)) break;
      lines.push(parsed);
    } catch {
      break;
    }
  }
  return lines;
}

async function writeAll(file: FileHandle, bytes: Uint8Array, position: number): Promise<void> {
  for (let done = 0; done < bytes.length; )
    done += (await file.write(bytes, done, bytes.length - done, position + done)).bytesWritten;
}
