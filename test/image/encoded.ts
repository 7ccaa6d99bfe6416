/** Small encoded pictures made byte by byte, of kinds that the addon itself does not write. */
import { crc32, deflateSync } from 'node:zlib';

const u16le = (value: number) => [value & 255, (value >> 8) & 255];
const u32le = (value: number) => [...u16le(value & 0xffff), ...u16le(value >>> 16)];
const u16be = (value: number) => [(value >> 8) & 255, value & 255];
const u32be = (value: number) => [...u16be(value >>> 16), ...u16be(value & 0xffff)];
const ascii = (text: string) => [...text].map((char) => char.charCodeAt(0));

/** PNG colour types, RFC 2083 11.2.2, and their samples a pixel. */
const PNG_SAMPLES = { 0: 1, 2: 3, 4: 2, 6: 4 } as const;

/** `samples`: width * height * samples values of `depth` bits, row by row. */
export function png(options: {
  width: number;
  height: number;
  type: keyof typeof PNG_SAMPLES;
  depth: 8 | 16;
  samples: readonly number[];
}): Uint8Array {
  const { width, height, type, depth, samples } = options;
  const rowLength = width * PNG_SAMPLES[type];
  const raw = Array.from({ length: height }, (_, row) => [
    0,
    ...samples.slice(row * rowLength, (row + 1) * rowLength).flatMap((v) => (depth === 16 ? u16be(v) : [v])),
  ]).flat();
  const chunk = (name: string, data: readonly number[]) => {
    const body = [...ascii(name), ...data];
    return [...u32be(data.length), ...body, ...u32be(crc(body))];
  };
  return Uint8Array.from([
    ...[0x89, ...ascii('PNG\r\n\x1a\n')],
    ...chunk('IHDR', [...u32be(width), ...u32be(height), depth, type, 0, 0, 0]),
    ...chunk('IDAT', [...deflateSync(Uint8Array.from(raw))]),
    ...chunk('IEND', []),
  ]);
}

function crc(bytes: readonly number[]): number {
  return crc32(Uint8Array.from(bytes));
}

/** 24 bits, `pixels` in RGB. */
export function bmp(width: number, height: number, pixels: readonly (readonly number[])[]): Uint8Array {
  const padding = (4 - ((width * 3) % 4)) % 4;
  const rows = Array.from({ length: height }, (_, row) => [
    ...pixels
      .slice((height - 1 - row) * width, (height - row) * width)
      .flatMap(([r = 0, g = 0, b = 0]) => [b, g, r]),
    ...new Array<number>(padding).fill(0),
  ]).flat();
  return Uint8Array.from([
    ...[...ascii('BM'), ...u32le(54 + rows.length), ...u32le(0), ...u32le(54)],
    ...[...u32le(40), ...u32le(width), ...u32le(height), ...u16le(1), ...u16le(24)],
    ...new Array<number>(24).fill(0),
    ...rows,
  ]);
}

/** Uncompressed RGB, 8 bits, little endian. */
export function tiff(width: number, height: number, pixels: readonly (readonly number[])[]): Uint8Array {
  const data = pixels.flat();
  const entry = (tag: number, type: number, count: number, value: readonly number[]) => [
    ...[...u16le(tag), ...u16le(type), ...u32le(count), ...value],
    ...new Array<number>(4 - value.length).fill(0),
  ];
  const entries = [
    entry(256, 3, 1, u16le(width)),
    entry(257, 3, 1, u16le(height)),
    entry(258, 3, 3, u32le(8 + data.length)),
    entry(259, 3, 1, u16le(1)),
    entry(262, 3, 1, u16le(2)),
    entry(273, 4, 1, u32le(8)),
    entry(277, 3, 1, u16le(3)),
    entry(278, 3, 1, u16le(height)),
    entry(279, 4, 1, u32le(data.length)),
  ];
  const bits = [8, 8, 8].flatMap(u16le);
  const directory = 8 + data.length + bits.length;
  return Uint8Array.from([
    ...[...ascii('II'), ...u16le(42), ...u32le(directory)],
    ...data,
    ...bits,
    ...u16le(entries.length),
    ...entries.flat(),
    ...u32le(0),
  ]);
}

/**
 * One flat 8x8 block of four components as Adobe writes CMYK: baseline, values inverted (255 is no ink).
 * DC codes: category 0 is 00, 7 is 01, 8 is 10; AC has the end of block alone, as 0.
 */
export function cmykJpeg(inverted: readonly [number, number, number, number]): Uint8Array {
  let bits = '';
  for (const value of inverted) {
    const dc = value - 128; // every quantiser is 8, and a flat block's DC is 8 times its level
    const category = dc === 0 ? 0 : Math.floor(Math.log2(Math.abs(dc))) + 1;
    if (category !== 0 && category < 7) throw new Error('this level has no code here');
    bits += category === 0 ? '00' : category === 7 ? '01' : '10';
    if (category > 0) bits += (dc > 0 ? dc : dc + 2 ** category - 1).toString(2).padStart(category, '0');
    bits += '0';
  }
  const padded = bits.padEnd(Math.ceil(bits.length / 8) * 8, '1');
  const scan = (padded.match(/.{8}/g) ?? []).flatMap((byte) => {
    const value = Number.parseInt(byte, 2);
    return value === 255 ? [255, 0] : [value];
  });
  const segment = (marker: number, data: readonly number[]) => [
    0xff,
    marker,
    ...u16be(data.length + 2),
    ...data,
  ];
  const components = [1, 2, 3, 4];
  return Uint8Array.from([
    ...[0xff, 0xd8],
    ...segment(0xee, [...ascii('Adobe'), 0, 100, 0, 0, 0, 0, 0]),
    ...segment(0xdb, [0, ...new Array<number>(64).fill(8)]),
    ...segment(0xc0, [8, ...u16be(8), ...u16be(8), 4, ...components.flatMap((id) => [id, 0x11, 0])]),
    ...segment(0xc4, [0x00, 0, 3, ...new Array<number>(14).fill(0), 0, 7, 8]),
    ...segment(0xc4, [0x10, 1, ...new Array<number>(15).fill(0), 0]),
    ...segment(0xda, [4, ...components.flatMap((id) => [id, 0]), 0, 63, 0]),
    ...scan,
    ...[0xff, 0xd9],
  ]);
}

/** A JPEG with an EXIF orientation (CIPA DC-008 4.6.4: 1 to 8) put into it. */
export function withOrientation(jpeg: Uint8Array, orientation: number): Uint8Array {
  const body = [
    ...[...ascii('Exif'), 0, 0, ...ascii('II'), ...u16le(42), ...u32le(8)],
    ...[...u16le(1), ...u16le(0x0112), ...u16le(3), ...u32le(1), ...u16le(orientation), 0, 0, ...u32le(0)],
  ];
  return Uint8Array.from([0xff, 0xd8, 0xff, 0xe1, ...u16be(body.length + 2), ...body, ...jpeg.subarray(2)]);
}

export interface GifFrameInput {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
  /** Palette indices in the order in which they are stored. */
  readonly indices: readonly number[];
  readonly interlaced?: boolean;
  readonly transparent?: number;
}

/** `palette`: RGB, a power of two of them (4 to 256). */
export function gif(
  width: number,
  height: number,
  palette: readonly (readonly number[])[],
  frames: readonly GifFrameInput[],
): Uint8Array {
  const bits = Math.log2(palette.length);
  const out = [
    ...ascii('GIF89a'),
    ...u16le(width),
    ...u16le(height),
    0x80 | (bits - 1),
    0,
    0,
    ...palette.flat(),
  ];
  for (const frame of frames) {
    const transparent = frame.transparent ?? -1;
    out.push(0x21, 0xf9, 4, transparent >= 0 ? 1 : 0, 5, 0, Math.max(0, transparent), 0);
    out.push(0x2c, ...u16le(frame.x), ...u16le(frame.y), ...u16le(frame.width), ...u16le(frame.height));
    out.push(frame.interlaced ? 0x40 : 0, bits);
    const codes = lzw(frame.indices, bits);
    for (let from = 0; from < codes.length; from += 255) {
      const part = codes.slice(from, from + 255);
      out.push(part.length, ...part);
    }
    out.push(0);
  }
  return Uint8Array.from([...out, 0x3b]);
}

/** GIF89a appendix F: the dictionary grows to 4096 strings, then starts anew. */
function lzw(indices: readonly number[], bits: number): number[] {
  const clear = 1 << bits;
  let strings = new Map<string, number>();
  let next = clear + 2;
  let width = bits + 1;
  const bytes: number[] = [];
  let held = 0;
  let count = 0;
  const emit = (code: number) => {
    held |= code << count;
    count += width;
    for (; count >= 8; count -= 8, held >>>= 8) bytes.push(held & 255);
  };
  const codeOf = (string: string) => strings.get(string) ?? Number(string);
  emit(clear);
  let current = '';
  for (const index of indices) {
    const longer = current === '' ? String(index) : `${current},${index}`;
    if (current === '' || strings.has(longer)) {
      current = longer;
      continue;
    }
    emit(codeOf(current));
    if (next < 4096) {
      strings.set(longer, next);
      if (next === 1 << width) width++;
      next++;
    } else {
      emit(clear);
      strings = new Map();
      next = clear + 2;
      width = bits + 1;
    }
    current = String(index);
  }
  emit(codeOf(current));
  emit(clear + 1);
  if (count > 0) bytes.push(held & 255);
  return bytes;
}
