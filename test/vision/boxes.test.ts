import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Box } from '../../src/domain/face.js';
import {
  iou,
  mainFace,
  nonMaximumSuppression,
  scaleBox,
  shiftBox,
  squareBox,
  visibleShare,
} from '../../src/vision/boxes.js';

const box = (x: number, y: number, width: number, height: number): Box => ({ x, y, width, height });

test('intersection over union', () => {
  const cases: [Box, Box, number][] = [
    [box(0, 0, 10, 10), box(0, 0, 10, 10), 1],
    [box(0, 0, 10, 10), box(5, 0, 10, 10), 50 / 150],
    [box(0, 0, 10, 10), box(2, 2, 5, 5), 25 / 100],
    [box(0, 0, 10, 10), box(10, 0, 10, 10), 0],
    [box(-5, -5, 10, 10), box(0, 0, 10, 10), 25 / 175],
    [box(0, 0, 0, 0), box(0, 0, 0, 0), 0],
  ];
  for (const [a, b, expected] of cases) {
    assert.equal(iou(a, b), expected);
    assert.equal(iou(b, a), expected);
  }
});

test('suppression keeps the best of those that overlap and all that do not', () => {
  const a = { box: box(0, 0, 10, 10), score: 0.7 };
  const better = { box: box(1, 0, 10, 10), score: 0.9 };
  const apart = { box: box(50, 50, 10, 10), score: 0.6 };
  assert.deepEqual(nonMaximumSuppression([a, better, apart], { maxIou: 0.4, limit: 9 }), [better, apart]);
});

test('a box that was itself suppressed suppresses nothing', () => {
  // In a chain, b overlaps a and c, but a and c do not overlap each other: c stays.
  const a = { box: box(0, 0, 10, 10), score: 0.9 };
  const b = { box: box(4, 0, 10, 10), score: 0.8 };
  const c = { box: box(8, 0, 10, 10), score: 0.7 };
  assert.ok(iou(a.box, b.box) > 0.4 && iou(b.box, c.box) > 0.4 && iou(a.box, c.box) < 0.4);
  assert.deepEqual(nonMaximumSuppression([c, b, a], { maxIou: 0.4, limit: 9 }), [a, c]);
});

test('half a face within a face is dropped, whatever its share of the whole', () => {
  const whole = { box: box(22, 11, 126, 160), score: 1 };
  const half = { box: box(86, 35, 62, 93), score: 0.9 };
  assert.ok(iou(whole.box, half.box) < 0.4);
  assert.deepEqual(nonMaximumSuppression([half, whole], { maxIou: 0.4, limit: 9 }), [whole, half]);
  assert.deepEqual(nonMaximumSuppression([half, whole], { maxIou: 0.4, maxInside: 0.8, limit: 9 }), [whole]);
});

test('suppression is bounded, and leaves its input alone', () => {
  const many = Array.from({ length: 50 }, (_, i) => ({ box: box(i * 20, 0, 10, 10), score: i / 50 }));
  const before = [...many];
  const kept = nonMaximumSuppression(many, { maxIou: 0.4, limit: 3 });
  assert.deepEqual(
    kept.map(({ score }) => score),
    [0.98, 0.96, 0.94],
  );
  assert.deepEqual(many, before);
});

test('boxes are scaled about their centre and squared around it', () => {
  assert.deepEqual(scaleBox(box(10, 20, 10, 20), 2), box(5, 10, 20, 40));
  assert.deepEqual(shiftBox(box(10, 20, 10, 20), 0.5, -0.5), box(15, 10, 10, 20));
  assert.deepEqual(squareBox(box(10, 20, 10, 20)), box(5, 20, 20, 20));
});

test('the visible share of a box at the border', () => {
  assert.equal(visibleShare(box(-5, 0, 10, 10), 100, 100), 0.5);
  assert.equal(visibleShare(box(95, 95, 10, 10), 100, 100), 0.25);
  assert.equal(visibleShare(box(0, 0, 10, 10), 100, 100), 1);
});

test('the main face is large and near the middle', () => {
  const image = { width: 250, height: 250 };
  const middle = { box: box(75, 75, 100, 100) };
  const corner = { box: box(0, 0, 110, 110) };
  const speck = { box: box(120, 120, 10, 10) };
  assert.deepEqual(mainFace([corner, middle, speck], image), [middle]);
  assert.deepEqual(mainFace([speck, { box: box(60, 60, 100, 100) }], image), [
    { box: box(60, 60, 100, 100) },
  ]);
  assert.deepEqual(mainFace([], image), []);
});
