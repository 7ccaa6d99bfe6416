import assert from 'node:assert/strict';
import { test } from 'node:test';
import { sameFaceLimits } from '../../src/pipeline/same-face.js';

test('one face or two is read off the recogniser’s own curve', () => {
  const points = [
    { fmr: 0.01, threshold: 0.5, tmr: 1 },
    { fmr: 0.001, threshold: 0.6, tmr: 1 },
    { fmr: 0.00012, threshold: 0.7, tmr: 1 },
    { fmr: 0.00001, threshold: 0.8, tmr: 1 },
  ];
  assert.deepEqual(sameFaceLimits({ impostorPairs: 1e6, points }), { sameFace: 0.7, otherFace: 0.3 });
  const { sameFace, otherFace } = sameFaceLimits(undefined);
  assert.ok(otherFace > 0 && otherFace < sameFace && sameFace < 1);
  assert.deepEqual(sameFaceLimits({ impostorPairs: 1, points: [] }), { sameFace, otherFace });
});
