import type { Box, FivePoints } from '../domain/face.js';

/** What a detector's network says before overlapping answers are joined. Pixels of the picture it looked at. */
export interface Detection {
  readonly box: Box;
  readonly score: number;
  /** From detectors that give the five points themselves. */
  readonly landmarks?: FivePoints;
}

/** Pixels: what is smaller shows nothing. */
const SMALLEST_SIDE = 1;
/** Points nearer to each other than this, in pixels, do not say how a face lies. */
const SMALLEST_SPREAD = 0.5;

/** Whether a network's answer is a place in a picture: no NaN, nothing infinite, not without a size. */
export function isBox({ x, y, width, height }: Box): boolean {
  return Number.isFinite(x + y + width + height) && width >= SMALLEST_SIDE && height >= SMALLEST_SIDE;
}

/** Whether a face can be aligned by its points: all finite, and not all in one place. */
export function isAlignable(points: FivePoints): boolean {
  const [first] = points;
  const spread = Math.max(...points.map(({ x, y }) => Math.hypot(x - first.x, y - first.y)));
  return Number.isFinite(first.x + first.y + spread) && spread >= SMALLEST_SPREAD;
}

export function area(box: Box): number {
  return Math.max(0, box.width) * Math.max(0, box.height);
}

export function intersection(a: Box, b: Box): number {
  const width = Math.min(a.x + a.width, b.x + b.width) - Math.max(a.x, b.x);
  const height = Math.min(a.y + a.height, b.y + b.height) - Math.max(a.y, b.y);
  return Math.max(0, width) * Math.max(0, height);
}

/** Intersection over union, 0 to 1; 0 for two empty boxes. */
export function iou(a: Box, b: Box): number {
  const common = intersection(a, b);
  const union = area(a) + area(b) - common;
  return union > 0 ? common / union : 0;
}

/** Share of the box that lies inside a picture, 0 to 1. */
export function visibleShare(box: Box, width: number, height: number): number {
  const whole = area(box);
  return whole > 0 ? intersection(box, { x: 0, y: 0, width, height }) / whole : 0;
}

/** The same centre, sides multiplied. */
export function scaleBox(box: Box, factor: number): Box {
  const width = box.width * factor;
  const height = box.height * factor;
  return { x: box.x + (box.width - width) / 2, y: box.y + (box.height - height) / 2, width, height };
}

/** The same size, moved by shares of its own sides. */
export function shiftBox(box: Box, dx: number, dy: number): Box {
  return { ...box, x: box.x + dx * box.width, y: box.y + dy * box.height };
}

/** The smallest square around the box with the same centre. */
export function squareBox(box: Box): Box {
  const side = Math.max(box.width, box.height);
  return { x: box.x + (box.width - side) / 2, y: box.y + (box.height - side) / 2, width: side, height: side };
}

export interface NmsOptions {
  /** Boxes that overlap a better one by more than this are dropped. */
  readonly maxIou: number;
  /** Boxes of which more than this share lies in a better one are dropped: half a face found within a face. */
  readonly maxInside?: number;
  /** At most this many answers. */
  readonly limit: number;
}

/**
 * Greedy non-maximum suppression: best score first, each kept box removes those that overlap it too much.
 * Equal scores keep their order, so the answer does not depend on the engine's sort.
 */
export function nonMaximumSuppression<One extends { readonly box: Box; readonly score: number }>(
  detections: readonly One[],
  { maxIou, maxInside = 1, limit }: NmsOptions,
): One[] {
  const order = [...detections].sort((a, b) => b.score - a.score);
  const kept: One[] = [];
  for (const one of order) {
    if (kept.length >= limit) break;
    const repeats = kept.some(
      (better) =>
        iou(better.box, one.box) > maxIou || intersection(better.box, one.box) > maxInside * area(one.box),
    );
    if (!repeats) kept.push(one);
  }
  return kept;
}

/**
 * The face that a picture of one person is about, in a list of its own: large and near the middle. Area less twice the
 * squared distance from the middle: eight of 3,811 pictures of LFW have a larger face beside the central one, and by
 * size alone its accuracy is 99.27 instead of 99.43 % (docs/performance.md).
 */
export function mainFace<One extends { readonly box: Box }>(
  faces: readonly One[],
  image: { readonly width: number; readonly height: number },
): One[] {
  const weight = ({ box }: One) => {
    const dx = box.x + (box.width - image.width) / 2;
    const dy = box.y + (box.height - image.height) / 2;
    return area(box) - 2 * (dx * dx + dy * dy);
  };
  return [...faces].sort((a, b) => weight(b) - weight(a)).slice(0, 1);
}
