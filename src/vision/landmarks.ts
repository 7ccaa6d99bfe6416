import type { FivePoints, Point } from '../domain/face.js';

/** Values of 68 points as x, y pairs. */
export const CONTOUR_LENGTH = 136;

/**
 * The five points of alignment from 68 in the order of the iBUG 300-W annotation. An eye's centre is the mean of
 * its two upper and two lower lid points: the corners move with the lids' shape, these do not.
 */
export function fivePointsOf(contour: Float32Array): FivePoints {
  const point = (index: number): Point => ({ x: contour[index * 2] ?? 0, y: contour[index * 2 + 1] ?? 0 });
  return [
    mean([37, 38, 40, 41].map(point)),
    mean([43, 44, 46, 47].map(point)),
    point(30),
    point(48),
    point(54),
  ];
}

/** The smallest rectangle around all points. */
export function boundsOf(contour: Float32Array): { x: number; y: number; width: number; height: number } {
  let [left, top, right, bottom] = [Infinity, Infinity, -Infinity, -Infinity];
  for (let at = 0; at + 1 < contour.length; at += 2) {
    const [x, y] = [contour[at] ?? 0, contour[at + 1] ?? 0];
    left = Math.min(left, x);
    right = Math.max(right, x);
    top = Math.min(top, y);
    bottom = Math.max(bottom, y);
  }
  return { x: left, y: top, width: right - left, height: bottom - top };
}

function mean(points: readonly Point[]): Point {
  const sum = points.reduce((a, b) => ({ x: a.x + b.x, y: a.y + b.y }), { x: 0, y: 0 });
  return { x: sum.x / points.length, y: sum.y / points.length };
}
