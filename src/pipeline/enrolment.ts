import type { Embedding } from '../domain/embedding.js';
import type { ErrorCode } from '../domain/errors.js';
import type { FaceQuality } from '../domain/face.js';
import type { Match } from '../domain/person.js';
import { dot } from '../vision/similarity.js';
import type { OwnSample } from './ports.js';
import { thresholdAt } from './same-face.js';
import type { FalseMatchCurve } from './threshold.js';

export interface EnrolmentLimits {
  /** Cosine that a new sample must at least reach to one of the person's others. */
  readonly outlier: number;
  /** Cosine from which two samples say the same. */
  readonly nearlySame: number;
  /** Samples that one person may have. */
  readonly perPerson: number;
}

/**
 * Below where one impostor in a hundred lies. Of pictures of one person each compared with four others of hers none
 * fell below 0.42; compared with a single other one six in a thousand fell below 0.24 (266 pictures of the test set).
 */
const OUTLIER_FMR = 1e-2;
const OUTLIER_DEFAULT = 0.24;
/** The same photograph, compressed or made smaller again, stays above 0.96; of two photographs 99.9 % lie below 0.90. */
const NEARLY_SAME = 0.95;
/** Candidates among which the first is looked for: a long import must not hold up the main thread. */
const MOST_COMPARED = 64;

export function enrolmentLimits(curve: FalseMatchCurve | undefined, perPerson: number): EnrolmentLimits {
  const measured = curve !== undefined && curve.points.length > 0;
  return {
    outlier: measured ? thresholdAt(curve, OUTLIER_FMR) : OUTLIER_DEFAULT,
    nearlySame: NEARLY_SAME,
    perPerson,
  };
}

/** A face that may become a sample. */
export interface Candidate {
  readonly embedding: Embedding;
  readonly quality: FaceQuality;
  /** The gallery's answer for it. */
  readonly match: Match | null;
}

export type Verdict =
  | { readonly accepted: true }
  | { readonly accepted: false; readonly code: ErrorCode; readonly reason: string };

export interface EnrolmentQuestion {
  /** Id of the person; null for somebody new. */
  readonly person: string | null;
  /** The person's samples in the space of the candidates. */
  readonly own: readonly OwnSample[];
  readonly candidates: readonly Candidate[];
  /** Cosine from which a face is somebody else's. */
  readonly duplicateFrom: number;
  readonly limits: EnrolmentLimits;
  /** Take what looks like somebody else, or unlike the person, all the same: twins, a beard that is gone. */
  readonly force?: boolean;
  /** Whether samples of the person may make room for more varied ones. Default true. */
  readonly replace?: boolean;
}

export interface EnrolmentPlan {
  /** One for each candidate, in order. */
  readonly verdicts: readonly Verdict[];
  /** Ids of the person's samples that make room. */
  readonly remove: readonly string[];
}

interface Kept {
  readonly vector: Float32Array;
  readonly score: number;
  /** Of a sample that is there already. */
  readonly id: string | null;
  /** Of a candidate. */
  readonly index: number;
}

/**
 * Which of several faces become samples of a person. All must be of one space. The faces are judged together: with
 * nobody to compare with, the one that most others resemble is the first, so that a stranger's picture at the head of
 * a folder does not keep the person's own out. When there are too many, of the two most alike the poorer one goes.
 */
export function planEnrolment(question: EnrolmentQuestion): EnrolmentPlan {
  const { candidates, limits, force = false, replace = true } = question;
  const verdicts = new Map<number, Verdict>();
  const open = new Set<number>();
  for (const [index, candidate] of candidates.entries()) {
    const taken = force ? null : ownerOf(candidate, question);
    if (taken === null) open.add(index);
    else verdicts.set(index, refused('enroll.duplicate', `this face is already ${taken}`));
  }
  const kept: Kept[] = question.own.map(({ id, embedding, quality }) => ({
    ...{ vector: embedding.vector, score: quality.score, id },
    index: -1,
  }));
  const remove: string[] = [];
  const makeRoom = (): void => {
    while (kept.length > limits.perPerson) {
      const poorer = leastVaried(kept, replace);
      if (poorer === undefined) return;
      kept.splice(kept.indexOf(poorer), 1);
      if (poorer.id !== null) remove.push(poorer.id);
      else
        verdicts.set(
          poorer.index,
          refused('enroll.nothing-new', `the person's ${limits.perPerson} samples are more varied`),
        );
    }
  };
  for (let index = next(question, open, kept); index !== undefined; index = next(question, open, kept)) {
    open.delete(index);
    const { embedding, quality } = candidates[index] as Candidate;
    if (nearest(embedding.vector, kept) >= limits.nearlySame)
      verdicts.set(index, refused('enroll.nothing-new', 'a sample that is nearly the same is there already'));
    else kept.push({ vector: embedding.vector, score: quality.score, id: null, index });
    makeRoom();
  }
  for (const index of open) {
    const similarity = nearest((candidates[index] as Candidate).embedding.vector, kept);
    verdicts.set(
      index,
      refused(
        'enroll.outlier',
        `this face does not look like the person's others (${similarity.toFixed(2)}, at least ${limits.outlier.toFixed(2)} is needed)`,
      ),
    );
  }
  const accepted: Verdict = { accepted: true };
  return { verdicts: candidates.map((_, index) => verdicts.get(index) ?? accepted), remove };
}

/** The name of somebody else to whom the face belongs. */
function ownerOf({ match }: Candidate, { person, duplicateFrom }: EnrolmentQuestion): string | null {
  if (match === null || match.person.id === person || match.similarity < duplicateFrom) return null;
  return match.person.name;
}

/** The next candidate that fits to those who were kept; the first of all is the one with the most support. */
function next(
  { candidates, limits, force }: EnrolmentQuestion,
  open: ReadonlySet<number>,
  kept: readonly Kept[],
): number | undefined {
  if (force) return [...open][0];
  if (kept.length > 0)
    return [...open].find(
      (index) => nearest((candidates[index] as Candidate).embedding.vector, kept) >= limits.outlier,
    );
  return mostSupported([...open].slice(0, MOST_COMPARED), candidates, limits.outlier);
}

/** Whole supporters count first, their likeness next, the picture's own quality last. */
function mostSupported(
  indices: readonly number[],
  candidates: readonly Candidate[],
  outlier: number,
): number | undefined {
  const support = indices.map((index) => {
    const { embedding, quality } = candidates[index] as Candidate;
    const supporters = indices
      .filter((other) => other !== index)
      .map((other) => dot(embedding.vector, (candidates[other] as Candidate).embedding.vector))
      .filter((similarity) => similarity >= outlier);
    const likeness = supporters.reduce((sum, similarity) => sum + similarity, 0);
    return supporters.length * 1000 + likeness + quality.score / 1000;
  });
  return indices[support.indexOf(Math.max(...support))];
}

function nearest(vector: Float32Array, kept: readonly Kept[]): number {
  return kept.reduce((best, one) => Math.max(best, dot(vector, one.vector)), Number.NEGATIVE_INFINITY);
}

/** Of the two that are most alike the one of lower quality, or the later one. Without `replace` it is never one that was there. */
function leastVaried(kept: readonly Kept[], replace: boolean): Kept | undefined {
  let best: { similarity: number; poorer: Kept } | undefined;
  for (const [at, one] of kept.entries()) {
    for (const other of kept.slice(0, at)) {
      const similarity = dot(one.vector, other.vector);
      if (best !== undefined && similarity <= best.similarity) continue;
      const poorer = poorerOf(one, other, replace);
      if (poorer !== undefined) best = { similarity, poorer };
    }
  }
  return best?.poorer;
}

function poorerOf(later: Kept, earlier: Kept, replace: boolean): Kept | undefined {
  const poorer = later.score <= earlier.score ? later : earlier;
  if (replace || poorer.id === null) return poorer;
  return [later, earlier].find(({ id }) => id === null);
}

function refused(code: ErrorCode, reason: string): Verdict {
  return { accepted: false, code, reason };
}
