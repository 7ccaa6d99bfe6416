import type { Embedding } from '../domain/embedding.js';
import { FacedError } from '../domain/errors.js';
import { similarity } from './similarity.js';

/** Two pictures, as paths below the folder of images, and whether they show one person. */
export interface Pair {
  readonly a: string;
  readonly b: string;
  readonly same: boolean;
}

/** Lines of one fold in LFW's own list. */
export const FOLD = 600;

/**
 * LFW's pair lines (Huang et al. 2007): `Name i j` for one person, `Name i Other j` for two, separated by tabs. A first
 * line with the counts of folds and pairs, as the full list has it, is passed over. Throws `usage.invalid` with the line.
 */
export function parsePairs(text: string): Pair[] {
  const pairs: Pair[] = [];
  for (const [index, line] of text.split(/\r?\n/).entries()) {
    const parts = line.trim().split('\t');
    if (line.trim() === '' || (index === 0 && /^\d+\t\d+$/.test(line.trim()))) continue;
    const [name = '', first = '', third = '', fourth] = parts;
    const same = fourth === undefined;
    const other = same ? name : third;
    const second = same ? third : fourth;
    if (parts.length < 3 || parts.length > 4 || !/^\d+$/.test(first) || !/^\d+$/.test(second)) {
      throw new FacedError(
        'usage.invalid',
        `line ${index + 1} of the pairs is not LFW's form: ${line.slice(0, 80)}`,
        {
          fix: 'Write `Name 1 2` or `Name 1 Other 2`, separated by tabs.',
        },
      );
    }
    if (/[\\/]|^\.\.?$/.test(name) || /[\\/]|^\.\.?$/.test(other)) {
      throw new FacedError(
        'usage.invalid',
        `line ${index + 1} of the pairs has a name that leaves the folder`,
      );
    }
    pairs.push({ a: lfwPath(name, first), b: lfwPath(other, second), same });
  }
  if (pairs.length === 0) throw new FacedError('usage.invalid', 'the list of pairs is empty');
  return pairs;
}

function lfwPath(name: string, number: string): string {
  return `${name}/${name}_${number.padStart(4, '0')}.jpg`;
}

export interface PairScore {
  readonly same: boolean;
  /** Null when one of the pictures has no face: such a pair never matches. */
  readonly similarity: number | null;
}

export interface Evaluation {
  readonly pairs: number;
  readonly accuracy: number;
  /** Standard deviation of the folds' accuracies; 0 with one fold. */
  readonly std: number;
  /** True accept rates; null where the list has no pairs of one kind. */
  readonly tar: { readonly '1e-2': number | null; readonly '1e-3': number | null };
  /** Images without a face. */
  readonly misses: number;
}

/**
 * LFW's protocol: folds of 600 lines in their order (a rest of fewer than 300 joins the fold before it); each fold's
 * threshold is the one that is best on all the other folds. With one fold there are no others: then the threshold is
 * the best one of all lines, which flatters a little, and `std` is 0.
 */
export function evaluateScores(scores: readonly PairScore[]): Omit<Evaluation, 'misses'> {
  const folds = splitFolds(scores);
  const accuracies = folds.map((fold) => {
    const others = folds.length === 1 ? fold : folds.filter((one) => one !== fold).flat();
    return accuracyAt(fold, bestThreshold(others));
  });
  const right = accuracies.reduce((sum, one, index) => sum + one * (folds[index]?.length ?? 0), 0);
  const mean = accuracies.reduce((a, b) => a + b, 0) / accuracies.length;
  const variance = accuracies.reduce((sum, one) => sum + (one - mean) ** 2, 0) / accuracies.length;
  return {
    pairs: scores.length,
    accuracy: right / scores.length,
    std: Math.sqrt(variance),
    tar: { '1e-2': trueAcceptRate(scores, 1e-2), '1e-3': trueAcceptRate(scores, 1e-3) },
  };
}

/**
 * True accepts at the lowest threshold with at most floor(rate x impostors) false accepts. A pair is accepted at
 * `similarity >= threshold`, so the threshold lies just above the first impostor that is too many.
 */
export function trueAcceptRate(scores: readonly PairScore[], rate: number): number | null {
  const impostors = scores.filter((one) => !one.same).map(cosineOf);
  const genuine = scores.filter((one) => one.same).map(cosineOf);
  if (impostors.length === 0 || genuine.length === 0) return null;
  impostors.sort((a, b) => b - a);
  const bar = impostors[Math.floor(rate * impostors.length)] ?? Number.NEGATIVE_INFINITY;
  return genuine.filter((value) => value > bar).length / genuine.length;
}

/** Most right answers; of several equally good ranges of thresholds the middle one, and its middle. */
export function bestThreshold(scores: readonly PairScore[]): number {
  const sorted = scores
    .map((one) => ({ same: one.same, value: cosineOf(one) }))
    .sort((a, b) => b.value - a.value);
  // Accepting nobody: every impostor is right.
  let right = sorted.filter((one) => !one.same).length;
  let best = { right, cuts: [0] };
  for (const [index, one] of sorted.entries()) {
    right += one.same ? 1 : -1;
    // A threshold cannot part equal values.
    if (sorted[index + 1]?.value === one.value) continue;
    if (one.value === Number.NEGATIVE_INFINITY) break;
    if (right > best.right) best = { right, cuts: [] };
    if (right === best.right) best.cuts.push(index + 1);
  }
  const cut = best.cuts[best.cuts.length >> 1] ?? 0;
  const above = sorted[cut - 1]?.value ?? 1;
  const below = Math.max(sorted[cut]?.value ?? -1, -1);
  return (above + below) / 2;
}

function accuracyAt(scores: readonly PairScore[], threshold: number): number {
  return scores.filter((one) => cosineOf(one) >= threshold === one.same).length / scores.length;
}

function cosineOf(score: PairScore): number {
  return score.similarity ?? Number.NEGATIVE_INFINITY;
}

function splitFolds(scores: readonly PairScore[]): PairScore[][] {
  const count = Math.max(1, Math.round(scores.length / FOLD));
  return Array.from({ length: count }, (_, index) =>
    scores.slice(index * FOLD, index === count - 1 ? scores.length : (index + 1) * FOLD),
  );
}

export interface EvaluateOptions {
  readonly pairs: readonly Pair[];
  /** The embedding of the picture at a pair's path; null when it shows no face. Called once for each picture. */
  readonly embedImage: (path: string) => Promise<Embedding | null>;
  /** Pictures that are asked for at the same time, for several workers; 1 when left out. */
  readonly concurrency?: number;
  readonly onProgress?: (done: number, total: number) => void;
}

/** The whole evaluation. Rejects with what `embedImage` rejects with. */
export async function evaluatePairs(options: EvaluateOptions): Promise<Evaluation> {
  const { pairs, embedImage, concurrency = 1, onProgress } = options;
  const paths = [...new Set(pairs.flatMap(({ a, b }) => [a, b]))];
  const embeddings = new Map<string, Embedding | null>();
  let next = 0;
  const work = async () => {
    for (let path = paths[next++]; path !== undefined; path = paths[next++]) {
      embeddings.set(path, await embedImage(path));
      onProgress?.(embeddings.size, paths.length);
    }
  };
  await Promise.all(Array.from({ length: concurrency }, work));
  const scores = pairs.map(({ a, b, same }) => {
    const [one, other] = [embeddings.get(a), embeddings.get(b)];
    return { same, similarity: one && other ? similarity(one, other) : null };
  });
  const misses = [...embeddings.values()].filter((one) => one === null).length;
  return { ...evaluateScores(scores), misses };
}
