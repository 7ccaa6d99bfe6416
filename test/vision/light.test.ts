import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Image } from '../../src/domain/frame.js';
import { stretchDark } from '../../src/vision/light.js';

/** Grey levels from `low` to `high`, equally often. */
function ramp(low: number, high: number): Image {
  const data = Uint8Array.from({ length: 64 * 64 }, (_, at) => low + (at % (high - low + 1)));
  return { width: 64, height: 64, format: 'gray8', data };
}

test('a dark picture is stretched over the range, its order kept', () => {
  const image = ramp(2, 40);
  const before = image.data.slice();
  assert.equal(stretchDark(image), true);
  assert.ok(Math.min(...image.data) <= 10 && Math.max(...image.data) >= 245);
  for (const [at, value] of image.data.entries()) {
    const next = before[at + 1];
    if (next !== undefined && next > (before[at] ?? 0)) assert.ok((image.data[at + 1] ?? 0) >= value);
  }
});

test('a picture that is bright enough, and one that shows nothing, are not touched', () => {
  for (const image of [ramp(2, 120), ramp(20, 22), ramp(0, 0)]) {
    const before = image.data.slice();
    assert.equal(stretchDark(image), false);
    assert.deepEqual(image.data, before);
  }
});
