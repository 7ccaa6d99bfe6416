import { HEAD_SHAPE } from '../../../src/vision/head-shape.js';
import { normal } from './camera.js';
import { Random } from './random.js';

/** What the 68 points lie on. */
export type Surface = 'head' | 'sheet' | 'bent-sheet';

export interface PointsMoment {
  readonly surface: Surface;
  /** Degrees. */
  readonly yaw?: number;
  readonly pitch?: number;
  readonly roll?: number;
  /** Distance from the camera, in distances between the eyes. */
  readonly far?: number;
  /** How far the lids are down, 0 to 1. */
  readonly closed?: number;
  /** Radians over a sheet two units wide; about the upright axis. */
  readonly bend?: number;
}

const DEGREE = Math.PI / 180;
const FOCAL = 700;

/** 68 points as a camera without distortion sees them, pixels; `noise`: standard deviation in distances between the eyes. */
export function contourOf(moment: PointsMoment, random = new Random(1), noise = 0): Float32Array {
  const { surface, yaw = 0, pitch = 0, roll = 0, far = 9, closed = 0, bend = 0 } = moment;
  const [cy, sy] = [Math.cos(yaw * DEGREE), Math.sin(yaw * DEGREE)];
  const [cp, sp] = [Math.cos(pitch * DEGREE), Math.sin(pitch * DEGREE)];
  const [cr, sr] = [Math.cos(roll * DEGREE), Math.sin(roll * DEGREE)];
  const contour = new Float32Array(136);
  for (let at = 0; at < 68; at++) {
    let [x = 0, y = 0, z = 0] = HEAD_SHAPE.subarray(at * 3, at * 3 + 3);
    if (surface !== 'head') z = 0;
    if (surface === 'bent-sheet' && bend !== 0) {
      const radius = 2 / bend;
      [x, z] = [radius * Math.sin(x / radius), -radius * (1 - Math.cos(x / radius))];
    }
    if (isUpperLid(at)) y += closed * 0.12;
    const [x1, z1] = [cy * x + sy * z, cy * z - sy * x];
    const [y2, z2] = [cp * y + sp * z1, cp * z1 - sp * y];
    const [x3, y3] = [cr * x1 - sr * y2, sr * x1 + cr * y2];
    const scale = FOCAL / (far - z2);
    const jump = (FOCAL / far) * noise;
    contour[at * 2] = 320 + x3 * scale + jump * normal(random);
    contour[at * 2 + 1] = 240 + y3 * scale + jump * normal(random);
  }
  return contour;
}

function isUpperLid(at: number): boolean {
  return at === 37 || at === 38 || at === 43 || at === 44;
}
