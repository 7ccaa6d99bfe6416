/**
 * A head of ordinary proportions as the 68 points of the iBUG 300-W annotation: x to the picture's right, y down, z
 * towards the camera, in distances between the eyes' centres; the origin lies between the eyes. Measured by no one:
 * laid out from the proportions that anthropometry gives (Farkas, "Anthropometry of the Head and Face", 1994: nose
 * protrusion, nose, face and mouth width against the distance of the eyes), left and right alike.
 */
const LEFT_AND_MIDDLE: Readonly<Record<number, readonly [number, number, number]>> = {
  0: [-1.14, 0.02, -1.15],
  1: [-1.12, 0.32, -1.1],
  2: [-1.07, 0.62, -1.02],
  3: [-1, 0.92, -0.9],
  4: [-0.87, 1.2, -0.7],
  5: [-0.68, 1.44, -0.45],
  6: [-0.45, 1.62, -0.22],
  7: [-0.22, 1.74, -0.05],
  8: [0, 1.78, 0],
  17: [-0.93, -0.3, -0.32],
  18: [-0.78, -0.42, -0.15],
  19: [-0.58, -0.46, -0.03],
  20: [-0.38, -0.43, 0.05],
  21: [-0.2, -0.37, 0.1],
  27: [0, -0.05, 0.1],
  28: [0, 0.17, 0.24],
  29: [0, 0.38, 0.36],
  30: [0, 0.58, 0.48],
  31: [-0.22, 0.7, 0.18],
  32: [-0.11, 0.74, 0.26],
  33: [0, 0.76, 0.3],
  36: [-0.7, 0, -0.18],
  37: [-0.58, -0.08, -0.08],
  38: [-0.42, -0.08, -0.06],
  39: [-0.3, 0.02, -0.08],
  40: [-0.42, 0.06, -0.07],
  41: [-0.58, 0.06, -0.09],
  48: [-0.42, 1.12, -0.02],
  49: [-0.27, 1.05, 0.12],
  50: [-0.1, 1.01, 0.22],
  51: [0, 1.03, 0.23],
  57: [0, 1.31, 0.19],
  58: [-0.1, 1.3, 0.18],
  59: [-0.27, 1.24, 0.1],
  60: [-0.36, 1.13, 0],
  61: [-0.1, 1.11, 0.17],
  62: [0, 1.12, 0.18],
  66: [0, 1.17, 0.17],
  67: [-0.1, 1.16, 0.17],
};

/** The point that lies on the other side of the face. */
const MIRRORED: readonly (readonly [number, number])[] = [
  ...Array.from({ length: 8 }, (_, at) => [at, 16 - at] as const),
  ...Array.from({ length: 5 }, (_, at) => [17 + at, 26 - at] as const),
  [31, 35],
  [32, 34],
  [36, 45],
  [37, 44],
  [38, 43],
  [39, 42],
  [40, 47],
  [41, 46],
  [48, 54],
  [49, 53],
  [50, 52],
  [58, 56],
  [59, 55],
  [60, 64],
  [61, 63],
  [67, 65],
];

/** x, y, z of 68 points. */
export const HEAD_SHAPE: Float64Array = shape();

function shape(): Float64Array {
  const points = new Float64Array(68 * 3);
  for (const [index, point] of Object.entries(LEFT_AND_MIDDLE)) points.set(point, Number(index) * 3);
  for (const [left, right] of MIRRORED) {
    const [x = 0, y = 0, z = 0] = points.subarray(left * 3, left * 3 + 3);
    points.set([-x, y, z], right * 3);
  }
  return points;
}
