import assert from 'node:assert/strict';
import { test } from 'node:test';
import { screenScore } from '../../src/vision/screen.js';
import { normal } from '../helpers/liveness/camera.js';
import { Random } from '../helpers/liveness/random.js';
import { paint } from '../helpers/pictures.js';

const BOX = { x: 20, y: 20, width: 100, height: 100 };
const LARGE = { x: 15, y: 15, width: 130, height: 130 };

function face(pattern: (x: number, y: number) => number, noise = 3) {
  const random = new Random(3);
  return paint(160, 160, (x, y) => {
    const light = 130 + 30 * Math.sin(x / 17) * Math.cos(y / 23) + pattern(x, y) + noise * normal(random);
    return [light, light, light];
  });
}

/** Another light in each line: every upright or level wave, and none of the rest. */
const LIGHTS = (() => {
  const random = new Random(9);
  return Float64Array.from({ length: 170 }, () => 1.5 * normal(random));
})();
const LINES = (at: number): number => LIGHTS[at] ?? 0;

const CASES: readonly { name: string; pattern: (x: number, y: number) => number; screen: boolean }[] = [
  { name: 'skin with noise', pattern: () => 0, screen: false },
  { name: 'blocks of compression', pattern: (x, y) => (((x >> 3) + (y >> 3)) % 2) * 4, screen: false },
  { name: 'an edge', pattern: (x) => (x > 70 ? 40 : 0), screen: false },
  {
    name: 'dots of three pixels',
    pattern: (x, y) => 10 * Math.sin((2 * Math.PI * (x + y)) / 3.1),
    screen: true,
  },
  {
    name: 'dots of two pixels and a bit, next to their own twin in the spectrum',
    pattern: (x) => 4 * Math.sin((2 * Math.PI * 30.4 * x) / 64),
    screen: true,
  },
  {
    name: 'many upright and level edges, each of them faint',
    pattern: (x, y) => LINES(x) + LINES(y + 7),
    screen: false,
  },
  {
    name: 'moiré of five pixels',
    pattern: (x, y) => 8 * Math.sin((2 * Math.PI * (0.9 * x + 0.4 * y)) / 5.3),
    screen: true,
  },
];

for (const { name, pattern, screen } of CASES) {
  test(`${name}: ${screen ? 'a screen' : 'no screen'}`, () => {
    const score = screenScore(face(pattern), BOX);
    assert.ok(score !== null);
    assert.equal(score >= 1, screen, String(score));
  });
}

for (const { length, screen } of [
  { length: 10.3, screen: true },
  { length: 60, screen: false },
]) {
  test(`waves of ${length} pixels over a large face: ${screen ? 'a screen' : 'no screen'}`, () => {
    const wave = face((x, y) => 8 * Math.sin((2 * Math.PI * (0.8 * x + 0.6 * y)) / length));
    assert.equal((screenScore(wave, LARGE) ?? 0) >= 1, screen);
    assert.ok((screenScore(wave, BOX) ?? 9) < 1, 'of a small face only the fine waves count');
  });
}

test('a face that is too small, or reaches beyond the picture, is not looked at', () => {
  assert.equal(
    screenScore(
      face(() => 0),
      { x: 20, y: 20, width: 50, height: 60 },
    ),
    null,
  );
  assert.equal(
    screenScore(
      face(() => 0),
      { x: -60, y: 20, width: 100, height: 100 },
    ),
    null,
  );
});
