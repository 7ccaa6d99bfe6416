import { FacedError } from '../domain/errors.js';
import type { Image } from '../domain/frame.js';
import { decodeGif } from './gif.js';
import { type ImageHeader, isWholeJpeg, readHeader } from './header.js';
import { native } from './native.js';

export interface DecodeLimits {
  /** Default 50 million. */
  readonly maxPixels?: number;
  /** Of the encoded file; default 64 MiB. */
  readonly maxBytes?: number;
}

/** A doorbell's camera has at most some 12 megapixels, a telephone's 50; 150 MB of pixels are the most a Pi can lend. */
const MAX_PIXELS = 50_000_000;
const MAX_BYTES = 64 * 2 ** 20;

/**
 * An encoded picture (JPEG, PNG, WebP, BMP, TIFF, or a GIF's first frame) as bgr24, upright: the EXIF orientation is
 * applied. Grey, CMYK, transparent and 16-bit pictures become 8-bit BGR. The limits are checked against the header
 * before anything is decoded.
 * @throws FacedError `image.too-large`, `image.unreadable`, `native.missing`
 */
export function decode(bytes: Uint8Array, limits: DecodeLimits = {}): Image {
  const { maxPixels = MAX_PIXELS, maxBytes = MAX_BYTES } = limits;
  if (bytes.byteLength > maxBytes) {
    throw tooLarge(`The picture has ${bytes.byteLength} bytes; at most ${maxBytes} are allowed.`);
  }
  if (bytes.byteLength === 0) throw unreadable('The picture is empty (0 bytes).');
  const header = readHeader(bytes);
  if (header === null) {
    throw unreadable('The bytes are not the beginning of a JPEG, PNG, WebP, BMP, GIF or TIFF picture.');
  }
  const pixels = header.width * header.height;
  if (pixels > maxPixels) {
    throw tooLarge(
      `The picture has ${header.width}x${header.height} = ${(pixels / 1e6).toFixed(1)} megapixels; ` +
        `at most ${(maxPixels / 1e6).toFixed(1)} are allowed.`,
    );
  }
  const decoded = pixelsOf(bytes, header);
  if (decoded === null) throw unreadable(`The ${header.kind.toUpperCase()} picture is damaged or cut off.`);
  return { width: decoded.width, height: decoded.height, format: 'bgr24', data: decoded.data };
}

function pixelsOf(
  bytes: Uint8Array,
  header: ImageHeader,
): { width: number; height: number; data: Uint8Array } | null {
  if (header.kind === 'gif') return decodeGif(bytes);
  // libjpeg fills what is missing with grey and calls it a picture.
  if (header.kind === 'jpeg' && !isWholeJpeg(bytes)) return null;
  try {
    return native().decode(bytes, header.width, header.height);
  } catch (error) {
    if (error instanceof FacedError) throw error;
    return null;
  }
}

function tooLarge(message: string): FacedError {
  return new FacedError('image.too-large', message, { fix: 'Use a smaller copy of the picture.' });
}

function unreadable(message: string): FacedError {
  return new FacedError('image.unreadable', message, { fix: 'Use a whole JPEG or PNG file.' });
}
