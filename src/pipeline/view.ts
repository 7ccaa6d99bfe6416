import type { Box } from '../domain/face.js';

/** Corners in fractions of the (rotated) frame, 0 to 1, in order; the last is joined to the first. */
export type Polygon = readonly (readonly [x: number, y: number])[];

/** How one camera is looked at. Everything is about the frame after rotation. */
export interface CameraView {
  /** Only faces whose box has its centre in one of these count. None: the whole frame. */
  readonly zones?: readonly Polygon[];
  /** Never looked at: painted grey before anything else sees the frame, snapshots too. */
  readonly masks?: readonly Polygon[];
  /** Clockwise, degrees: how the camera's picture has to be turned to stand upright. Default 0. */
  readonly rotation?: 0 | 90 | 180 | 270;
  /** Faces with a shorter side below this many pixels are not looked at. Default: the detector's own limit. */
  readonly minFace?: number;
  /** Frames looked at each second, at most. Default: each one. */
  readonly fps?: number;
  /** Share of the watched picture that has to change before the detector wakes; 0 looks at each frame. Default 0.002. */
  readonly motionThreshold?: number;
  /** While nothing moves, look anyway this often (milliseconds), for whoever stands still. Default 2000. */
  readonly lookEveryMs?: number;
}

/**
 * Whether a point lies inside, by the number of edges that a ray to the right crosses (M. Shimrat, "Algorithm 112:
 * Position of point relative to polygon", CACM 5, 1962): an edge belongs to its upper end, so that no corner counts twice.
 */
export function insidePolygon(polygon: Polygon, x: number, y: number): boolean {
  let inside = false;
  let [x1, y1] = polygon[polygon.length - 1] ?? [0, 0];
  for (const [x2, y2] of polygon) {
    if (y1 > y !== y2 > y && x < ((x1 - x2) * (y - y2)) / (y1 - y2) + x2) inside = !inside;
    x1 = x2;
    y1 = y2;
  }
  return inside;
}

/** Whether a face with this box counts in this view: its centre in a zone (when there are any) and in no mask. */
export function counts(view: CameraView, box: Box, width: number, height: number): boolean {
  const x = (box.x + box.width / 2) / width;
  const y = (box.y + box.height / 2) / height;
  const inZone =
    view.zones === undefined || view.zones.length === 0 || view.zones.some((one) => insidePolygon(one, x, y));
  return inZone && !(view.masks ?? []).some((one) => insidePolygon(one, x, y));
}

/**
 * One byte for each pixel of a small picture of the view: 0 where a mask lies, 1 elsewhere. Zones do not count here: the
 * motion that announces a face (a body, a door) lies around the place where the face is going to be.
 */
export function watchedPixels(view: CameraView, width: number, height: number): Uint8Array {
  const watched = new Uint8Array(width * height).fill(1);
  const runs = maskedRuns(view.masks ?? [], width, height);
  for (let index = 0; index + 1 < runs.length; index += 2) watched.fill(0, runs[index], runs[index + 1]);
  return watched;
}

/** Start and end offsets (pixels, end not included) of the runs that masks cover in a frame of this size. */
export function maskedRuns(masks: readonly Polygon[], width: number, height: number): Uint32Array {
  const runs: number[] = [];
  for (let row = 0; row < height; row++) {
    let start = -1;
    for (let column = 0; column <= width; column++) {
      const x = (column + 0.5) / width;
      const y = (row + 0.5) / height;
      const masked = column < width && masks.some((one) => insidePolygon(one, x, y));
      if (masked && start === -1) start = column;
      if (masked || start === -1) continue;
      runs.push(row * width + start, row * width + column);
      start = -1;
    }
  }
  return Uint32Array.from(runs);
}

/** Paints masked runs with middle grey. */
export function paintMasks(data: Uint8Array, runs: Uint32Array, bytesPerPixel: number): void {
  for (let index = 0; index + 1 < runs.length; index += 2) {
    data.fill(127, (runs[index] ?? 0) * bytesPerPixel, (runs[index + 1] ?? 0) * bytesPerPixel);
  }
}
