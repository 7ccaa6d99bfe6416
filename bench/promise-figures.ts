/** The arithmetic of bench/promise.ts: galleries drawn by chance, strangers before them, and how sure the answer is. */
import { PairTally } from '../src/model-tools/accuracy.js';
import { CURVE_RATES, curvePoints, told } from '../src/model-tools/curve.js';
import type { FalseMatchCurve } from '../src/pipeline/threshold.js';
import type { Random } from '../test/helpers/liveness/random.js';

/** Cosines of all pictures with all: probe `i` against sample `j` stands at `i * size + j`. */
export interface Scores {
  readonly size: number;
  readonly cosines: Float32Array;
}

/** Which pictures show whom: people by number, each with the rows of their pictures. */
export type People = readonly (readonly number[])[];

/** Cosines of unit vectors, `rows` times `dimensions` each, row-major. */
export function scoresOf(probes: Float32Array, samples: Float32Array, dimensions: number): Scores {
  const size = probes.length / dimensions;
  const cosines = new Float32Array(size * size);
  // Four samples at a time: each number of a probe is read once for the four.
  for (let i = 0; i < size; i++) {
    const from = i * dimensions;
    for (let j = 0; j < size; j += 4) {
      let [a, b, c, d] = [0, 0, 0, 0];
      const [p, q, r, s] = [j, j + 1, j + 2, j + 3].map((row) => Math.min(row, size - 1) * dimensions) as [
        number,
        number,
        number,
        number,
      ];
      for (let k = 0; k < dimensions; k++) {
        const value = probes[from + k] as number;
        a += value * (samples[p + k] as number);
        b += value * (samples[q + k] as number);
        c += value * (samples[r + k] as number);
        d += value * (samples[s + k] as number);
      }
      const at = i * size + j;
      cosines[at] = a;
      if (j + 1 < size) cosines[at + 1] = b;
      if (j + 2 < size) cosines[at + 2] = c;
      if (j + 3 < size) cosines[at + 3] = d;
    }
  }
  return { size, cosines };
}

/** The error curve that `faced model verify` would write into a card if it had been given these people alone. */
export function curveOf({ size, cosines }: Scores, people: People): FalseMatchCurve {
  const tally = new PairTally();
  eachPair(people, (i, j, same) => tally.add(cosines[i * size + j] as number, same));
  const measured = told(tally.points(CURVE_RATES));
  return { impostorPairs: measured.impostorPairs, points: curvePoints(measured) };
}

/** Pictures of different people at or above a threshold, and how many pairs of them there are. */
export function falseMatches(
  { size, cosines }: Scores,
  people: People,
  threshold: number,
): { readonly events: readonly Meeting[]; readonly pairs: number } {
  const who = new Map(people.flatMap((rows, person) => rows.map((row) => [row, person] as const)));
  const events: Meeting[] = [];
  let pairs = 0;
  eachPair(people, (i, j, same) => {
    if (same) return;
    pairs++;
    if ((cosines[i * size + j] as number) >= threshold)
      events.push({ probe: who.get(i) as number, match: who.get(j) as number });
  });
  return { events, pairs };
}

function eachPair(people: People, visit: (i: number, j: number, same: boolean) => void): void {
  for (const [first, rows] of people.entries()) {
    for (let second = first; second < people.length; second++) {
      for (const [at, i] of rows.entries()) {
        const others = people[second] ?? [];
        for (let to = second === first ? at + 1 : 0; to < others.length; to++)
          visit(i, others[to] as number, second === first);
      }
    }
  }
}

/** Two people who were taken for one. */
export interface Meeting {
  readonly probe: number;
  readonly match: number;
}

/** An error of somebody before a gallery, and who in it has a part in that; null: nobody but themselves. */
export interface Failure {
  readonly probe: number;
  readonly match: number | null;
}

export interface Household {
  /** Numbers of the people who are enrolled. */
  readonly enrolled: readonly number[];
  readonly samples: readonly { readonly row: number; readonly person: number }[];
  readonly mates: readonly { readonly row: number; readonly person: number }[];
  readonly strangers: readonly { readonly row: number; readonly person: number }[];
}

/**
 * Some of `ids` are enrolled with up to `perPerson` pictures each, one picture kept back where there are two or more;
 * every picture of the others is a stranger's, and what was kept back a mate's (ISO/IEC 19795-1, open-set identification).
 */
export function household(
  people: People,
  ids: readonly number[],
  { size, perPerson, random }: { size: number; perPerson: number; random: Random },
): Household {
  const order = shuffled(ids, random);
  const enrolled = order.slice(0, size);
  const samples: { row: number; person: number }[] = [];
  const mates: { row: number; person: number }[] = [];
  for (const person of enrolled) {
    const rows = shuffled(people[person] ?? [], random);
    const count = Math.max(1, Math.min(perPerson, rows.length - 1));
    for (const [at, row] of rows.entries()) (at < count ? samples : mates).push({ row, person });
  }
  const strangers = order
    .slice(size)
    .flatMap((person) => (people[person] ?? []).map((row) => ({ row, person })));
  return { enrolled, samples, mates, strangers };
}

export function shuffled<T>(list: readonly T[], random: Random): T[] {
  const order = [...list];
  for (let at = order.length - 1; at > 0; at--) {
    const other = random.whole(at + 1);
    [order[at], order[other]] = [order[other] as T, order[at] as T];
  }
  return order;
}

export interface Best {
  readonly row: number;
  readonly person: number;
  readonly match: number;
  readonly similarity: number;
}

/** Whom each probe resembles most: a person counts by their best sample, as in the daemon. */
export function search(
  { size, cosines }: Scores,
  samples: Household['samples'],
  probes: Household['strangers'],
): Best[] {
  return probes.map(({ row, person }) => {
    let [match, similarity] = [-1, Number.NEGATIVE_INFINITY];
    for (const sample of samples) {
      const cosine = cosines[row * size + sample.row] as number;
      if (cosine > similarity) [match, similarity] = [sample.person, cosine];
    }
    return { row, person, match, similarity };
  });
}

/** Errors among presentations, kept by person, since pictures of one person are no independent trials. */
export class ErrorTally {
  readonly #trials: Float64Array;
  readonly #exposure: Float64Array;
  readonly #events: Failure[] = [];
  #presentations = 0;

  constructor(people: number) {
    this.#trials = new Float64Array(people);
    this.#exposure = new Float64Array(people);
  }

  /** One gallery, the presentations before it and those of them that went wrong. */
  add(gallery: readonly number[], probes: readonly number[], events: readonly Failure[]): void {
    for (const person of probes) this.#trials[person] = (this.#trials[person] ?? 0) + 1;
    for (const person of gallery)
      this.#exposure[person] = (this.#exposure[person] ?? 0) + probes.length / gallery.length;
    this.#presentations += probes.length;
    for (const event of events) this.#events.push(event);
  }

  /** All pairs of pictures of different people: `counts` says how many pictures each of them has. */
  addPairs(
    counts: readonly { readonly person: number; readonly pictures: number }[],
    pairs: number,
    events: readonly Meeting[],
  ): void {
    for (const { person, pictures } of counts) {
      this.#trials[person] = (this.#trials[person] ?? 0) + pictures;
      this.#exposure[person] = (this.#exposure[person] ?? 0) + pictures;
    }
    this.#presentations += pairs;
    for (const event of events) this.#events.push(event);
  }

  get presentations(): number {
    return this.#presentations;
  }

  get errors(): number {
    return this.#events.length;
  }

  get rate(): number {
    return this.#presentations === 0 ? Number.NaN : this.#events.length / this.#presentations;
  }

  /**
   * A 95 % interval by drawing the people anew, those at the door and those enrolled with the same weights (the pigeonhole
   * bootstrap of A. Owen, "The pigeonhole bootstrap", Annals of Applied Statistics 2007, which errs to the wide side). With
   * no error at all its upper end is that of the rule of three over the people who came.
   */
  interval(random: Random, draws = 1000): readonly [number, number] {
    const people = this.#trials.length;
    if (this.#events.length === 0) {
      const came = this.#trials.reduce((sum, trials) => sum + (trials > 0 ? 1 : 0), 0);
      return [0, came === 0 ? 1 : Math.min(1, 3 / came)];
    }
    const rates = new Float64Array(draws);
    const weights = new Float64Array(people);
    for (let draw = 0; draw < draws; draw++) {
      weights.fill(0);
      for (let at = 0; at < people; at++) {
        const one = random.whole(people);
        weights[one] = (weights[one] ?? 0) + 1;
      }
      let errors = 0;
      for (const { probe, match } of this.#events)
        errors += (weights[probe] ?? 0) * (match === null ? 1 : (weights[match] ?? 0));
      const trials = weightedMean(weights, this.#trials) * this.#presentations;
      rates[draw] = errors / (trials * weightedMean(weights, this.#exposure));
    }
    rates.sort();
    return [rates[Math.floor(0.025 * draws)] ?? 0, rates[Math.ceil(0.975 * draws) - 1] ?? 1];
  }
}

/** The mean weight of what was counted: 1 when everybody weighs as much. */
function weightedMean(weights: Float64Array, counts: Float64Array): number {
  let [sum, all] = [0, 0];
  for (const [at, count] of counts.entries()) {
    sum += count * (weights[at] ?? 0);
    all += count;
  }
  return all === 0 ? 1 : sum / all;
}

/** Whether a promise was kept: `shown` where the whole interval lies within it, `broken` where all of it lies above. */
export function judged(promise: number, [low, high]: readonly [number, number]): 'shown' | 'kept' | 'broken' {
  if (low > promise) return 'broken';
  return high <= promise ? 'shown' : 'kept';
}
