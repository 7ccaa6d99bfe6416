import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createImage } from '../../src/image/index.js';
import { PictureFeeder } from '../../src/inference/picture.js';

/** Brightness grows from left to right and from top to bottom. */
function slope(width: number, height: number) {
  const image = createImage(width, height, 'gray8');
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++)
      image.data[y * width + x] = Math.round((100 * x) / width + (100 * y) / height);
  }
  return image;
}

test('a large picture with grey around it is fed as a small one is', () => {
  const shape = [1, 1, 60, 80];
  const input = { name: 'i', shape, layout: 'nchw', order: 'grey', mean: 0, scale: 1 } as const;
  const feeder = new PictureFeeder(input);
  const fed = (scale: number): Float32Array => {
    const [width, height] = [400 * scale, 300 * scale];
    const target = new Float32Array(80 * 60);
    const view = { x: -width / 4, y: -height / 4, width: 1.5 * width, height: 1.5 * height };
    feeder.feed(slope(width, height), view, target);
    return target;
  };
  const [small, large] = [fed(1), fed(8)];
  assert.equal(large[0], 127);
  const off = large.reduce((sum, value, at) => sum + Math.abs(value - (small[at] ?? 0)), 0) / large.length;
  assert.ok(off < 1.5, `${off} grey levels`);
});
