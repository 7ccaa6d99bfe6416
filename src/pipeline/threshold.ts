import { FacedError } from '../domain/errors.js';

/** A recogniser's measured curve as its card holds it: one picture against one. */
export interface FalseMatchCurve {
  /** How many pairs of pictures of two people were compared. */
  readonly impostorPairs: number;
  /** False match rates falling, thresholds rising. */
  readonly points: readonly { readonly fmr: number; readonly threshold: number; readonly tmr: number }[];
}

export interface Gallery {
  readonly people: number;
  readonly samples: number;
}

export interface Bar {
  /** The cosine that the nearest person has to reach. */
  readonly threshold: number;
  /** The rate of false matches for one comparison that keeps the promise. */
  readonly fmr: number;
  /** How often one picture of a known person reaches the threshold against one sample. */
  readonly tmr: number;
}

/**
 * False matches that a rate has to rest on: with none in n pairs the rate is below 3/n at 95 % confidence (the rule
 * of three; Hanley and Lippman-Hand 1983), so nothing is claimed below that.
 */
const RULE_OF_THREE = 3;

/**
 * The threshold that keeps an owner's promise: of a thousand strangers at most this many are taken for somebody. A
 * stranger meets every sample, so with n of them one comparison may fail 1 - (1 - promise)^(1/n) times. Samples of one
 * person resemble each other, so the true rate lies below the promise, never above it (Boole's inequality).
 * Throws `promise.unmeasured` when the curve ends before that rate.
 */
export function thresholdFor(
  curve: FalseMatchCurve | undefined,
  promise: Gallery & { readonly strangersPerThousand: number },
): Bar {
  if (curve === undefined) throw unmeasured('the recogniser has no measured curve in its card');
  const wanted = wantedFmr(promise.strangersPerThousand, promise.samples);
  const floor = lowestFmr(curve);
  if (wanted < floor) {
    const least = bestPromise(curve, promise);
    throw unmeasured(
      `${promise.strangersPerThousand} strangers in 1,000 with ${promise.samples} samples needs a false match rate of ` +
        `${wanted.toExponential(1)}, and ${curve.impostorPairs} measured pairs support ${floor.toExponential(1)}`,
      `Promise at least ${least.toPrecision(2)} strangers in 1,000, or enrol fewer samples.`,
    );
  }
  return { fmr: wanted, ...at(curve, wanted) };
}

/**
 * The cosine at which one picture of a stranger is taken for one sample at most this often.
 * Throws `promise.unmeasured` where the curve ends before that rate.
 */
export function similarityAt(curve: FalseMatchCurve | undefined, fmr: number): number {
  if (curve === undefined) throw unmeasured('the recogniser has no measured curve in its card');
  const floor = lowestFmr(curve);
  if (fmr < floor) {
    throw unmeasured(
      `a false match rate of ${fmr.toExponential(1)} is asked for, and ${curve.impostorPairs} measured pairs support ${floor.toExponential(1)}`,
      `Ask for ${floor.toExponential(1)} or more.`,
    );
  }
  return at(curve, fmr).threshold;
}

/** The lowest number of strangers in a thousand that can be promised for a gallery of this size. */
export function bestPromise(curve: FalseMatchCurve, gallery: Gallery): number {
  return 1000 * -Math.expm1(comparisons(gallery.samples) * Math.log1p(-lowestFmr(curve)));
}

/** How often a stranger would be taken for somebody, at most, if the threshold were this one. */
export function strangersPerThousand(curve: FalseMatchCurve, gallery: Gallery, threshold: number): number {
  return 1000 * -Math.expm1(comparisons(gallery.samples) * Math.log1p(-fmrAt(curve, threshold)));
}

/** An empty gallery is judged like one sample: the first stranger after the first person is met by that threshold. */
function comparisons(samples: number): number {
  return Math.max(1, samples);
}

function wantedFmr(perThousand: number, samples: number): number {
  if (!(perThousand > 0 && perThousand < 1000)) {
    throw new RangeError(`strangers in a thousand must be between 0 and 1,000 (is ${perThousand})`);
  }
  return -Math.expm1(Math.log1p(-perThousand / 1000) / comparisons(samples));
}

function lowestFmr(curve: FalseMatchCurve): number {
  return Math.max(curve.points.at(-1)?.fmr ?? 1, RULE_OF_THREE / curve.impostorPairs);
}

/** Between two points of the curve, its logarithm is taken as straight. */
function at(curve: FalseMatchCurve, fmr: number): { threshold: number; tmr: number } {
  const { points } = curve;
  const next = points.findIndex((point) => point.fmr <= fmr);
  const [high, low] = [points[next - 1], points[next]];
  if (low === undefined) throw new RangeError('the curve ends above this rate');
  // Above its first point the curve says nothing; the first threshold is stricter than asked for.
  if (high === undefined) return { threshold: low.threshold, tmr: low.tmr };
  const share = (Math.log(high.fmr) - Math.log(fmr)) / (Math.log(high.fmr) - Math.log(low.fmr));
  return { threshold: mix(high.threshold, low.threshold, share), tmr: mix(high.tmr, low.tmr, share) };
}

function fmrAt(curve: FalseMatchCurve, threshold: number): number {
  const { points } = curve;
  const next = points.findIndex((point) => point.threshold >= threshold);
  if (next < 0) return lowestFmr(curve);
  const [high, low] = [points[next - 1], points[next]];
  if (low === undefined || high === undefined) return 1;
  const share = (threshold - high.threshold) / (low.threshold - high.threshold);
  return Math.max(Math.exp(mix(Math.log(high.fmr), Math.log(low.fmr), share)), lowestFmr(curve));
}

function mix(a: number, b: number, share: number): number {
  return a + (b - a) * share;
}

function unmeasured(message: string, fix?: string): FacedError {
  return new FacedError('promise.unmeasured', message, {
    fix: fix ?? 'Use a recogniser whose card has a curve, or set a threshold of your own.',
  });
}
