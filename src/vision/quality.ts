import {
  ALIGNED_SIZE,
  type Face,
  type FaceQuality,
  type FivePoints,
  type Point,
  type PoorReason,
} from '../domain/face.js';

/** What a shot must at least have to be recognised. */
export interface QualityLimits {
  /** Shorter side of the face's box, pixels. */
  readonly minSize: number;
  /** Variance of the Laplacian of the aligned crop. */
  readonly minSharpness: number;
  /** Degrees to either side. */
  readonly maxYaw: number;
  readonly maxPitch: number;
  /** Mean grey level of the aligned crop. */
  readonly minBrightness: number;
  readonly maxBrightness: number;
}

export const DEFAULT_LIMITS: QualityLimits = {
  minSize: 36,
  minSharpness: 12,
  maxYaw: 60,
  maxPitch: 50,
  minBrightness: 18,
  maxBrightness: 240,
};

/**
 * Nose tip in front of the plane of eyes and mouth, in distances between the eyes, and the places of nose and
 * mouth below the eyes on a level head (of the reference points of alignment).
 */
const NOSE_DEPTH = 0.42;
const EYES_TO_MOUTH = 1.155;
const NOSE_SHARE = 0.494;

/**
 * Head pose from five points, degrees. The head is taken as a plane through eyes and mouth with the nose in front
 * of it, seen from far away: turning by an angle moves the nose by depth * sin and shortens the plane by cos.
 * Good to some ten degrees up to half profile; meant for sorting shots, not for measuring heads.
 */
export function poseOf(points: FivePoints): { yaw: number; pitch: number; roll: number } {
  const [leftEye, rightEye, nose, leftMouth, rightMouth] = points;
  const [dx, dy] = [rightEye.x - leftEye.x, rightEye.y - leftEye.y];
  const distance = Math.hypot(dx, dy);
  if (!(distance > 0)) return { yaw: 90, pitch: 0, roll: 0 };
  const [ux, uy] = [dx / distance, dy / distance];
  const eyes = { x: (leftEye.x + rightEye.x) / 2, y: (leftEye.y + rightEye.y) / 2 };
  const mouth = { x: (leftMouth.x + rightMouth.x) / 2, y: (leftMouth.y + rightMouth.y) / 2 };
  const along = (p: { x: number; y: number }) => (p.x - eyes.x) * ux + (p.y - eyes.y) * uy;
  const below = (p: { x: number; y: number }) => (p.y - eyes.y) * ux - (p.x - eyes.x) * uy;
  // The middle of the face at the nose's height: a leaning line of eyes must not look like a turned head.
  const middle = along(mouth) * NOSE_SHARE;
  const yaw = degrees(Math.atan((along(nose) - middle) / distance / NOSE_DEPTH));
  const height = below(mouth);
  const share = height > 0 ? below(nose) / height : 1;
  const pitch = degrees(Math.atan(((NOSE_SHARE - share) * EYES_TO_MOUTH) / NOSE_DEPTH));
  return { yaw, pitch, roll: degrees(Math.atan2(dy, dx)) };
}

/** Sharpness (variance of the 4-neighbour Laplacian) and mean grey level of a square BGR crop. */
export function measureCrop(
  crop: Uint8Array,
  side = ALIGNED_SIZE,
): { sharpness: number; brightness: number } {
  const grey = new Float32Array(side * side);
  let total = 0;
  for (let index = 0; index < grey.length; index++) {
    const at = index * 3;
    const value = 0.114 * (crop[at] ?? 0) + 0.587 * (crop[at + 1] ?? 0) + 0.299 * (crop[at + 2] ?? 0);
    grey[index] = value;
    total += value;
  }
  let [sum, squares, count] = [0, 0, 0];
  for (let row = 1; row < side - 1; row++) {
    for (let at = row * side + 1; at < (row + 1) * side - 1; at++) {
      const value =
        (grey[at - 1] ?? 0) +
        (grey[at + 1] ?? 0) +
        (grey[at - side] ?? 0) +
        (grey[at + side] ?? 0) -
        4 * (grey[at] ?? 0);
      sum += value;
      squares += value * value;
      count++;
    }
  }
  return { sharpness: squares / count - (sum / count) ** 2, brightness: total / grey.length };
}

/** All that can be said of a shot; `crop` is its aligned 112x112 BGR crop. */
export function qualityOf(face: Face, crop: Uint8Array): FaceQuality {
  const size = Math.min(face.box.width, face.box.height);
  const { sharpness, brightness } = measureCrop(crop);
  const pose = poseOf(face.landmarks);
  const parts = { size, sharpness, brightness, ...pose };
  return { ...parts, score: scoreOf(parts) };
}

/**
 * One number to choose the best shot by: the product of five parts, each 1 where more of it no longer helps and
 * falling to 0 where nothing can be recognised. A product, since one bad part spoils a shot whatever the others are.
 */
export function scoreOf(parts: Omit<FaceQuality, 'score'>): number {
  const size = ramp(parts.size, 16, 100);
  const sharpness = ramp(Math.log(Math.max(parts.sharpness, 1)), Math.log(4), Math.log(250));
  const yaw = 1 - ramp(Math.abs(parts.yaw), 15, 75);
  const pitch = 1 - ramp(Math.abs(parts.pitch), 20, 70);
  const light = ramp(parts.brightness, 8, 60) * (1 - ramp(parts.brightness, 215, 253));
  return size * sharpness * yaw * pitch * light;
}

/**
 * Eyes and mouth corners nearer to the picture's edge than this share of the face's width: part of the face lies
 * outside. The points themselves never do: a network that sees half a face presses all of them into that half
 * (on photographs cut at an outer eye corner they come to lie 0.05 to 0.11 inside).
 */
const EDGE_MARGIN = 0.11;

/** Why the shot is unfit, the gravest reason first; null when it is good enough. */
export function poorReason(
  face: Face,
  quality: FaceQuality,
  frame: { readonly width: number; readonly height: number },
  limits: QualityLimits = DEFAULT_LIMITS,
): PoorReason | null {
  if (quality.size < limits.minSize) return 'too-small';
  const margin = face.box.width * EDGE_MARGIN;
  const atEdge = ({ x, y }: Point) =>
    x < margin || y < margin || x >= frame.width - margin || y >= frame.height - margin;
  if (face.landmarks.some(atEdge)) return 'cut-off';
  if (quality.brightness < limits.minBrightness) return 'too-dark';
  if (quality.brightness > limits.maxBrightness) return 'too-bright';
  if (Math.abs(quality.yaw) > limits.maxYaw || Math.abs(quality.pitch) > limits.maxPitch)
    return 'turned-away';
  if (quality.sharpness < limits.minSharpness) return 'too-blurred';
  return null;
}

/** 0 at `low` and below, 1 at `high` and above, straight between. */
function ramp(value: number, low: number, high: number): number {
  return Math.min(1, Math.max(0, (value - low) / (high - low)));
}

function degrees(radians: number): number {
  return (radians * 180) / Math.PI;
}
