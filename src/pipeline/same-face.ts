import type { FalseMatchCurve } from './threshold.js';
import { DEFAULT_TRACKER } from './tracker.js';

/** Cosines by which two looks of one camera, moments apart, are one face or two. Between them nothing is said. */
export interface SameFaceLimits {
  readonly sameFace: number;
  readonly otherFace: number;
}

/** A handful of faces is compared, so one false match in 10,000 comparisons is rare enough. */
const SAME_FMR = 1e-4;
/** Well below where one impostor in a hundred lies: the same face in the same light practically never falls there. */
const OTHER_FMR = 1e-2;
const OTHER_SHARE = 0.6;

/** From the recogniser's measured curve, since each model has its own scale. Without one: those of the models shipped. */
export function sameFaceLimits(curve: FalseMatchCurve | undefined): SameFaceLimits {
  const { sameFace, otherFace } = DEFAULT_TRACKER;
  if (curve === undefined || curve.points.length === 0) return { sameFace, otherFace };
  return { sameFace: thresholdAt(curve, SAME_FMR), otherFace: OTHER_SHARE * thresholdAt(curve, OTHER_FMR) };
}

/** The measured point whose rate is nearest, in orders of magnitude. */
export function thresholdAt({ points }: FalseMatchCurve, fmr: number): number {
  const off = (one: { fmr: number }): number => Math.abs(Math.log10(Math.max(one.fmr, 1e-12) / fmr));
  return points.reduce((best, one) => (off(one) < off(best) ? one : best), points[0] ?? { fmr, threshold: 1 })
    .threshold;
}
