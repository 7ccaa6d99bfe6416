import { HEAD_SHAPE } from './head-shape.js';

/** 68 points as x, y pairs with the origin between the eyes, the eyes level and one unit apart. */
export type LevelShape = Float64Array;

const POINTS = 68;
/**
 * What each point counts for. Lips move when somebody speaks, and so count for less. RELIEF leaves the outline out: its
 * points lie where the face ends as seen, not on fixed places of it, and slide when it turns. RIGID leaves the eyes out:
 * they close and look about, in a head and behind the holes of a mask.
 */
export const RELIEF: Float64Array = weights({ outline: 0, eyes: 0.5 });
export const RIGID: Float64Array = weights({ outline: 1, eyes: 0 });

function weights({ outline, eyes }: { outline: number; eyes: number }): Float64Array {
  return Float64Array.from({ length: POINTS }, (_, at) =>
    at < 17 ? outline : at < 36 ? 1 : at < 48 ? eyes : 0.25,
  );
}

const DEPTH = Float64Array.from({ length: POINTS }, (_, at) => HEAD_SHAPE[at * 3 + 2] ?? 0);

/** The points without the face's place, size and roll in the picture. Null when the eyes coincide. */
export function levelShape(contour: Float32Array): LevelShape | null {
  const eye = (first: number): [number, number] => {
    let [x, y] = [0, 0];
    for (let at = first; at < first + 6; at++) {
      x += (contour[at * 2] ?? 0) / 6;
      y += (contour[at * 2 + 1] ?? 0) / 6;
    }
    return [x, y];
  };
  const [[leftX, leftY], [rightX, rightY]] = [eye(36), eye(42)];
  const apart = Math.hypot(rightX - leftX, rightY - leftY);
  if (!(apart > 0)) return null;
  const [cos, sin] = [(rightX - leftX) / apart, (rightY - leftY) / apart];
  const [middleX, middleY] = [(leftX + rightX) / 2, (leftY + rightY) / 2];
  const level = new Float64Array(POINTS * 2);
  for (let at = 0; at < POINTS; at++) {
    const [x, y] = [(contour[at * 2] ?? 0) - middleX, (contour[at * 2 + 1] ?? 0) - middleY];
    level[at * 2] = (x * cos + y * sin) / apart;
    level[at * 2 + 1] = (y * cos - x * sin) / apart;
  }
  return level;
}

/** What is left of 68 values when a smooth warp of the third degree has been taken out: what no flat or bent sheet can do. */
export class SmoothWarp {
  readonly #weights: Float64Array;
  readonly #basis: readonly Float64Array[];
  /** The nose's depth and whatever else of a head is not smooth. */
  readonly #relief: Float64Array;
  readonly #energy: number;

  /**
   * @param shape where the points lie when nothing moves. A turned or tilted plane moves them by a homography, which to
   * the third order is a polynomial of the third degree in their places; so is the shift of a sheet bent about any axis,
   * turned or not. The nose of a head, which stands out between eyes, cheeks and mouth, is not. One least-squares fit of
   * that polynomial so explains what a homography explains, and the bent print that a homography does not.
   */
  constructor(shape: LevelShape, weights: Float64Array) {
    this.#weights = weights;
    const columns = [
      () => 1,
      (x: number) => x,
      (_: number, y: number) => y,
      (x: number) => x * x,
      (x: number, y: number) => x * y,
      (_: number, y: number) => y * y,
      (x: number) => x * x * x,
      (x: number, y: number) => x * x * y,
      (x: number, y: number) => x * y * y,
      (_: number, y: number) => y * y * y,
    ];
    const basis: Float64Array[] = [];
    for (const column of columns) {
      const vector = weights.map((weight, at) => weight * column(shape[at * 2] ?? 0, shape[at * 2 + 1] ?? 0));
      // Twice, since once leaves rounding behind (Gram and Schmidt, modified).
      removeFrom(vector, basis);
      removeFrom(vector, basis);
      const length = Math.sqrt(product(vector, vector));
      if (length > 1e-9) basis.push(vector.map((value) => value / length));
    }
    this.#basis = basis;
    this.#relief = this.rest(DEPTH);
    this.#energy = product(this.#relief, this.#relief);
  }

  /** How much of the head's relief is left: below some 0.1 nothing can be said. */
  get energy(): number {
    return this.#energy;
  }

  /** Weighted values without their smooth part. */
  rest(values: Float64Array): Float64Array {
    const rest = new Float64Array(POINTS);
    for (let at = 0; at < POINTS; at++) rest[at] = (values[at] ?? 0) * (this.#weights[at] ?? 0);
    removeFrom(rest, this.#basis);
    return rest;
  }

  /** How far the relief has moved, in units of depth: the sine of the turn; and the square of what is not explained by it. */
  shift(values: Float64Array): { shift: number; unexplained: number } {
    const rest = this.rest(values);
    const shift = this.#energy > 0 ? product(rest, this.#relief) / this.#energy : 0;
    return { shift, unexplained: Math.max(0, product(rest, rest) - shift * shift * this.#energy) };
  }
}

function removeFrom(vector: Float64Array, basis: readonly Float64Array[]): void {
  for (const unit of basis) {
    const along = product(vector, unit);
    for (let at = 0; at < vector.length; at++) vector[at] = (vector[at] ?? 0) - along * (unit[at] ?? 0);
  }
}

function product(a: Float64Array, b: Float64Array): number {
  let sum = 0;
  for (let at = 0; at < a.length; at++) sum += (a[at] ?? 0) * (b[at] ?? 0);
  return sum;
}
