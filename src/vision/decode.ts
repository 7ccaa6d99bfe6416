import type { Box, FivePoints, Point } from '../domain/face.js';
import type { Detection } from './boxes.js';

/** Maps a network's own coordinates back to the picture: the part of the picture that it saw, in picture pixels. */
export type View = Box;

/**
 * UltraFace (Linzaer's Ultra-Light-Fast-Generic-Face-Detector) with its boxes already decoded by the graph:
 * `boxes` [n,4] are left, top, right, bottom as fractions of the input, `scores` [n,2] are background and face.
 */
export function decodeUltraFace(
  outputs: { readonly scores: Float32Array; readonly boxes: Float32Array },
  view: View,
  minScore: number,
): Detection[] {
  const { scores, boxes } = outputs;
  const found: Detection[] = [];
  for (let index = 0; index * 4 < boxes.length; index++) {
    const score = scores[index * 2 + 1] ?? 0;
    if (!(score >= minScore)) continue;
    const at = (side: number) => boxes[index * 4 + side] ?? 0;
    found.push({
      score: Math.min(1, score),
      box: {
        x: view.x + at(0) * view.width,
        y: view.y + at(1) * view.height,
        width: (at(2) - at(0)) * view.width,
        height: (at(3) - at(1)) * view.height,
      },
    });
  }
  return found;
}

/** Feature map sizes of YuNet relative to its input. */
export const YUNET_STRIDES = [8, 16, 32] as const;

/** The twelve outputs of YuNet (2023 form), each list in the order of {@link YUNET_STRIDES}. */
export interface YuNetOutputs {
  /** [n] each: how sure that it is a face. */
  readonly cls: readonly Float32Array[];
  /** [n] each: how well the box fits. */
  readonly obj: readonly Float32Array[];
  /** [n,4] each: centre relative to its cell, logarithm of the size; in strides. */
  readonly bbox: readonly Float32Array[];
  /** [n,10] each: five points relative to the cell, in strides. */
  readonly kps: readonly Float32Array[];
}

export interface YuNetGeometry {
  /** Of the network's input, pixels. */
  readonly width: number;
  readonly height: number;
  readonly view: View;
  readonly minScore: number;
}

/** YuNet's points come in the order of {@link FivePoints}: its "right eye" is the left one as seen in the picture. */
export function decodeYuNet(outputs: YuNetOutputs, geometry: YuNetGeometry): Detection[] {
  const { width, height, view, minScore } = geometry;
  const found: Detection[] = [];
  for (const [level, stride] of YUNET_STRIDES.entries()) {
    const [cls, obj, bbox, kps] = [outputs.cls, outputs.obj, outputs.bbox, outputs.kps].map((o) => o[level]);
    if (!cls || !obj || !bbox || !kps) continue;
    const columns = Math.floor(width / stride);
    const toX = (x: number) => view.x + (x * stride * view.width) / width;
    const toY = (y: number) => view.y + (y * stride * view.height) / height;
    for (let cell = 0; cell < cls.length; cell++) {
      const score = Math.sqrt(clamp01(cls[cell] ?? 0) * clamp01(obj[cell] ?? 0));
      if (!(score >= minScore)) continue;
      const [column, row] = [cell % columns, Math.floor(cell / columns)];
      const box = (part: number) => bbox[cell * 4 + part] ?? 0;
      const [boxWidth, boxHeight] = [Math.exp(box(2)), Math.exp(box(3))];
      const point = (index: number): Point => ({
        x: toX(column + (kps[cell * 10 + index * 2] ?? 0)),
        y: toY(row + (kps[cell * 10 + index * 2 + 1] ?? 0)),
      });
      found.push({
        score,
        landmarks: [point(0), point(1), point(2), point(3), point(4)] satisfies FivePoints,
        box: {
          x: toX(column + box(0) - boxWidth / 2),
          y: toY(row + box(1) - boxHeight / 2),
          width: (boxWidth * stride * view.width) / width,
          height: (boxHeight * stride * view.height) / height,
        },
      });
    }
  }
  return found;
}

function clamp01(value: number): number {
  return Math.min(1, Math.max(0, value));
}
