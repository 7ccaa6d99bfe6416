import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Point } from '../../src/domain/face.js';
import { ARCFACE_POINTS, applyTransform, scaleOf, similarityTransform } from '../../src/vision/transform.js';

const close = (actual: number, expected: number, within = 1e-9) =>
  assert.ok(Math.abs(actual - expected) <= within, `${actual} is not ${expected}`);

test('a quarter turn, twice the size, moved: found exactly', () => {
  const from = [
    { x: 0, y: 0 },
    { x: 1, y: 0 },
    { x: 0, y: 2 },
  ];
  // (x, y) goes to (-2y + 5, 2x - 3).
  const to = from.map(({ x, y }) => ({ x: -2 * y + 5, y: 2 * x - 3 }));
  const matrix = similarityTransform(from, to);
  for (const [index, expected] of [0, -2, 5, 2, 0, -3].entries())
    close(matrix[index] ?? Number.NaN, expected);
  close(scaleOf(matrix), 2);
});

test('the reference points stay where they are', () => {
  const matrix = similarityTransform(ARCFACE_POINTS, ARCFACE_POINTS);
  for (const [index, expected] of [1, 0, 0, 0, 1, 0].entries()) close(matrix[index] ?? Number.NaN, expected);
});

test("Umeyama's own example: the answer does not reflect", () => {
  // Umeyama 1991: the second pattern is the first one mirrored, the best rotation is by 33.7 degrees.
  const from = [
    { x: 0, y: 0 },
    { x: 1, y: 0 },
    { x: 0, y: 2 },
  ];
  const to = [
    { x: 0, y: 0 },
    { x: -1, y: 0 },
    { x: 0, y: 2 },
  ];
  const matrix = similarityTransform(from, to);
  close(matrix[0] ?? Number.NaN, 0.721 * 0.832, 1e-3);
  close(matrix[1] ?? Number.NaN, 0.721 * 0.555, 1e-3);
  close(matrix[2] ?? Number.NaN, -0.8, 1e-9);
  close(matrix[5] ?? Number.NaN, 0.4, 1e-9);
  close(scaleOf(matrix), 0.721, 1e-3);
  // By hand: 10/3 of spread, less (2^2 + (4/3)^2) / (10/3).
  close(squaredError(matrix, from, to), 1.6);
});

test('no nearby transform is better', () => {
  const from = [
    { x: 100, y: 110 },
    { x: 140, y: 115 },
    { x: 118, y: 137 },
    { x: 105, y: 152 },
    { x: 138, y: 158 },
  ];
  const matrix = similarityTransform(from, ARCFACE_POINTS);
  const best = squaredError(matrix, from, ARCFACE_POINTS);
  for (const change of [
    [1e-4, 0, 0, 0, 1e-4, 0],
    [0, -1e-4, 0, 1e-4, 0, 0],
    [0, 0, 1e-2, 0, 0, 0],
    [0, 0, 0, 0, 0, 1e-2],
  ]) {
    for (const sign of [1, -1]) {
      const other = matrix.map((value, index) => value + sign * (change[index] ?? 0));
      assert.ok(squaredError(other, from, ARCFACE_POINTS) > best);
    }
  }
});

test('points that coincide have no transform', () => {
  const same = Array.from({ length: 5 }, () => ({ x: 3, y: 4 }));
  assert.throws(() => similarityTransform(same, ARCFACE_POINTS), RangeError);
});

function squaredError(matrix: Float64Array, from: readonly Point[], to: readonly Point[]): number {
  return from.reduce((sum, point, index) => {
    const { x, y } = applyTransform(matrix, point);
    const goal = to[index] ?? { x: Number.NaN, y: Number.NaN };
    return sum + (x - goal.x) ** 2 + (y - goal.y) ** 2;
  }, 0);
}
