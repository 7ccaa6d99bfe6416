/** What a file says about itself before anything of it is decoded. */
export interface ImageHeader {
  readonly kind: 'jpeg' | 'png' | 'gif' | 'bmp' | 'webp' | 'tiff';
  /** As stored, before any rotation that the file asks for. */
  readonly width: number;
  readonly height: number;
}

/**
 * The kind and size of an encoded picture, from its first bytes; null when it is none of the kinds or its header is cut off.
 * Sources: ITU-T T.81 B.2.2 (JPEG), RFC 2083 11.2.1 (PNG), GIF89a 18, BITMAPINFOHEADER, RFC 9649 (WebP), TIFF 6.0 section 2.
 */
export function readHeader(bytes: Uint8Array): ImageHeader | null {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (const read of [jpeg, png, gif, bmp, webp, tiff]) {
    try {
      const header = read(view);
      if (header !== null) return header.width > 0 && header.height > 0 ? header : null;
    } catch (error) {
      // DataView throws RangeError past the end: the header is cut off.
      if (error instanceof RangeError) return null;
      throw error;
    }
  }
  return null;
}

function startsWith(view: DataView, text: string, at = 0): boolean {
  if (view.byteLength < at + text.length) return false;
  return [...text].every((char, index) => view.getUint8(at + index) === char.charCodeAt(0));
}

function jpeg(view: DataView): ImageHeader | null {
  // SOF0 to SOF15, without DHT (C4), JPG (C8) and DAC (CC).
  const isFrame = (marker: number) =>
    marker >= 0xc0 && marker <= 0xcf && ![0xc4, 0xc8, 0xcc].includes(marker);
  const at = findSegment(view, isFrame);
  return at === null ? null : { kind: 'jpeg', height: view.getUint16(at + 5), width: view.getUint16(at + 7) };
}

/**
 * True when a JPEG's end marker (FF D9) comes after the beginning of its scan; in a scan FF is always followed by 00 or
 * another marker, and a thumbnail's end marker lies before it. What follows the end (padding, a motion photo) is no matter.
 */
export function isWholeJpeg(bytes: Uint8Array): boolean {
  try {
    const scan = findSegment(
      new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength),
      (m) => m === 0xda,
    );
    return (
      scan !== null &&
      Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).includes(END_OF_IMAGE, scan)
    );
  } catch (error) {
    if (error instanceof RangeError) return false;
    throw error;
  }
}

const END_OF_IMAGE = Buffer.from([0xff, 0xd9]);

/** Where the first segment with such a marker begins. Throws RangeError past the end. */
function findSegment(view: DataView, wanted: (marker: number) => boolean): number | null {
  if (!startsWith(view, '\xff\xd8\xff')) return null;
  let at = 2;
  for (;;) {
    if (view.getUint8(at) !== 0xff) return null;
    const marker = view.getUint8(at + 1);
    if (wanted(marker)) return at;
    // FF: a fill byte. TEM, RSTn and SOI have no length.
    if (marker === 0xff) at += 1;
    else if (marker === 0x01 || (marker >= 0xd0 && marker <= 0xd8)) at += 2;
    else at += 2 + view.getUint16(at + 2);
  }
}

function png(view: DataView): ImageHeader | null {
  if (!startsWith(view, '\x89PNG\r\n\x1a\n')) return null;
  if (!startsWith(view, 'IHDR', 12)) return null;
  return { kind: 'png', width: view.getUint32(16), height: view.getUint32(20) };
}

function gif(view: DataView): ImageHeader | null {
  if (!startsWith(view, 'GIF87a') && !startsWith(view, 'GIF89a')) return null;
  return { kind: 'gif', width: view.getUint16(6, true), height: view.getUint16(8, true) };
}

function bmp(view: DataView): ImageHeader | null {
  if (!startsWith(view, 'BM')) return null;
  const headerSize = view.getUint32(14, true);
  if (headerSize === 12)
    return { kind: 'bmp', width: view.getUint16(18, true), height: view.getUint16(20, true) };
  if (headerSize < 40) return null;
  // A negative height means rows from the top.
  return { kind: 'bmp', width: view.getInt32(18, true), height: Math.abs(view.getInt32(22, true)) };
}

function webp(view: DataView): ImageHeader | null {
  if (!startsWith(view, 'RIFF') || !startsWith(view, 'WEBP', 8)) return null;
  const uint24 = (at: number) => view.getUint16(at, true) | (view.getUint8(at + 2) << 16);
  if (startsWith(view, 'VP8X', 12)) return { kind: 'webp', width: uint24(24) + 1, height: uint24(27) + 1 };
  if (startsWith(view, 'VP8L', 12)) {
    const bits = view.getUint32(21, true);
    return { kind: 'webp', width: (bits & 0x3fff) + 1, height: ((bits >>> 14) & 0x3fff) + 1 };
  }
  if (startsWith(view, 'VP8 ', 12)) {
    return {
      kind: 'webp',
      width: view.getUint16(26, true) & 0x3fff,
      height: view.getUint16(28, true) & 0x3fff,
    };
  }
  return null;
}

function tiff(view: DataView): ImageHeader | null {
  const little = startsWith(view, 'II*\0');
  if (!little && !startsWith(view, 'MM\0*')) return null;
  const directory = view.getUint32(4, little);
  const entries = view.getUint16(directory, little);
  let width = 0;
  let height = 0;
  for (let index = 0; index < entries; index++) {
    const at = directory + 2 + index * 12;
    const tag = view.getUint16(at, little);
    const isShort = view.getUint16(at + 2, little) === 3;
    const value = isShort ? view.getUint16(at + 8, little) : view.getUint32(at + 8, little);
    if (tag === 256) width = value;
    if (tag === 257) height = value;
  }
  return { kind: 'tiff', width, height };
}
