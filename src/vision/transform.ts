import type { FivePoints, Point } from '../domain/face.js';

/** 2x3, row-major: x' = m0 x + m1 y + m2, y' = m3 x + m4 y + m5. */
export type Affine = Float64Array;

/** Where the five points lie in a 112x112 crop (ArcFace, Deng et al. 2019; its published reference coordinates). */
export const ARCFACE_POINTS: FivePoints = [
  { x: 38.2946, y: 51.6963 },
  { x: 73.5318, y: 51.5014 },
  { x: 56.0252, y: 71.7366 },
  { x: 41.5493, y: 92.3655 },
  { x: 70.7299, y: 92.2041 },
];

/**
 * The similarity transform (rotation, one scale, translation) that brings `from` nearest to `to` in the sense of
 * least squares: Umeyama, "Least-squares estimation of transformation parameters between two point patterns",
 * IEEE PAMI 13(4), 1991. In the plane and without reflection its singular value decomposition has the closed
 * form below. Throws RangeError when all points of `from` coincide.
 */
export function similarityTransform(from: readonly Point[], to: readonly Point[]): Affine {
  const [a, b] = [centroid(from), centroid(to)];
  let [along, across, spread] = [0, 0, 0];
  for (const [index, p] of from.entries()) {
    const q = to[index];
    if (q === undefined) throw new RangeError('both lists need the same number of points');
    const [px, py, qx, qy] = [p.x - a.x, p.y - a.y, q.x - b.x, q.y - b.y];
    along += px * qx + py * qy;
    across += px * qy - py * qx;
    spread += px * px + py * py;
  }
  if (!(spread > 0)) throw new RangeError('the points coincide');
  const cos = along / spread;
  const sin = across / spread;
  return Float64Array.of(cos, -sin, b.x - cos * a.x + sin * a.y, sin, cos, b.y - sin * a.x - cos * a.y);
}

export function applyTransform(matrix: Affine, point: Point): Point {
  const m = (index: number) => matrix[index] ?? 0;
  return { x: m(0) * point.x + m(1) * point.y + m(2), y: m(3) * point.x + m(4) * point.y + m(5) };
}

/** How much longer a line gets: the square root of the determinant. */
export function scaleOf(matrix: Affine): number {
  const m = (index: number) => matrix[index] ?? 0;
  return Math.sqrt(Math.abs(m(0) * m(4) - m(1) * m(3)));
}

function centroid(points: readonly Point[]): Point {
  let [x, y] = [0, 0];
  for (const point of points) {
    x += point.x;
    y += point.y;
  }
  return { x: x / points.length, y: y / points.length };
}
