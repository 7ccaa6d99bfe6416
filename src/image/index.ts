import type { Box } from '../domain/face.js';
import { channels, type Image, type PixelFormat } from '../domain/frame.js';
import { native } from './native.js';

export { Capture, type CapturedFrame, type CaptureOptions, type WaitOptions } from './capture.js';
export { type DecodeLimits, decode } from './decode.js';
export { readPicture } from './picture-file.js';
export { VideoWriter, type VideoWriterOptions } from './writer.js';

/** An image over memory that the caller owns, so that it can be used again for the next frame. */
export interface WritableImage extends Image {
  readonly data: Uint8Array;
}

export interface ResizeOptions {
  /** In source pixels; may lie outside the source, where `fill` is read. Default: the whole source. */
  readonly roi?: Box;
  /**
   * `linear` (default) and `nearest` take the roi to the fraction of a pixel; `area` averages what falls under a target
   * pixel, for reducing by more than two, and rounds the roi to whole pixels.
   */
  readonly interpolation?: 'nearest' | 'linear' | 'area';
  /** Grey level outside the source, 0 to 255; default 127. */
  readonly fill?: number;
}

export interface WarpOptions {
  /** What is read outside the source: `fill` (constant, default) or the nearest edge pixel (replicate). */
  readonly border?: 'constant' | 'replicate';
  /** 0 to 255; default 0. */
  readonly fill?: number;
}

/** A black image. */
export function createImage(width: number, height: number, format: PixelFormat): WritableImage {
  return { width, height, format, data: new Uint8Array(width * height * channels(format)) };
}

/** JPEG bytes; quality 1 to 100, default 90. */
export function encodeJpeg(image: Image, quality = 90): Uint8Array {
  return native().encodeJpeg(image, quality);
}

/** Scale `source`, or its `roi`, to the target's size. Both have the same format. Pixel centres are aligned. */
export function resizeInto(source: Image, target: WritableImage, options: ResizeOptions = {}): void {
  const { roi, interpolation = 'linear', fill = 127 } = options;
  const { x, y, width, height } = roi ?? { x: 0, y: 0, width: source.width, height: source.height };
  native().resizeInto(source, target, x, y, width, height, interpolation, fill);
}

/** Grey levels by Rec. 601 (0.299 R + 0.587 G + 0.114 B); a grey source is copied. Same size, target gray8. */
export function toGrayInto(source: Image, target: WritableImage): void {
  requireFormat(target, 'gray8');
  native().convertInto(source, target);
}

/** A grey source three times over; a BGR source is copied. Same size, target bgr24. */
export function toBgrInto(source: Image, target: WritableImage): void {
  requireFormat(target, 'bgr24');
  native().convertInto(source, target);
}

/**
 * Bilinear affine warp. `matrix`: 2x3 row-major, maps source to target pixel coordinates (the centre of the top left
 * pixel is 0, 0). Both images have the same format.
 */
export function warpAffineInto(
  source: Image,
  target: WritableImage,
  matrix: Float64Array,
  options: WarpOptions = {},
): void {
  const { border = 'constant', fill = 0 } = options;
  native().warpAffineInto(source, target, matrix, border, fill);
}

/** Turn clockwise. For 90 and 270 the target is as wide as the source is high. Same format. */
export function rotateInto(source: Image, target: WritableImage, degrees: 90 | 180 | 270): void {
  native().rotateInto(source, target, degrees);
}

/**
 * A frame around a box, and ASCII text on a bar of its colour above it (below where there is no room), drawn into a
 * bgr24 image. The box is in whole pixels and may lie outside; `colour` is blue, green, red.
 */
export function drawBox(
  image: WritableImage,
  { x, y, width, height }: Box,
  { colour, text }: { colour: readonly [number, number, number]; text: string },
): void {
  requireFormat(image, 'bgr24');
  native().drawBox(image, [x, y, width, height], colour, text);
}

/** Sharpness: variance of the 3x3 Laplacian over grey levels (Pech-Pacheco et al., ICPR 2000). Higher is sharper. */
export function laplacianVariance(image: Image): number {
  return native().laplacianVariance(image);
}

/** Gives memory that the process has freed back to the system: malloc_trim(3). Takes a millisecond or two. */
export function releaseFreeMemory(): void {
  native().releaseFreeMemory();
}

/** Ends the process without waiting for its threads: _exit(2). */
export function exitNow(code: number): never {
  return native().exitNow(code);
}

/** OpenCV's version, for doctor. @throws FacedError `native.missing` */
export function opencvVersion(): string {
  return native().opencvVersion;
}

function requireFormat(target: Image, format: PixelFormat): void {
  if (target.format !== format) throw new TypeError(`target must be ${format} (is ${target.format})`);
}
