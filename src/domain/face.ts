/** Axis-aligned rectangle in frame pixels; (x, y) is the top left corner and may lie outside the frame. */
export interface Box {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

/** In frame pixels. */
export interface Point {
  readonly x: number;
  readonly y: number;
}

/** Left eye, right eye, nose tip, left mouth corner, right mouth corner: left and right as seen in the picture. */
export type FivePoints = readonly [Point, Point, Point, Point, Point];

/** A face that a detector found. */
export interface Face {
  readonly box: Box;
  readonly landmarks: FivePoints;
  /** The detector's confidence, 0 to 1. */
  readonly score: number;
  /** 68 points (x0, y0, x1, y1, …) in frame pixels in the order of the iBUG 300-W annotation, where the model gives them. */
  readonly contour?: Float32Array;
}

/** What makes a shot of a face fit, or unfit, to be recognised. */
export interface FaceQuality {
  /** Shorter side of the face's box in frame pixels. */
  readonly size: number;
  /** Sharpness of the aligned crop: variance of its Laplacian, grey levels squared. Higher is sharper. */
  readonly sharpness: number;
  /** Head turn to the side estimated from the five points, degrees; 0 is frontal, positive looks to the picture's right. */
  readonly yaw: number;
  /** Head up or down estimated from the five points, degrees; 0 is level, positive looks up. */
  readonly pitch: number;
  /** Head tilt in the picture's plane, degrees; 0 is upright, positive is clockwise. */
  readonly roll: number;
  /** Mean grey level of the aligned crop, 0 to 255. */
  readonly brightness: number;
  /** All of it in one number from 0 (useless) to 1 (a passport photograph), by which the best shot is chosen. */
  readonly score: number;
}

/** Why a shot cannot be recognised; the sentence for people is made from it where it is shown. */
export type PoorReason = 'too-small' | 'too-blurred' | 'turned-away' | 'too-dark' | 'too-bright' | 'cut-off';

/** A 112x112 BGR crop in which the five points lie where the recogniser was trained to see them. */
export interface AlignedFace {
  /** 112*112*3 bytes, BGR, rows top to bottom. */
  readonly crop: Uint8Array;
  readonly face: Face;
  readonly quality: FaceQuality;
}

/** Side of an aligned crop in pixels. */
export const ALIGNED_SIZE = 112;
