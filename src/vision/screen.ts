import type { Box } from '../domain/face.js';
import { channels, type Image } from '../domain/frame.js';

/** Side of the square that is looked at, a power of two. */
const SIDE = 64;
/** Waves longer than this many pixels belong to faces, shorter ones to a screen's dots and to moiré. */
const LONGEST = 12;
/** Moiré may be longer: faces that are large enough are looked at again with half of the pixels, each the mean of four. */
const COARSE_FACE = 0.8 * 2 * SIDE;
/**
 * How far a wave stands out of those of about its length, in powers, and of the waves some steps around it (an edge makes a
 * whole line of waves, a pattern a point), to be a screen's (docs/liveness.md).
 */
const STANDS_OUT = 40;
const ALONE = 2.2;
const AROUND = 4;
/** Steps that Hann's window spreads a wave over, to each side. */
const SPREAD = 2;
/** Upright and level waves, up to so many steps off: edges and compression make more of these than of all others. */
const LEVEL = 1;

/**
 * Whether a face shows the regular dots of a screen, or the moiré that they make with the camera's own: 1 and more where
 * one wave of a few pixels' length stands far out of the picture's spectrum, as it does in no skin and in no print. The
 * middle of the face is looked at in the camera's own pixels, and in a large face at half of them; blocks of 8 (there of
 * 16) pixels, which compression makes, are left out.
 * Null when the face is too small. (The idea: K. Patel et al., "Live face video vs. spoof face video: use of moiré
 * patterns", ICB 2015.)
 */
export function screenScore(image: Image, box: Box): number | null {
  const side = Math.min(box.width, box.height);
  const fine = side < SIDE ? null : scoreAt(image, box, 1);
  const coarse = side < COARSE_FACE ? null : scoreAt(image, box, 2);
  return fine === null || coarse === null ? (fine ?? coarse) : Math.max(fine, coarse);
}

/** The square in the middle of the face, each of its values the mean of `step` x `step` pixels; null when it is not all in the picture. */
function scoreAt(image: Image, box: Box, step: 1 | 2): number | null {
  const left = Math.round(box.x + (box.width - SIDE * step) / 2);
  const top = Math.round(box.y + (box.height - SIDE * step) / 2);
  if (left < 0 || top < 0 || left + SIDE * step > image.width || top + SIDE * step > image.height)
    return null;
  return peakOf(powerSpectrum(grey(image, { left, top, step })));
}

function grey(image: Image, { left, top, step }: { left: number; top: number; step: 1 | 2 }): Float64Array {
  const size = channels(image.format);
  const values = new Float64Array(SIDE * SIDE);
  let mean = 0;
  for (let row = 0; row < SIDE * step; row++) {
    for (let column = 0; column < SIDE * step; column++) {
      // Green carries most of the light.
      const from = ((row + top) * image.width + column + left) * size + (size === 3 ? 1 : 0);
      const at = Math.floor(row / step) * SIDE + Math.floor(column / step);
      const value = (image.data[from] ?? 0) / (step * step);
      values[at] = (values[at] ?? 0) + value;
      mean += value;
    }
  }
  mean /= SIDE * SIDE;
  // Hann's window: without it the edges of the square are waves of their own.
  for (let row = 0; row < SIDE; row++) {
    for (let column = 0; column < SIDE; column++) {
      const at = row * SIDE + column;
      values[at] = ((values[at] ?? 0) - mean) * (WINDOW[row] ?? 0) * (WINDOW[column] ?? 0);
    }
  }
  return values;
}

const WINDOW = Float64Array.from(
  { length: SIDE },
  (_, at) => 0.5 - 0.5 * Math.cos((2 * Math.PI * at) / SIDE),
);
const COSINES = Float64Array.from({ length: SIDE / 2 }, (_, at) => Math.cos((2 * Math.PI * at) / SIDE));
const SINES = Float64Array.from({ length: SIDE / 2 }, (_, at) => Math.sin((2 * Math.PI * at) / SIDE));

/** Powers of the two-dimensional Fourier transform. */
function powerSpectrum(real: Float64Array): Float64Array {
  const imaginary = new Float64Array(SIDE * SIDE);
  for (let row = 0; row < SIDE; row++) transform(real, imaginary, row * SIDE, 1);
  for (let column = 0; column < SIDE; column++) transform(real, imaginary, column, SIDE);
  return real.map((value, at) => value * value + (imaginary[at] ?? 0) ** 2);
}

/** Cooley and Tukey's transform of one line, in place. */
function transform(real: Float64Array, imaginary: Float64Array, start: number, step: number): void {
  const at = (index: number): number => start + index * step;
  const swap = (values: Float64Array, a: number, b: number): void => {
    const kept = values[a] ?? 0;
    values[a] = values[b] ?? 0;
    values[b] = kept;
  };
  for (let index = 1, other = 0; index < SIDE; index++) {
    let bit = SIDE >> 1;
    for (; (other & bit) !== 0; bit >>= 1) other ^= bit;
    other ^= bit;
    if (index < other) {
      swap(real, at(index), at(other));
      swap(imaginary, at(index), at(other));
    }
  }
  for (let length = 2; length <= SIDE; length <<= 1) {
    for (let block = 0; block < SIDE; block += length) {
      for (let index = 0; index < length / 2; index++) {
        const turn = (index * SIDE) / length;
        const [cos, sin] = [COSINES[turn] ?? 0, -(SINES[turn] ?? 0)];
        const [a, b] = [at(block + index), at(block + index + length / 2)];
        const [re, im] = [real[b] ?? 0, imaginary[b] ?? 0];
        const [x, y] = [re * cos - im * sin, re * sin + im * cos];
        real[b] = (real[a] ?? 0) - x;
        imaginary[b] = (imaginary[a] ?? 0) - y;
        real[a] = (real[a] ?? 0) + x;
        imaginary[a] = (imaginary[a] ?? 0) + y;
      }
    }
  }
}

interface Wave {
  readonly row: number;
  readonly column: number;
  readonly value: number;
}

/** The short waves by their length, the level ones for themselves, those that compression makes left out. */
const SHORT_WAVES: readonly (readonly {
  readonly row: number;
  readonly column: number;
  readonly counts: boolean;
}[])[] = shortWaves();

function shortWaves() {
  const rings: { row: number; column: number; counts: boolean }[][] = [];
  for (let row = 0; row < SIDE; row++) {
    for (let column = 0; column < SIDE; column++) {
      const [fx, fy] = [column > SIDE / 2 ? column - SIDE : column, row > SIDE / 2 ? row - SIDE : row];
      const frequency = Math.hypot(fx, fy);
      if (frequency < SIDE / LONGEST || frequency > SIDE / 2) continue;
      const isLevel = Math.min(Math.abs(fx), Math.abs(fy)) <= LEVEL;
      const ring = 2 * Math.round(frequency / 3) + (isLevel ? 1 : 0);
      rings[ring] ??= [];
      rings[ring].push({ row, column, counts: !(isBlock(fx) && isBlock(fy)) });
    }
  }
  return rings.filter((ring) => ring !== undefined);
}

/** The strongest short wave against the middle of those of about its length, and against those around it. */
function peakOf(power: Float64Array): number {
  let highest = 0;
  for (const ring of SHORT_WAVES) {
    const waves: Wave[] = ring.map(({ row, column }) => ({
      row,
      column,
      value: power[row * SIDE + column] ?? 0,
    }));
    const sorted = Float64Array.from(waves, ({ value }) => value).sort();
    const usual = Math.max(sorted[sorted.length >> 1] ?? 0, 1);
    for (const [at, wave] of waves.entries()) {
      if (ring[at]?.counts !== true) continue;
      const standsOut = wave.value / usual / STANDS_OUT;
      if (standsOut > highest)
        highest = Math.max(highest, Math.min(standsOut, aloneness(power, wave) / ALONE));
    }
  }
  return highest;
}

/**
 * Against the strongest of the waves around it. A picture has each wave twice, (x, y) and (-x, -y); those of two pixels'
 * length lie next to their own twin, which says nothing against them.
 */
function aloneness(power: Float64Array, { row, column, value }: Wave): number {
  let strongest = 1;
  for (let dy = -AROUND; dy <= AROUND; dy++) {
    for (let dx = -AROUND; dx <= AROUND; dx++) {
      if (Math.max(Math.abs(dx), Math.abs(dy)) !== AROUND) continue;
      const isTwin = apart(2 * row + dy) <= SPREAD && apart(2 * column + dx) <= SPREAD;
      if (isTwin) continue;
      const at = ((row + dy + SIDE) % SIDE) * SIDE + ((column + dx + SIDE) % SIDE);
      strongest = Math.max(strongest, power[at] ?? 0);
    }
  }
  return value / strongest;
}

/** How far a number is from a multiple of the square's side: the spectrum goes round. */
function apart(steps: number): number {
  const rest = (steps + 2 * SIDE) % SIDE;
  return Math.min(rest, SIDE - rest);
}

/** A multiple of one wave in 8 pixels, or next to it. */
function isBlock(frequency: number): boolean {
  const rest = Math.abs(frequency) % (SIDE / 8);
  return rest <= 1 || rest >= SIDE / 8 - 1;
}
