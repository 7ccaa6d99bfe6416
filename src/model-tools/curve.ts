import type { OperatingPoint } from './accuracy.js';

/** Five rates for each power of ten, down to one in a million. */
export const CURVE_RATES = Array.from({ length: 26 }, (_, at) =>
  Number((10 ** (-1 - at / 5)).toPrecision(4)),
);
/** A rate that fewer impostor pairs than these stand for is not told. */
const LEAST_PAIRS = 5;

export interface Measured {
  readonly impostorPairs: number;
  readonly genuinePairs: number;
  readonly points: readonly OperatingPoint[];
}

/** Without the rates that too few pairs stand for. */
export function told(measured: Measured): Measured {
  const { impostorPairs, points } = measured;
  return { ...measured, points: points.filter(({ fmr }) => fmr * impostorPairs >= LEAST_PAIRS) };
}

/** As a card holds it: each threshold above the one before; two rates may share one where pairs are few. */
export function curvePoints({ points }: Measured): { fmr: number; threshold: number; tmr: number }[] {
  return points
    .filter(({ threshold }, at) => threshold > (points[at - 1]?.threshold ?? -1) + 1e-5)
    .map(({ fmr, threshold, fnmr }) => ({
      fmr,
      threshold: Number(threshold.toFixed(5)),
      tmr: Number((1 - fnmr).toFixed(4)),
    }));
}
