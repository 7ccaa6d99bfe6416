import { type EyeSample, findBlinks } from './blink.js';
import { type LevelShape, RELIEF, RIGID, SmoothWarp } from './parallax.js';

/** One frame of a track, as far as signs of life go. */
export interface LifeSample extends EyeSample {
  readonly shape: LevelShape;
}

/** What the points of a track say about its being alive. */
export interface LifeSigns {
  readonly frames: number;
  readonly spanMs: number;
  /** How far the head's relief (the nose before the face) moved to the side and up or down: differences of the sines of the turn. */
  readonly turn: number;
  readonly nod: number;
  /** The furthest turns to the picture's left (negative) and right, against the first frames. */
  readonly swing: { readonly least: number; readonly most: number };
  /** Share of the movement beyond a smooth warp that is the relief of a head, 0 to 1. */
  readonly explained: number;
  /**
   * Share of the turn's variance that is noise: each frame against the line between the one before and the one after (T.
   * Gasser, L. Sroka and C. Jennen-Steinmetz, "Residual variance and residual pattern in nonlinear regression", Biometrika
   * 1986). Some 1 when the points only tremble, near 0 when a head moves, at 8 frames a second as at 25.
   */
  readonly tremble: number;
  /** How much longer the face's proportions got between the extremes, as a turn or a tilt does to a head and to a picture alike: 1 is not at all. */
  readonly stretch: number;
  /** When both eyes closed and opened. */
  readonly blinks: readonly number[];
}

/** Of the relief's energy: with less the shape is too odd (a profile, a network that lost the face) to say anything. */
const MIN_ENERGY = 0.15;
const MIN_FRAMES = 6;

/** Null while there is too little to go by. @param samples of one track, in the order of time */
export function lifeSigns(samples: readonly LifeSample[]): LifeSigns | null {
  if (samples.length < MIN_FRAMES) return null;
  const rest = middleShape(samples);
  const [warp, rigid] = [new SmoothWarp(rest, RELIEF), new SmoothWarp(rest, RIGID)];
  if (rigid.energy < MIN_ENERGY) return null;
  const across: number[] = [];
  const along: number[] = [];
  let [moved, unexplained] = [0, 0];
  for (const { shape } of samples) {
    const x = offset(shape, rest, 0);
    across.push(warp.shift(x).shift);
    along.push(warp.shift(offset(shape, rest, 1)).shift);
    const whole = rigid.shift(x);
    moved += whole.shift * whole.shift * rigid.energy;
    unexplained += whole.unexplained;
  }
  const [xs, ys] = [smoothed(across), smoothed(along)];
  const lengths = smoothed(samples.map(({ shape }) => noseLength(shape)));
  const [shortest, longest] = [quantile(lengths, 0.05), quantile(lengths, 0.95)];
  return {
    frames: samples.length,
    spanMs: (samples.at(-1)?.ms ?? 0) - (samples[0]?.ms ?? 0),
    turn: quantile(xs, 0.95) - quantile(xs, 0.05),
    nod: quantile(ys, 0.95) - quantile(ys, 0.05),
    swing: swingOf(xs),
    explained: moved + unexplained > 0 ? moved / (moved + unexplained) : 0,
    tremble: trembleOf(across, samples),
    stretch: shortest > 0 ? longest / shortest : 1,
    blinks: findBlinks(samples).map(({ ms }) => ms),
  };
}

function trembleOf(values: readonly number[], samples: readonly LifeSample[]): number {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  let [noise, variance] = [0, 0];
  for (const [at, value] of values.entries()) {
    variance += (value - mean) ** 2;
    const [before, now, after] = [samples[at - 1]?.ms, samples[at]?.ms, samples[at + 1]?.ms];
    if (before === undefined || now === undefined || after === undefined) continue;
    const later = (now - before) / (after - before);
    const between = (values[at - 1] ?? value) * (1 - later) + (values[at + 1] ?? value) * later;
    // By its variance when the three are independent and of one variance.
    noise += (value - between) ** 2 / (1 + later ** 2 + (1 - later) ** 2);
  }
  return variance > 0 ? noise / (values.length - 2) / (variance / values.length) : 1;
}

/** Against the mean of the first three; the second furthest, since one frame alone may be wrong. */
function swingOf(values: readonly number[]): { least: number; most: number } {
  const start = values.slice(0, 3);
  const from = start.reduce((sum, value) => sum + value, 0) / Math.max(1, start.length);
  const sorted = [...values].sort((a, b) => a - b);
  return { least: (sorted[1] ?? from) - from, most: (sorted.at(-2) ?? from) - from };
}

/** From between the eyes to below the nose: speech does not change it. */
function noseLength(shape: LevelShape): number {
  const [x, y] = [(shape[66] ?? 0) - (shape[54] ?? 0), (shape[67] ?? 0) - (shape[55] ?? 0)];
  return Math.hypot(x, y);
}

function middleShape(samples: readonly LifeSample[]): LevelShape {
  const middle = new Float64Array(samples[0]?.shape.length ?? 0);
  // Typed arrays sort numbers without a call for each comparison: five times as fast.
  const values = new Float64Array(samples.length);
  for (let at = 0; at < middle.length; at++) {
    for (let index = 0; index < values.length; index++) values[index] = samples[index]?.shape[at] ?? 0;
    values.sort();
    middle[at] = values[values.length >> 1] ?? 0;
  }
  return middle;
}

/** x (0) or y (1) of the points against where they are in the middle. */
function offset(shape: LevelShape, rest: LevelShape, axis: 0 | 1): Float64Array {
  const values = new Float64Array(shape.length / 2);
  for (let at = 0; at < values.length; at++) {
    values[at] = (shape[at * 2 + axis] ?? 0) - (rest[at * 2 + axis] ?? 0);
  }
  return values;
}

/** The middle of each value and its neighbours: one frame in which the points jumped says nothing. */
function smoothed(values: readonly number[]): number[] {
  return values.map((value, at) => {
    const near = [values[at - 1] ?? value, value, values[at + 1] ?? value].sort((a, b) => a - b);
    return near[1] ?? value;
  });
}

function quantile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.round(share * (sorted.length - 1))] ?? 0;
}
