/** How far both eyes were open in one frame. */
export interface EyeSample {
  readonly ms: number;
  /** Eye aspect ratio of each eye, left and right as seen in the picture. */
  readonly left: number;
  readonly right: number;
}

export interface Blink {
  /** When the eyes were closed most. */
  readonly ms: number;
  /** How much of the eyes' opening went, 0 to 1. */
  readonly depth: number;
}

export interface BlinkLimits {
  /** Share of the opening that both eyes together, and each alone, have to lose. */
  readonly depth: number;
  readonly eachDepth: number;
  /** The drop has to be this many times the noise of the ratio. */
  readonly noises: number;
  /** Longest fall, longest rise, and longest time below half of the drop, milliseconds. */
  readonly fallMs: number;
  readonly riseMs: number;
  readonly halfMs: number;
}

/**
 * Lids fall within some 100 ms and rise within some 300 (Caffier et al. 2003). A network's points follow them less far
 * than the lids go: in films of three people its ratio lost 0.2 to 0.5 in a blink, and 0.03 from frame to frame without.
 */
export const BLINK_LIMITS: BlinkLimits = {
  depth: 0.15,
  eachDepth: 0.1,
  noises: 4,
  fallMs: 300,
  riseMs: 500,
  halfMs: 450,
};

/**
 * The eye aspect ratio of both eyes: the mean height of the opening over its width (T. Soukupová and J. Čech, "Real-Time
 * Eye Blink Detection using Facial Landmarks", CVWW 2016).
 * @param contour 68 points as x, y pairs
 */
export function eyeAspectRatios(contour: Float32Array): readonly [left: number, right: number] {
  const apart = (a: number, b: number): number =>
    Math.hypot(
      (contour[a * 2] ?? 0) - (contour[b * 2] ?? 0),
      (contour[a * 2 + 1] ?? 0) - (contour[b * 2 + 1] ?? 0),
    );
  const ratio = (first: number): number => {
    const width = apart(first, first + 3);
    return width > 0 ? (apart(first + 1, first + 5) + apart(first + 2, first + 4)) / (2 * width) : 0;
  };
  return [ratio(36), ratio(42)];
}

/**
 * Blinks: both eyes fall and rise again within the time that lids take, by more than this person's own noise. What is
 * counted is measured against the opening just before and just after, so that eyes that are narrow by nature, and a
 * head that nods slowly, neither hide nor make a blink.
 * @param samples in the order of time; 10 a second are enough
 */
export function findBlinks(samples: readonly EyeSample[], limits: BlinkLimits = BLINK_LIMITS): Blink[] {
  const ratios = samples.map(({ left, right }) => (left + right) / 2);
  const noise = noiseOf(ratios);
  const blinks: Blink[] = [];
  for (const [at, sample] of samples.entries()) {
    const lowest = ratios[at] ?? 0;
    const last = blinks.at(-1);
    if (last !== undefined && sample.ms - last.ms < limits.halfMs) continue;
    if ((ratios[at - 1] ?? 0) < lowest || (ratios[at + 1] ?? 0) <= lowest) continue;
    const before = openBefore(samples, ratios, at, limits.fallMs);
    const after = openAfter(samples, ratios, at, limits.riseMs);
    if (before === null || after === null) continue;
    const open = Math.min(ratios[before] ?? 0, ratios[after] ?? 0);
    const drop = open - lowest;
    if (!(drop >= limits.depth * open && drop >= limits.noises * noise)) continue;
    if (!eachFell(samples, { before, at, after }, limits.eachDepth)) continue;
    const half = lowest + drop / 2;
    let [from, to] = [at, at];
    while (from > before && (ratios[from - 1] ?? 1) < half) from--;
    while (to < after && (ratios[to + 1] ?? 1) < half) to++;
    if ((samples[to]?.ms ?? 0) - (samples[from]?.ms ?? 0) > limits.halfMs) continue;
    blinks.push({ ms: sample.ms, depth: drop / open });
  }
  return blinks;
}

/** Where the eyes were open widest within so much time before; null when there is no sample. */
function openBefore(
  samples: readonly EyeSample[],
  ratios: readonly number[],
  at: number,
  withinMs: number,
): number | null {
  let best: number | null = null;
  const now = samples[at]?.ms ?? 0;
  for (let index = at - 1; index >= 0 && now - (samples[index]?.ms ?? 0) <= withinMs; index--) {
    if (best === null || (ratios[index] ?? 0) > (ratios[best] ?? 0)) best = index;
  }
  return best;
}

function openAfter(
  samples: readonly EyeSample[],
  ratios: readonly number[],
  at: number,
  withinMs: number,
): number | null {
  let best: number | null = null;
  const now = samples[at]?.ms ?? 0;
  for (let index = at + 1; index < samples.length && (samples[index]?.ms ?? 0) - now <= withinMs; index++) {
    if (best === null || (ratios[index] ?? 0) > (ratios[best] ?? 0)) best = index;
  }
  return best;
}

/** Both eyes, not one: half a hand before the face, or a point that jumped, is no blink. */
function eachFell(
  samples: readonly EyeSample[],
  { before, at, after }: { before: number; at: number; after: number },
  share: number,
): boolean {
  return (['left', 'right'] as const).every((eye) => {
    const open = Math.min(samples[before]?.[eye] ?? 0, samples[after]?.[eye] ?? 0);
    return open - (samples[at]?.[eye] ?? 0) >= share * open;
  });
}

/** Standard deviation of the ratio's noise: from the middle of its second differences, which a slow change does not reach. */
function noiseOf(ratios: readonly number[]): number {
  const differences: number[] = [];
  for (let at = 1; at + 1 < ratios.length; at++) {
    differences.push(Math.abs((ratios[at - 1] ?? 0) - 2 * (ratios[at] ?? 0) + (ratios[at + 1] ?? 0)));
  }
  if (differences.length === 0) return 0;
  differences.sort((a, b) => a - b);
  // Of normal noise the middle of the absolute values is 0.6745 standard deviations; the second difference has sqrt(6) of them.
  return (differences[differences.length >> 1] ?? 0) / 0.6745 / Math.sqrt(6);
}
