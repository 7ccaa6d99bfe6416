import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decodeUltraFace, decodeYuNet, type YuNetOutputs } from '../../src/vision/decode.js';

test('UltraFace: fractions of the input become pixels of the view that it saw', () => {
  const scores = Float32Array.of(0.9, 0.1, 0.25, 0.75, 0.5, 0.5);
  const boxes = Float32Array.of(0, 0, 1, 1, 0.25, 0.5, 0.75, 1, 0, 0, 0.5, 0.5);
  const view = { x: -100, y: 50, width: 400, height: 200 };
  assert.deepEqual(decodeUltraFace({ scores, boxes }, view, 0.7), [
    { score: 0.75, box: { x: 0, y: 150, width: 200, height: 100 } },
  ]);
  assert.equal(decodeUltraFace({ scores, boxes }, view, 0.5).length, 2);
});

test('UltraFace: a score that is not a number is no face', () => {
  const outputs = { scores: Float32Array.of(0, Number.NaN), boxes: Float32Array.of(0, 0, 1, 1) };
  assert.deepEqual(decodeUltraFace(outputs, { x: 0, y: 0, width: 1, height: 1 }, 0), []);
});

/** Outputs of a 64x32 input that are all zero: 8x4, 4x2 and 2x1 cells. */
function blank(): { [Key in keyof YuNetOutputs]: Float32Array[] } {
  const make = (width: number) => [32, 8, 2].map((cells) => new Float32Array(cells * width));
  return { cls: make(1), obj: make(1), bbox: make(4), kps: make(10) };
}

test('YuNet: cell, stride and logarithmic size by hand', () => {
  const outputs = blank();
  // Second level (stride 16, 4 columns), cell 6: column 2, row 1.
  outputs.cls[1]?.fill(0.81, 6, 7);
  outputs.obj[1]?.fill(1, 6, 7);
  outputs.bbox[1]?.set([0.5, 0.25, Math.log(2), Math.log(1)], 24);
  outputs.kps[1]?.set([0, 0, 1, 0, 0.5, 0.5, 0, 1, 1, 1], 60);
  const view = { x: 10, y: 20, width: 128, height: 64 };
  const [face, ...rest] = decodeYuNet(outputs, { width: 64, height: 32, view, minScore: 0.6 });
  assert.equal(rest.length, 0);
  assert.ok(face);
  assert.ok(Math.abs(face.score - 0.9) < 1e-6);
  // Centre (2.5, 1.25) * 16 = (40, 20), 32 x 16; the view is twice the input and begins at (10, 20).
  const { box, landmarks } = face;
  for (const [value, expected] of [
    [box.x, 10 + 2 * 24],
    [box.y, 20 + 2 * 12],
    [box.width, 64],
    [box.height, 32],
  ] as const) {
    assert.ok(Math.abs(value - expected) < 1e-4, `${value} is not ${expected}`);
  }
  assert.deepEqual(landmarks, [
    { x: 74, y: 52 },
    { x: 106, y: 52 },
    { x: 90, y: 68 },
    { x: 74, y: 84 },
    { x: 106, y: 84 },
  ]);
});

test('YuNet: scores beyond 1 count as 1, and both of them must be sure', () => {
  const outputs = blank();
  outputs.cls[0]?.fill(4, 0, 2);
  outputs.obj[0]?.fill(0.25, 0, 1);
  const geometry = { width: 64, height: 32, view: { x: 0, y: 0, width: 64, height: 32 }, minScore: 0.5 };
  assert.deepEqual(
    decodeYuNet(outputs, geometry).map(({ score }) => score),
    [0.5],
  );
});
