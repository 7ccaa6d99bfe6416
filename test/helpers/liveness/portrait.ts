import type { Image } from '../../../src/domain/frame.js';
import type { WritableImage } from '../../../src/image/index.js';
import { HEAD_SHAPE } from '../../../src/vision/head-shape.js';
import { gridMesh, type Mesh, sample } from './mesh.js';
import type { Random } from './random.js';

/** A photograph with one face and its 68 points: what attacks, and heads that move, are made from. */
export interface Portrait {
  readonly image: Image;
  /** x, y pairs in pixels of the photograph. */
  readonly points: Float32Array;
}

/** Between the centres of the eyes of a grown-up, millimetres (Dodgson 2004: mean 63). */
export const EYE_DISTANCE_MM = 63;

const x = (points: Float32Array, index: number): number => points[index * 2] ?? 0;
const y = (points: Float32Array, index: number): number => points[index * 2 + 1] ?? 0;

export interface PortraitFrame {
  /** Between the eyes, pixels. */
  readonly centre: readonly [number, number];
  /** Distance of the eyes' centres, pixels. */
  readonly eyes: number;
  /** Millimetres a pixel. */
  readonly scale: number;
}

export function frameOf({ points }: Portrait): PortraitFrame {
  const eye = (from: number): [number, number] => {
    let [sx, sy] = [0, 0];
    for (let at = from; at < from + 6; at++) {
      sx += x(points, at) / 6;
      sy += y(points, at) / 6;
    }
    return [sx, sy];
  };
  const [left, right] = [eye(36), eye(42)];
  const eyes = Math.hypot(right[0] - left[0], right[1] - left[1]);
  return {
    centre: [(left[0] + right[0]) / 2, (left[1] + right[1]) / 2],
    eyes,
    scale: EYE_DISTANCE_MM / eyes,
  };
}

/** The photograph as a flat sheet, or one that is bent about an axis. `bend`: radians over its whole width; `axis`: 0 stands upright. */
export function sheetMesh(
  portrait: Portrait,
  { bend = 0, axis = 0 }: { bend?: number; axis?: number } = {},
): Mesh {
  const { image } = portrait;
  const { centre, scale } = frameOf(portrait);
  const size = Math.max(image.width, image.height) * scale;
  const radius = Math.abs(bend) < 1e-3 ? Number.POSITIVE_INFINITY : size / bend;
  const [ca, sa] = [Math.cos(axis), Math.sin(axis)];
  return gridMesh({ x: 0, y: 0, width: image.width - 1, height: image.height - 1, cells: 24 }, (u, v) => {
    const [px, py] = [(u - centre[0]) * scale, (v - centre[1]) * scale];
    if (!Number.isFinite(radius)) return [px, py, 0];
    // Along the bend, and along the axis, which stays straight.
    const [across, along] = [ca * px + sa * py, -sa * px + ca * py];
    const angle = across / radius;
    const [bent, depth] = [radius * Math.sin(angle), radius * (1 - Math.cos(angle))];
    return [ca * bent - sa * along, sa * bent + ca * along, depth];
  });
}

/** How a head differs from the ordinary one. */
export interface HeadForm {
  /** Of all depths. */
  readonly depth: number;
  /** Of the nose's alone. */
  readonly nose: number;
}

export function headForm(random: Random): HeadForm {
  return { depth: random.between(0.85, 1.15), nose: random.between(0.75, 1.2) };
}

/** Beyond the 68 points, in their units: brow, crown, temples, hair, neck. */
const ROUND_ABOUT: readonly (readonly [number, number, number])[] = [
  [0, -0.9, 0.05],
  [-0.6, -0.85, -0.15],
  [0.6, -0.85, -0.15],
  [0, -1.5, -0.35],
  [-0.7, -1.4, -0.6],
  [0.7, -1.4, -0.6],
  [-1.15, -0.5, -0.95],
  [1.15, -0.5, -0.95],
  [-1.3, 0.2, -1.5],
  [1.3, 0.2, -1.5],
  [-1.2, 1.4, -1.5],
  [1.2, 1.4, -1.5],
  [0, 2.3, -0.9],
];

/**
 * The photograph laid over a head of three dimensions: each of its points has the depth that it has on an ordinary
 * head, and between them depth is blended by distance (Shepard 1968). What is around the head hangs on it.
 */
export function headMesh(portrait: Portrait, form: HeadForm): Mesh {
  const { image, points } = portrait;
  const { centre, eyes, scale } = frameOf(portrait);
  const anchors: [number, number, number][] = [];
  for (let at = 0; at < 68; at++) {
    const isNose = at >= 28 && at <= 35;
    const z = (HEAD_SHAPE[at * 3 + 2] ?? 0) * form.depth * (isNose ? form.nose : 1);
    anchors.push([(x(points, at) - centre[0]) / eyes, (y(points, at) - centre[1]) / eyes, z]);
  }
  for (const [ax, ay, az] of ROUND_ABOUT) anchors.push([ax, ay, az * form.depth]);
  const depthAt = (px: number, py: number): number => {
    let [sum, weights] = [0, 0];
    for (const [ax, ay, az] of anchors) {
      const weight = 1 / ((px - ax) ** 2 + (py - ay) ** 2 + 0.004) ** 1.5;
      sum += weight * az;
      weights += weight;
    }
    // Far outside nothing is nearer than the shoulders.
    const outside = Math.max(0, Math.hypot(px / 1.5, (py - 0.4) / 2) - 1);
    return sum / weights - Math.min(1, outside) * 0.8;
  };
  return gridMesh({ x: 0, y: 0, width: image.width - 1, height: image.height - 1, cells: 48 }, (u, v) => {
    const [px, py] = [(u - centre[0]) / eyes, (v - centre[1]) / eyes];
    return [(u - centre[0]) * scale, (v - centre[1]) * scale, -depthAt(px, py) * EYE_DISTANCE_MM];
  });
}

interface Lids {
  readonly from: number;
  readonly to: number;
  readonly upper: (u: number) => number;
  readonly lower: (u: number) => number;
}

/** The lids of an eye as parabolas through its corners and lid points; `first`: 36 or 42. */
export function lidsOf(points: Float32Array, first: 36 | 42): Lids {
  const [from, to] = [x(points, first), x(points, first + 3)];
  const [fromY, toY] = [y(points, first), y(points, first + 3)];
  const straight = (u: number): number => fromY + ((u - from) / (to - from)) * (toY - fromY);
  // The height of the arc in the middle, from the mean of its two points; a parabola has 8/9 of it at a third.
  const arc = (a: number, b: number): number =>
    ((y(points, a) - straight(x(points, a)) + y(points, b) - straight(x(points, b))) / 2) * (9 / 8);
  const [up, down] = [arc(first + 1, first + 2), arc(first + 4, first + 5)];
  const curve = (height: number) => (u: number) => {
    const share = (u - from) / (to - from);
    return straight(u) + height * 4 * share * (1 - share);
  };
  return { from, to, upper: curve(up * 1.1), lower: curve(down * 1.1) };
}

/** Draws both eyes closed by `closed` (0 open, 1 closed) into `into`, which holds a copy of the photograph. */
export function closeEyes(portrait: Portrait, closed: number, into: WritableImage): void {
  const { image, points } = portrait;
  const { eyes } = frameOf(portrait);
  for (const first of [36, 42] as const) {
    const { from, to, upper, lower } = lidsOf(points, first);
    for (let u = Math.floor(from) - 1; u <= Math.ceil(to) + 1; u++) {
      const inside = Math.min(Math.max(u, from), to);
      const [top, bottom] = [upper(inside), lower(inside)];
      const opening = Math.max(0, bottom - top);
      const crease = top - 0.7 * opening - 0.04 * eyes;
      const lid = top + closed * opening;
      for (let v = Math.floor(crease); v <= Math.ceil(bottom + 1); v++) {
        if (u < 0 || v < 0 || u >= image.width || v >= image.height) continue;
        // The skin between crease and lid is stretched over what the lid covers.
        const source = v <= lid && v > crease ? crease + ((v - crease) * (top - crease)) / (lid - crease) : v;
        sample(image, u, source, into.data, (v * image.width + u) * 3);
      }
    }
  }
}

/** 0 open to 1 closed at `seconds`, for blinks that begin at `starts`: 80 ms down, some time closed, 130 ms up. */
export function lidAt(seconds: number, starts: readonly number[], closedMs: number): number {
  let closed = 0;
  for (const start of starts) {
    const ms = (seconds - start) * 1000;
    if (ms <= 0 || ms >= 210 + closedMs) continue;
    const share = ms < 80 ? ms / 80 : ms < 80 + closedMs ? 1 : 1 - (ms - 80 - closedMs) / 130;
    closed = Math.max(closed, share);
  }
  return closed;
}
