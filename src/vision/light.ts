import type { Image } from '../domain/frame.js';

/** The brightest pixels of a picture that is well lit reach this grey level. */
const DARK_BELOW = 90;
/** Of a hundred pixels, two may lie outside the range on either side: sparks and dead pixels do not set it. */
const OUTSIDE = 0.02;
const [BLACK, WHITE] = [10, 245];
/** About how many bytes are looked at: enough for percentiles, of a frame of any size. */
const SAMPLES = 20_000;

/** The grey levels that a dark picture uses. */
export interface DarkRange {
  readonly low: number;
  readonly high: number;
}

/** The range that a picture's pixels take when it is too dark; null when it is bright enough, or shows nothing. */
export function darkRange(image: Image): DarkRange | null {
  const { data } = image;
  // No multiple of three, so that all channels are met.
  const step = 3 * Math.floor(data.length / SAMPLES / 3) + 1;
  const counts = new Uint32Array(256);
  let seen = 0;
  for (let at = 0; at < data.length; at += step) {
    const value = data[at] ?? 0;
    counts[value] = (counts[value] ?? 0) + 1;
    seen++;
  }
  const high = levelAt(counts, (1 - OUTSIDE) * seen);
  const low = levelAt(counts, OUTSIDE * seen);
  return high >= DARK_BELOW || high - low < 4 ? null : { low, high };
}

/** Stretches `range` over nearly all grey levels, in place; all channels alike, so that colours keep their balance. */
export function stretch(image: Image, range: DarkRange): void {
  const { data } = image;
  const levels = new Uint8ClampedArray(256);
  for (let level = 0; level < 256; level++) {
    levels[level] = BLACK + ((level - range.low) * (WHITE - BLACK)) / (range.high - range.low);
  }
  for (let at = 0; at < data.length; at++) data[at] = levels[data[at] ?? 0] ?? 0;
}

/** The level that {@link stretch} turns into middle grey: what surrounds a dark picture. */
export function middleOf(range: DarkRange): number {
  return Math.round((range.low + range.high) / 2);
}

/** {@link stretch} where it is needed. Answers whether the picture was changed. */
export function stretchDark(image: Image): boolean {
  const range = darkRange(image);
  if (range === null) return false;
  stretch(image, range);
  return true;
}

function levelAt(counts: Uint32Array, share: number): number {
  let sum = 0;
  for (const [level, count] of counts.entries()) {
    sum += count;
    if (sum > share) return level;
  }
  return 255;
}
