import { evaluateScores, type Pair } from '../vision/evaluate.js';

/** Unit vectors of pictures, row after row, and whom each picture shows. */
export interface EmbeddedSet {
  readonly paths: readonly string[];
  readonly people: readonly string[];
  readonly dimensions: number;
  readonly vectors: Float32Array;
}

export interface OperatingPoint {
  readonly fmr: number;
  readonly threshold: number;
  /** False non-match rate at that threshold. */
  readonly fnmr: number;
}

const BINS = 200_000;

/** Similarities counted as they come, and the thresholds that they make. */
export class PairTally {
  readonly #impostors = new Float64Array(BINS + 1);
  readonly #genuine: number[] = [];
  #impostorPairs = 0;

  add(cosine: number, same: boolean): void {
    if (same) {
      this.#genuine.push(cosine);
      return;
    }
    this.#impostorPairs += 1;
    const bin = Math.min(BINS, Math.max(0, Math.floor(((cosine + 1) / 2) * BINS)));
    this.#impostors[bin] = (this.#impostors[bin] as number) + 1;
  }

  /** For each false match rate the lowest threshold that keeps it, and what it costs (ISO/IEC 19795-1). */
  points(rates: readonly number[]): {
    readonly impostorPairs: number;
    readonly genuinePairs: number;
    readonly points: readonly OperatingPoint[];
  } {
    const genuine = Float64Array.from(this.#genuine).sort();
    const impostors = this.#impostors;
    const points = rates.map((fmr) => {
      const limit = Math.floor(fmr * this.#impostorPairs);
      let [above, bin] = [0, BINS];
      while (bin >= 0 && above + (impostors[bin] as number) <= limit) above += impostors[bin--] as number;
      const threshold = (2 * (bin + 1)) / BINS - 1;
      const missed = genuine.findIndex((cosine) => cosine >= threshold);
      const fnmr = genuine.length === 0 ? 0 : (missed < 0 ? genuine.length : missed) / genuine.length;
      return { fmr, threshold, fnmr };
    });
    return { impostorPairs: this.#impostorPairs, genuinePairs: genuine.length, points };
  }
}

/** All pairs of two embeddings of the same pictures (probe by `a`, gallery by `b`; the same twice for one model). */
export function operatingPoints(
  a: EmbeddedSet,
  b: EmbeddedSet,
  rates: readonly number[],
): ReturnType<PairTally['points']> {
  const tally = new PairTally();
  const { dimensions, people } = a;
  for (let i = 0; i < people.length; i += 1) {
    for (let j = i + 1; j < people.length; j += 1) {
      let cosine = 0;
      for (let k = 0; k < dimensions; k += 1)
        cosine += (a.vectors[i * dimensions + k] as number) * (b.vectors[j * dimensions + k] as number);
      tally.add(cosine, people[i] === people[j]);
    }
  }
  return tally.points(rates);
}

/** LFW's protocol on embeddings that are already there. */
export function pairAccuracy(
  a: EmbeddedSet,
  b: EmbeddedSet,
  pairs: readonly Pair[],
): ReturnType<typeof evaluateScores> {
  const rows = new Map(a.paths.map((path, index) => [path, index]));
  const { dimensions } = a;
  return evaluateScores(
    pairs.map((pair) => {
      const [i, j] = [rows.get(pair.a), rows.get(pair.b)];
      if (i === undefined || j === undefined) return { same: pair.same, similarity: null };
      let cosine = 0;
      for (let k = 0; k < dimensions; k += 1)
        cosine += (a.vectors[i * dimensions + k] ?? 0) * (b.vectors[j * dimensions + k] ?? 0);
      return { same: pair.same, similarity: cosine };
    }),
  );
}
