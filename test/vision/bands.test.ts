import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Image } from '../../src/domain/frame.js';
import { RollingBands } from '../../src/vision/bands.js';
import { normal } from '../helpers/liveness/camera.js';
import { Random } from '../helpers/liveness/random.js';
import { paint } from '../helpers/pictures.js';

const BOX = { x: 120, y: 60, width: 90, height: 110 };
const SECONDS = 3;

/** The light of a pixel as a share of what it is otherwise. */
type Light = (at: { x: number; y: number; seconds: number }) => number;

const FACE = { left: 90, right: 240, top: 20, bottom: 220 };
const onScreen = (x: number, y: number): boolean =>
  x > FACE.left && x < FACE.right && y > FACE.top && y < FACE.bottom;
const bands = (y: number, seconds: number): number =>
  1 + 0.05 * Math.sin(2 * Math.PI * (y / 90 + 1.7 * seconds));

/** A face of dark and bright parts before a wall; `dx` and `dy`: how far it has moved. */
function frame(seconds: number, light: Light, [dx, dy]: readonly [number, number]): Image {
  const random = new Random(Math.round(seconds * 1000) + 1);
  return paint(320, 240, (x, y) => {
    const [u, v] = [x - dx, y - dy];
    const face = onScreen(u, v) ? 120 + 50 * Math.sin(u / 11) * Math.cos(v / 14) + 25 * Math.sin(v / 9) : 90;
    const value = face * light({ x, y, seconds }) + 2 * normal(random);
    return [value, value, value];
  });
}

const STILL = () => [0, 0] as const;

const CASES: readonly {
  name: string;
  light: Light;
  moves?: (seconds: number) => readonly [number, number];
  seen: boolean;
}[] = [
  { name: 'a steady light', light: () => 1, seen: false },
  {
    name: 'bands that roll over what a screen shows',
    light: ({ x, y, seconds }) => (onScreen(x, y) ? bands(y, seconds) : 1),
    seen: true,
  },
  {
    name: 'the same over a head that moves',
    light: ({ x, y, seconds }) => (onScreen(x, y) ? bands(y, seconds) : 1),
    moves: (seconds) => [8 * Math.sin(2 * seconds), 4 * Math.sin(3 * seconds)],
    seen: true,
  },
  {
    name: 'bands of a lamp over the whole picture',
    light: ({ y, seconds }) => bands(y, seconds),
    seen: false,
  },
  {
    name: 'a screen as a whole that flickers',
    light: ({ x, y, seconds }) => (onScreen(x, y) ? 1 + 0.1 * Math.sin(11 * seconds) : 1),
    seen: false,
  },
  {
    name: 'a head that nods',
    light: () => 1,
    moves: (seconds) => [0, 8 * Math.sin(2 * Math.PI * 1.2 * seconds)],
    seen: false,
  },
  {
    name: 'a head that shakes',
    light: () => 1,
    moves: (seconds) => [
      9 * Math.sin(2 * Math.PI * 1.5 * seconds),
      2 * Math.cos(2 * Math.PI * 1.5 * seconds),
    ],
    seen: false,
  },
];

for (const { name, light, moves = STILL, seen } of CASES) {
  for (const fps of [10, 15]) {
    test(`${name}, ${fps} frames a second: ${seen ? 'a screen' : 'no screen'}`, () => {
      const watch = new RollingBands();
      let found = false;
      for (let index = 0; index < SECONDS * fps; index++) {
        const seconds = index / fps;
        watch.add(frame(seconds, light, moves(seconds)), BOX, seconds * 1000);
        if (index % Math.round(fps / 4) === 0 && watch.look()) found = true;
      }
      assert.equal(found, seen);
    });
  }
}

test('a face that comes up elsewhere begins anew', () => {
  const watch = new RollingBands();
  const light: Light = ({ x, y, seconds }) => (onScreen(x, y) ? bands(y, seconds) : 1);
  for (let index = 0; index < 20; index++) watch.add(frame(index / 12, light, [0, 0]), BOX, index * 83);
  watch.add(frame(20 / 12, light, [0, 0]), { ...BOX, x: 5, width: 40 }, 20 * 83);
  assert.equal(watch.look(), false);
  assert.equal(watch.look(), false);
});
