import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  counts,
  insidePolygon,
  maskedRuns,
  type Polygon,
  paintMasks,
  watchedPixels,
} from '../../src/pipeline/view.js';

const LEFT_HALF: Polygon = [
  [0, 0],
  [0.5, 0],
  [0.5, 1],
  [0, 1],
];
/** A notch from above: concave. */
const NOTCHED: Polygon = [
  [0, 0],
  [0.4, 0],
  [0.5, 0.8],
  [0.6, 0],
  [1, 0],
  [1, 1],
  [0, 1],
];

test('a point is inside by the edges around it, corners and hollows included', () => {
  const table: readonly [Polygon, number, number, boolean][] = [
    [LEFT_HALF, 0.25, 0.5, true],
    [LEFT_HALF, 0.75, 0.5, false],
    [LEFT_HALF, -0.1, 0.5, false],
    [NOTCHED, 0.5, 0.4, false],
    [NOTCHED, 0.5, 0.9, true],
    [NOTCHED, 0.1, 0.4, true],
    [[], 0.5, 0.5, false],
  ];
  for (const [polygon, x, y, expected] of table)
    assert.equal(insidePolygon(polygon, x, y), expected, `${x}, ${y}`);
});

test('a face counts by its centre: in a zone, in no mask, and a mask is stronger', () => {
  const box = (x: number) => ({ x, y: 40, width: 20, height: 20 });
  assert.equal(counts({}, box(10), 100, 100), true);
  assert.equal(counts({ zones: [] }, box(10), 100, 100), true);
  assert.equal(counts({ zones: [LEFT_HALF] }, box(10), 100, 100), true);
  assert.equal(counts({ zones: [LEFT_HALF] }, box(45), 100, 100), false);
  assert.equal(counts({ zones: [LEFT_HALF], masks: [LEFT_HALF] }, box(10), 100, 100), false);
  assert.equal(counts({ masks: [LEFT_HALF] }, box(60), 100, 100), true);
});

test('masks are painted over, pixel for pixel, and nothing beside them', () => {
  const runs = maskedRuns([LEFT_HALF], 8, 2);
  assert.deepEqual([...runs], [0, 4, 8, 12]);
  const picture = new Uint8Array(8 * 2 * 3).fill(1);
  paintMasks(picture, runs, 3);
  for (let pixel = 0; pixel < 16; pixel++) {
    const expected = pixel % 8 < 4 ? 127 : 1;
    assert.deepEqual([...picture.subarray(pixel * 3, pixel * 3 + 3)], [expected, expected, expected]);
  }
  assert.deepEqual([...watchedPixels({ masks: [LEFT_HALF] }, 4, 1)], [0, 0, 1, 1]);
  assert.deepEqual([...watchedPixels({}, 2, 1)], [1, 1]);
});
