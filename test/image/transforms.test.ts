import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Image } from '../../src/domain/frame.js';
import {
  createImage,
  decode,
  encodeJpeg,
  laplacianVariance,
  resizeInto,
  rotateInto,
  toBgrInto,
  toGrayInto,
  warpAffineInto,
} from '../../src/image/index.js';
import { at, paint } from '../helpers/pictures.js';

const grey = (width: number, height: number, values: readonly number[]): Image => ({
  width,
  height,
  format: 'gray8',
  data: Uint8Array.from(values),
});
const emptyGrey = (width: number, height: number) => createImage(width, height, 'gray8');
/** 4x2: a ramp that steps by 10. */
const RAMP = grey(4, 2, [0, 10, 20, 30, 40, 50, 60, 70]);

test('resize: each interpolation against values worked out by hand', () => {
  const cases = [
    { name: 'same size', size: [4, 2], options: {}, expected: [0, 10, 20, 30, 40, 50, 60, 70] },
    { name: 'area halves', size: [2, 1], options: { interpolation: 'area' }, expected: [25, 45] },
    // Centres of 2 targets over 4 sources: 0.5 and 2.5, in the middle of two rows.
    { name: 'linear halves', size: [2, 1], options: {}, expected: [25, 45] },
    { name: 'nearest', size: [2, 2], options: { interpolation: 'nearest' }, expected: [0, 20, 40, 60] },
    {
      name: 'roi',
      size: [2, 2],
      options: { roi: { x: 1, y: 0, width: 2, height: 2 } },
      expected: [10, 20, 50, 60],
    },
    {
      name: 'roi to half a pixel',
      size: [2, 1],
      options: { roi: { x: 0.5, y: 0, width: 2, height: 1 } },
      expected: [5, 15],
    },
    {
      name: 'roi outside is filled',
      size: [3, 2],
      options: { roi: { x: -2, y: 0, width: 3, height: 2 }, fill: 9 },
      expected: [9, 9, 0, 9, 9, 40],
    },
    {
      name: 'roi outside, area',
      size: [2, 1],
      options: { roi: { x: -2, y: 0, width: 4, height: 2 }, interpolation: 'area', fill: 9 },
      expected: [9, 25],
    },
    {
      name: 'roi wholly outside has the default grey',
      size: [1, 1],
      options: { roi: { x: 50, y: 50, width: 4, height: 4 } },
      expected: [127],
    },
  ] as const;
  for (const { name, size, options, expected } of cases) {
    const target = emptyGrey(size[0], size[1]);
    resizeInto(RAMP, target, options);
    assert.deepEqual([...target.data], expected, name);
  }
});

test('resize keeps the channels apart', () => {
  const target = createImage(1, 1, 'bgr24');
  resizeInto(
    paint(2, 2, () => [10, 20, 30]),
    target,
    { interpolation: 'area' },
  );
  assert.deepEqual([...target.data], [10, 20, 30]);
});

test('warp: the matrix maps source to target', () => {
  const target = emptyGrey(4, 2);
  warpAffineInto(RAMP, target, Float64Array.of(1, 0, 1, 0, 1, 0), { fill: 7 });
  assert.deepEqual([...target.data], [7, 0, 10, 20, 7, 40, 50, 60]);
  warpAffineInto(RAMP, target, Float64Array.of(1, 0, 1, 0, 1, 0), { border: 'replicate' });
  assert.deepEqual([...target.data], [0, 0, 10, 20, 40, 40, 50, 60]);
  // Half a pixel to the left: the mean of two neighbours.
  const one = emptyGrey(1, 1);
  warpAffineInto(RAMP, one, Float64Array.of(1, 0, -0.5, 0, 1, 0));
  assert.deepEqual([...one.data], [5]);
  // Twice as large about the origin.
  const large = emptyGrey(3, 1);
  warpAffineInto(RAMP, large, Float64Array.of(2, 0, 0, 0, 2, 0));
  assert.deepEqual([...large.data], [0, 5, 10]);
});

test('rotate turns clockwise', () => {
  const source = grey(3, 2, [1, 2, 3, 4, 5, 6]);
  const turned = (degrees: 90 | 180 | 270, width: number, height: number) => {
    const target = emptyGrey(width, height);
    rotateInto(source, target, degrees);
    return [...target.data];
  };
  assert.deepEqual(turned(90, 2, 3), [4, 1, 5, 2, 6, 3]);
  assert.deepEqual(turned(180, 3, 2), [6, 5, 4, 3, 2, 1]);
  assert.deepEqual(turned(270, 2, 3), [3, 6, 2, 5, 1, 4]);
  assert.throws(() => turned(90, 3, 2), /target must be 2x3/);
});

test('grey levels by Rec. 601, and back', () => {
  const target = emptyGrey(4, 1);
  const colours = [
    [255, 0, 0],
    [0, 255, 0],
    [0, 0, 255],
    [9, 9, 9],
  ] as const;
  toGrayInto(
    paint(4, 1, (x) => colours[x] ?? [0, 0, 0]),
    target,
  );
  assert.deepEqual([...target.data], [29, 150, 76, 9]);
  const back = createImage(4, 1, 'bgr24');
  toBgrInto(target, back);
  assert.deepEqual(at(back, 1, 0), [150, 150, 150]);
  assert.throws(() => toGrayInto(back, createImage(4, 1, 'bgr24')), /target must be gray8/);
});

test('sharpness: the variance of the Laplacian of one bright point', () => {
  assert.equal(laplacianVariance(grey(4, 4, new Array<number>(16).fill(50))), 0);
  // 5x5, 10 in the middle: -40 there, 10 at its four neighbours; mean 0, variance (1600 + 4 * 100) / 25.
  const point = new Array<number>(25).fill(0);
  point[12] = 10;
  assert.equal(Math.round(laplacianVariance(grey(5, 5, point)) * 1e6) / 1e6, 80);
  const colour = paint(5, 5, (x, y) => (x === 2 && y === 2 ? [10, 10, 10] : [0, 0, 0]));
  assert.equal(Math.round(laplacianVariance(colour) * 1e6) / 1e6, 80);
});

test('JPEG: quality is obeyed, and what comes back is what went in', () => {
  const source = paint(64, 64, (x, y) => [x * 4, y * 4, 128]);
  const good = encodeJpeg(source, 95);
  assert.ok(good.length > encodeJpeg(source, 30).length);
  const [blue = 0, green = 0, red = 0] = at(decode(good), 32, 16);
  assert.ok(Math.abs(blue - 128) < 8 && Math.abs(green - 64) < 8 && Math.abs(red - 128) < 8);
});

test('arguments that cannot be right are refused, and nothing is written', () => {
  const target = emptyGrey(2, 2);
  const identity = Float64Array.of(1, 0, 0, 0, 1, 0);
  const detached = createImage(4, 2, 'gray8');
  structuredClone(detached.data.buffer, { transfer: [detached.data.buffer as ArrayBuffer] });
  const shared = new Uint8Array(20);
  const view = (from: number): Image => ({
    width: 2,
    height: 2,
    format: 'gray8',
    data: shared.subarray(from, from + 4),
  });
  const wrong: readonly [RegExp, () => void][] = [
    [/data must have 8 bytes \(has 0\)/, () => resizeInto(detached, target)],
    [/data must have 12 bytes \(has 4\)/, () => resizeInto({ ...view(0), format: 'bgr24' }, target)],
    [/width must be a whole number/, () => resizeInto({ ...RAMP, width: 2.5 }, target)],
    [/height must be a whole number/, () => resizeInto({ ...RAMP, height: 0 }, target)],
    [/format must be bgr24 or gray8/, () => resizeInto({ ...RAMP, format: 'rgb24' as 'bgr24' }, target)],
    [/different formats/, () => resizeInto(createImage(2, 2, 'bgr24'), target)],
    [
      /roi.x must be finite/,
      () => resizeInto(RAMP, target, { roi: { x: Number.NaN, y: 0, width: 1, height: 1 } }),
    ],
    [/roi is empty/, () => resizeInto(RAMP, target, { roi: { x: 0, y: 0, width: 0, height: 1 } })],
    [/fill must be a whole number from 0 to 255/, () => resizeInto(RAMP, target, { fill: 256 })],
    [/share memory/, () => resizeInto(view(0), view(2))],
    [/Float64Array of 6/, () => warpAffineInto(RAMP, target, new Float64Array(5))],
    [/matrix must be finite/, () => warpAffineInto(RAMP, target, identity.with(2, Number.NaN))],
    [/no inverse/, () => warpAffineInto(RAMP, target, new Float64Array(6))],
    [/degrees must be/, () => rotateInto(RAMP, target, 100 as 90)],
    [/different sizes/, () => toGrayInto(RAMP, target)],
    [/quality must be/, () => void encodeJpeg(RAMP, 0)],
    [/must be an image/, () => void laplacianVariance(null as unknown as Image)],
  ];
  for (const [message, action] of wrong) assert.throws(action, message);
  assert.deepEqual([...target.data], [0, 0, 0, 0]);
});
