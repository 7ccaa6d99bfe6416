import assert from 'node:assert/strict';
import { test } from 'node:test';
import { boundsOf, fivePointsOf } from '../../src/vision/landmarks.js';

test('five points from 68: means of the lids, tip of the nose, corners of the mouth', () => {
  const contour = new Float32Array(136);
  const put = (index: number, x: number, y: number) => contour.set([x, y], index * 2);
  // The left eye as the picture shows it, and corners that must not count.
  for (const [index, x, y] of [
    [36, 99, 99],
    [37, 10, 20],
    [38, 14, 20],
    [39, 99, 99],
    [40, 14, 24],
    [41, 10, 24],
  ] as const) {
    put(index, x, y);
  }
  for (const [index, x, y] of [
    [43, 40, 21],
    [44, 44, 21],
    [46, 44, 25],
    [47, 40, 25],
  ] as const) {
    put(index, x, y);
  }
  put(30, 27, 35);
  put(48, 15, 50);
  put(54, 39, 51);
  assert.deepEqual(fivePointsOf(contour), [
    { x: 12, y: 22 },
    { x: 42, y: 23 },
    { x: 27, y: 35 },
    { x: 15, y: 50 },
    { x: 39, y: 51 },
  ]);
});

test('the rectangle around points', () => {
  assert.deepEqual(boundsOf(Float32Array.of(3, 4, -1, 10, 7, 2)), { x: -1, y: 2, width: 8, height: 8 });
});
