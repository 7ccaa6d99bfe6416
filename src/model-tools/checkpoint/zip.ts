import { inflateRawSync } from 'node:zlib';
import { FacedError } from '../../domain/errors.js';

const END = 0x06054b50;
const END64 = 0x06064b50;
const END64_LOCATOR = 0x07064b50;
const ENTRY = 0x02014b50;
const LOCAL = 0x04034b50;
const MAX_ENTRY_BYTES = 2 ** 31;

interface Entry {
  readonly method: number;
  readonly compressed: number;
  readonly size: number;
  readonly offset: number;
}

/** The files of a ZIP archive (PKWARE APPNOTE 6.3, stored or deflated, with the 64-bit records), read on demand. */
export class ZipArchive {
  readonly #bytes: Buffer;
  readonly #entries = new Map<string, Entry>();

  /** Throws `model.unreadable` when the archive is cut off or damaged. */
  constructor(bytes: Uint8Array) {
    this.#bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    try {
      this.#readDirectory();
    } catch (cause) {
      if (cause instanceof FacedError) throw cause;
      throw damaged('its directory is damaged', cause);
    }
  }

  get names(): string[] {
    return [...this.#entries.keys()];
  }

  /** The content of a file; undefined when the archive has none of this name. */
  read(name: string): Uint8Array | undefined {
    const entry = this.#entries.get(name);
    if (entry === undefined) return undefined;
    const bytes = this.#bytes;
    if (entry.offset + 30 > bytes.length || bytes.readUInt32LE(entry.offset) !== LOCAL)
      throw damaged(`${name} is not where the directory says`);
    const start =
      entry.offset + 30 + bytes.readUInt16LE(entry.offset + 26) + bytes.readUInt16LE(entry.offset + 28);
    if (start + entry.compressed > bytes.length) throw damaged(`${name} is cut off`);
    const data = bytes.subarray(start, start + entry.compressed);
    if (entry.method === 0) return data;
    if (entry.method !== 8 || entry.size > MAX_ENTRY_BYTES)
      throw damaged(`${name} is packed in an unknown way`);
    try {
      return inflateRawSync(data, { maxOutputLength: entry.size });
    } catch (cause) {
      throw damaged(`${name} cannot be unpacked`, cause);
    }
  }

  #readDirectory(): void {
    const bytes = this.#bytes;
    const end = this.#findEnd();
    let count = bytes.readUInt16LE(end + 10);
    let at = bytes.readUInt32LE(end + 16);
    const locator = end - 20;
    if (locator >= 0 && bytes.readUInt32LE(locator) === END64_LOCATOR) {
      const end64 = Number(bytes.readBigUInt64LE(locator + 8));
      if (bytes.readUInt32LE(end64) !== END64) throw damaged('its 64-bit directory is damaged');
      count = Number(bytes.readBigUInt64LE(end64 + 32));
      at = Number(bytes.readBigUInt64LE(end64 + 48));
    }
    for (let index = 0; index < count; index += 1) at = this.#readEntry(at);
  }

  #findEnd(): number {
    const bytes = this.#bytes;
    const lowest = Math.max(0, bytes.length - 22 - 0xffff);
    for (let at = bytes.length - 22; at >= lowest; at -= 1) if (bytes.readUInt32LE(at) === END) return at;
    throw damaged('it has no directory at its end, so it is cut off');
  }

  #readEntry(at: number): number {
    const bytes = this.#bytes;
    if (bytes.readUInt32LE(at) !== ENTRY) throw damaged('its directory is damaged');
    const [nameLength, extraLength, commentLength] = [28, 30, 32].map((offset) =>
      bytes.readUInt16LE(at + offset),
    );
    const name = bytes.toString('utf8', at + 46, at + 46 + (nameLength ?? 0));
    let compressed = bytes.readUInt32LE(at + 20);
    let size = bytes.readUInt32LE(at + 24);
    let offset = bytes.readUInt32LE(at + 42);
    const extra = at + 46 + (nameLength ?? 0);
    for (let field = extra; field + 4 <= extra + (extraLength ?? 0); ) {
      const length = bytes.readUInt16LE(field + 2);
      if (bytes.readUInt16LE(field) === 1) {
        let value = field + 4;
        const next = (): number => {
          value += 8;
          return Number(bytes.readBigUInt64LE(value - 8));
        };
        if (size === 0xffffffff) size = next();
        if (compressed === 0xffffffff) compressed = next();
        if (offset === 0xffffffff) offset = next();
      }
      field += 4 + length;
    }
    this.#entries.set(name, { method: bytes.readUInt16LE(at + 10), compressed, size, offset });
    return extra + (extraLength ?? 0) + (commentLength ?? 0);
  }
}

function damaged(what: string, cause?: unknown): FacedError {
  return new FacedError('model.unreadable', `the archive cannot be read: ${what}`, {
    fix: 'copy or download the checkpoint again',
    cause,
  });
}
