import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Image } from '../../src/domain/frame.js';
import { fillTensor, type TensorPlace, type TensorSpec } from '../../src/vision/tensor.js';

// Two pixels wide, two high; blue, green, red.
const picture: Image = {
  width: 2,
  height: 2,
  format: 'bgr24',
  data: Uint8Array.of(1, 2, 3, 11, 12, 13, 21, 22, 23, 31, 32, 33),
};
const plain: TensorSpec = { order: 'bgr', layout: 'nchw', mean: 0, scale: 1 };

const cases: readonly { name: string; spec: TensorSpec; expected: number[]; mirror?: boolean }[] = [
  {
    name: 'planes in blue, green, red',
    spec: plain,
    expected: [1, 11, 21, 31, 2, 12, 22, 32, 3, 13, 23, 33],
  },
  {
    name: 'planes in red, green, blue',
    spec: { ...plain, order: 'rgb' },
    expected: [3, 13, 23, 33, 2, 12, 22, 32, 1, 11, 21, 31],
  },
  {
    name: 'pixel by pixel',
    spec: { ...plain, layout: 'nhwc', order: 'rgb' },
    expected: [3, 2, 1, 13, 12, 11, 23, 22, 21, 33, 32, 31],
  },
  { name: 'mirrored', spec: plain, mirror: true, expected: [11, 1, 31, 21, 12, 2, 32, 22, 13, 3, 33, 23] },
  {
    name: 'mean and scale',
    spec: { ...plain, mean: 1, scale: 0.5 },
    expected: [0, 5, 10, 15, 0.5, 5.5, 10.5, 15.5, 1, 6, 11, 16],
  },
  {
    name: 'mean for each channel',
    spec: { ...plain, mean: [1, 2, 3] },
    expected: [0, 10, 20, 30, 0, 10, 20, 30, 0, 10, 20, 30],
  },
  // 0.114 B + 0.587 G + 0.299 R is 2.185 for the first pixel, and ten more for each of the others.
  { name: 'grey', spec: { ...plain, order: 'grey' }, expected: [2, 12, 22, 32] },
];

for (const { name, spec, expected, mirror } of cases) {
  test(`a picture becomes a tensor: ${name}`, () => {
    const target = new Float32Array(expected.length);
    fillTensor(picture, target, spec, mirror === undefined ? {} : { mirror });
    assert.deepEqual([...target], expected);
  });
}

const bytes: readonly { name: string; place: TensorPlace; expected: number[] }[] = [
  { name: 'whole', place: {}, expected: [1, 2, 3, 11, 12, 13, 21, 22, 23, 31, 32, 33] },
  { name: 'mirrored', place: { mirror: true }, expected: [11, 12, 13, 1, 2, 3, 31, 32, 33, 21, 22, 23] },
  {
    name: 'a window',
    place: { window: { x: 1, y: 0, width: 1, height: 2 } },
    expected: [11, 12, 13, 31, 32, 33],
  },
];

for (const { name, place, expected } of bytes) {
  test(`a target of bytes gets the pixels as they are, whatever the network wants: ${name}`, () => {
    const target = new Uint8Array(expected.length + 1);
    fillTensor(picture, target, { ...plain, order: 'rgb', mean: 127 }, { ...place, offset: 1 });
    assert.deepEqual([...target], [0, ...expected]);
  });
}

test('bytes of a grey network are mixed from colours, and taken as they are from a grey picture', () => {
  const target = new Uint8Array(4);
  fillTensor(picture, target, { ...plain, order: 'grey' });
  assert.deepEqual([...target], [2, 12, 22, 32]);
  fillTensor({ ...picture, format: 'gray8', data: Uint8Array.of(7, 8, 9, 10) }, target, {
    ...plain,
    order: 'grey',
  });
  assert.deepEqual([...target], [7, 8, 9, 10]);
});

test('a grey picture fills all channels of a colour input', () => {
  const grey: Image = { width: 2, height: 1, format: 'gray8', data: Uint8Array.of(7, 9) };
  const target = new Float32Array(6);
  fillTensor(grey, target, plain);
  assert.deepEqual([...target], [7, 9, 7, 9, 7, 9]);
});

test('a window and an offset leave the rest of the tensor alone', () => {
  const target = new Float32Array(8).fill(-1);
  fillTensor(picture, target, plain, { offset: 3, window: { x: 1, y: 1, width: 1, height: 1 } });
  assert.deepEqual([...target], [-1, -1, -1, 31, 32, 33, -1, -1]);
});

test('a tensor that is too small is refused instead of being cut off', () => {
  assert.throws(() => fillTensor(picture, new Float32Array(11), plain), RangeError);
  assert.throws(() => fillTensor(picture, new Float32Array(12), plain, { offset: 1 }), RangeError);
  assert.throws(() => fillTensor(picture, new Uint8Array(12), plain, { offset: 1 }), RangeError);
});
