/**
 * The first frame of a GIF as BGR, which Debian's OpenCV cannot read. Null when the file is damaged or cut off.
 * What is transparent or outside the frame is white. Source: GIF89a specification, CompuServe 1990, and its appendix F (LZW).
 */
export function decodeGif(bytes: Uint8Array): { width: number; height: number; data: Uint8Array } | null {
  const frame = findFirstFrame(bytes);
  if (frame === null) return null;
  const { screen, box, palette, transparent } = frame;
  const indices = unpack(frame.codes, frame.minCodeSize, box.width * box.height);
  if (indices === null) return null;
  const data = new Uint8Array(screen.width * screen.height * 3).fill(255);
  const rows = frame.interlaced ? interlacedRows(box.height) : null;
  for (let row = 0; row < box.height; row++) {
    const y = box.y + (rows?.[row] ?? row);
    for (let column = 0; column < box.width; column++) {
      const index = indices[row * box.width + column] ?? 0;
      if (index === transparent) continue;
      const to = (y * screen.width + box.x + column) * 3;
      data[to] = palette[index * 3 + 2] ?? 0;
      data[to + 1] = palette[index * 3 + 1] ?? 0;
      data[to + 2] = palette[index * 3] ?? 0;
    }
  }
  return { ...screen, data };
}

interface GifFrame {
  readonly screen: { width: number; height: number };
  readonly box: { x: number; y: number; width: number; height: number };
  /** Red, green, blue. */
  readonly palette: Uint8Array;
  readonly transparent: number;
  readonly interlaced: boolean;
  readonly minCodeSize: number;
  readonly codes: Uint8Array;
}

function findFirstFrame(bytes: Uint8Array): GifFrame | null {
  const byte = (at: number) => bytes[at] ?? 0;
  const uint16 = (at: number) => byte(at) | (byte(at + 1) << 8);
  const screen = { width: uint16(6), height: uint16(8) };
  const paletteAt = (flags: number, at: number) =>
    (flags & 0x80) === 0 ? new Uint8Array(0) : bytes.subarray(at, at + 3 * 2 ** ((flags & 7) + 1));
  const global = paletteAt(byte(10), 13);
  let at = 13 + global.length;
  let transparent = -1;
  while (at < bytes.length) {
    const block = byte(at);
    if (block === 0x21) {
      // A graphic control extension (F9) names the transparent colour of the frame that follows.
      if (byte(at + 1) === 0xf9 && (byte(at + 3) & 1) === 1) transparent = byte(at + 6);
      const end = subBlocks(bytes, at + 2)?.end;
      if (end === undefined) return null;
      at = end;
      continue;
    }
    if (block !== 0x2c) return null;
    const box = { x: uint16(at + 1), y: uint16(at + 3), width: uint16(at + 5), height: uint16(at + 7) };
    if (box.width === 0 || box.height === 0) return null;
    if (box.x + box.width > screen.width || box.y + box.height > screen.height) return null;
    const flags = byte(at + 9);
    const local = paletteAt(flags, at + 10);
    const palette = local.length > 0 ? local : global;
    const body = at + 10 + local.length;
    const blocks = subBlocks(bytes, body + 1);
    if (blocks === null || palette.length === 0) return null;
    const interlaced = (flags & 0x40) !== 0;
    return { screen, box, palette, transparent, interlaced, minCodeSize: byte(body), codes: blocks.data };
  }
  return null;
}

/** Joins a chain of sub-blocks; null when its terminator is missing. */
function subBlocks(bytes: Uint8Array, start: number): { data: Uint8Array; end: number } | null {
  const parts: Uint8Array[] = [];
  let at = start;
  for (;;) {
    const length = bytes[at];
    if (length === undefined || at + 1 + length > bytes.length) return null;
    if (length === 0) return { data: Buffer.concat(parts), end: at + 1 };
    parts.push(bytes.subarray(at + 1, at + 1 + length));
    at += 1 + length;
  }
}

/** LZW with codes that grow to 12 bits: `count` palette indices, or null when the codes are wrong or too few. */
function unpack(codes: Uint8Array, minCodeSize: number, count: number): Uint8Array | null {
  if (minCodeSize < 2 || minCodeSize > 8) return null;
  const clear = 1 << minCodeSize;
  const end = clear + 1;
  const prefix = new Uint16Array(4096);
  const suffix = new Uint8Array(4096);
  const stack = new Uint8Array(4097);
  for (let code = 0; code < clear; code++) suffix[code] = code;
  const output = new Uint8Array(count);
  let written = 0;
  let width = minCodeSize + 1;
  let next = end + 1;
  let previous = -1;
  let first = 0;
  let bits = 0;
  let held = 0;
  for (const byte of codes) {
    bits |= byte << held;
    held += 8;
    while (held >= width) {
      const code = bits & ((1 << width) - 1);
      bits >>>= width;
      held -= width;
      if (code === end) return written === count ? output : null;
      if (code === clear) {
        width = minCodeSize + 1;
        next = end + 1;
        previous = -1;
        continue;
      }
      if (code > next || (previous === -1 && code >= clear)) return null;
      let depth = 0;
      let walk = code;
      if (code === next) {
        // The code that is being defined right now: the previous string and its own first index.
        stack[depth++] = first;
        walk = previous;
      }
      while (walk >= clear) {
        stack[depth++] = suffix[walk] ?? 0;
        walk = prefix[walk] ?? 0;
      }
      first = walk;
      stack[depth++] = walk;
      while (depth > 0 && written < count) output[written++] = stack[--depth] ?? 0;
      if (written === count) return output;
      if (previous !== -1 && next < 4096) {
        prefix[next] = previous;
        suffix[next] = first;
        next++;
        if (next === 1 << width && width < 12) width++;
      }
      previous = code;
    }
  }
  return null;
}

/** The order in which an interlaced frame stores its rows: every 8th, then 8th from 4, 4th from 2, 2nd from 1. */
function interlacedRows(height: number): number[] {
  const rows: number[] = [];
  for (const [start, step] of [
    [0, 8],
    [4, 8],
    [2, 4],
    [1, 2],
  ] as const) {
    for (let row = start; row < height; row += step) rows.push(row);
  }
  return rows;
}
