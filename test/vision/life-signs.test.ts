import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LIFE_LIMITS } from '../../src/pipeline/life-rules.js';
import { BLINK_LIMITS, type EyeSample, eyeAspectRatios, findBlinks } from '../../src/vision/blink.js';
import { HEAD_SHAPE } from '../../src/vision/head-shape.js';
import { type LifeSample, lifeSigns } from '../../src/vision/life-signs.js';
import { levelShape, RELIEF, SmoothWarp } from '../../src/vision/parallax.js';
import { contourOf, type PointsMoment } from '../helpers/liveness/points.js';
import { Random } from '../helpers/liveness/random.js';

const STEP_MS = 80;

function samplesOf(
  path: (seconds: number) => PointsMoment,
  { noise = 0, seconds = 3, seed = 1, stepMs = STEP_MS } = {},
): LifeSample[] {
  const random = new Random(seed);
  return Array.from({ length: Math.round((seconds * 1000) / stepMs) }, (_, index) => {
    const ms = index * stepMs;
    const contour = contourOf(path(ms / 1000), random, noise);
    const [left, right] = eyeAspectRatios(contour);
    const shape = levelShape(contour);
    assert.ok(shape !== null);
    return { ms, left, right, shape };
  });
}

const wave = (seconds: number, perSecond = 0.4): number => Math.sin(2 * Math.PI * perSecond * seconds);

test('the model head is the same on both sides', () => {
  const [left, right] = [HEAD_SHAPE.subarray(36 * 3, 36 * 3 + 3), HEAD_SHAPE.subarray(45 * 3, 45 * 3 + 3)];
  assert.equal(left[0], -(right[0] ?? 0));
  assert.deepEqual([...left.subarray(1)], [...right.subarray(1)]);
});

test('a level shape forgets place, size and roll', () => {
  const upright = levelShape(contourOf({ surface: 'head' }));
  const leaning = levelShape(contourOf({ surface: 'head', roll: 25, far: 9 }));
  assert.ok(upright !== null && leaning !== null);
  for (const [at, value] of upright.entries())
    assert.ok(Math.abs(value - (leaning[at] ?? 9)) < 1e-3, `value ${at}`);
  assert.equal(levelShape(new Float32Array(136)), null);
});

test('the shift of the relief is about the sine of the turn', () => {
  const rest = levelShape(contourOf({ surface: 'head' }));
  assert.ok(rest !== null);
  const warp = new SmoothWarp(rest, RELIEF);
  for (const yaw of [-20, -10, 5, 15]) {
    const turned = levelShape(contourOf({ surface: 'head', yaw }));
    assert.ok(turned !== null);
    const across = Float64Array.from({ length: 68 }, (_, at) => (turned[at * 2] ?? 0) - (rest[at * 2] ?? 0));
    const { shift } = warp.shift(across);
    assert.ok(Math.abs(shift - Math.sin((yaw * Math.PI) / 180)) < 0.1, `${yaw}: ${shift}`);
  }
});

const STILL = 0.004;
const MOTIONS: readonly {
  name: string;
  path: (seconds: number) => PointsMoment;
  flat: boolean;
  noise?: number;
}[] = [
  { name: 'a print held still', path: () => ({ surface: 'sheet' }), flat: true },
  {
    name: 'a print in a shaking hand',
    path: (s) => ({ surface: 'sheet', roll: 8 * wave(s, 2) }),
    flat: true,
  },
  {
    name: 'a print tilted to the side by 40 degrees, near the camera',
    path: (s) => ({ surface: 'sheet', yaw: 40 * wave(s), far: 7 }),
    flat: true,
  },
  {
    name: 'a print tilted both ways',
    path: (s) => ({ surface: 'sheet', yaw: 30 * wave(s), pitch: 25 * wave(s, 0.6) }),
    flat: true,
  },
  { name: 'a print moved nearer', path: (s) => ({ surface: 'sheet', far: 14 - 2.5 * s }), flat: true },
  {
    name: 'a print that is bent and tilted',
    path: (s) => ({ surface: 'bent-sheet', bend: 0.8, yaw: 25 * wave(s) }),
    flat: true,
  },
  {
    name: 'a print that flaps',
    path: (s) => ({ surface: 'bent-sheet', bend: 0.3 + 0.7 * wave(s, 0.7), yaw: 15 * wave(s) }),
    flat: true,
  },
  { name: 'a head that turns a little', path: (s) => ({ surface: 'head', yaw: 8 * wave(s) }), flat: false },
  {
    name: 'a head that turns away and back',
    path: (s) => ({ surface: 'head', yaw: 20 * Math.abs(wave(s)) }),
    flat: false,
  },
  {
    name: 'a head that comes nearer and turns',
    path: (s) => ({ surface: 'head', far: 14 - 2 * s, yaw: 12 * wave(s) }),
    flat: false,
  },
];

for (const { name, path, flat } of MOTIONS) {
  test(`${name} ${flat ? 'shows no relief' : 'shows the relief of a head'}`, () => {
    for (const seed of [1, 2, 3]) {
      const signs = lifeSigns(samplesOf(path, { noise: STILL, seed }));
      assert.ok(signs !== null);
      if (flat) assert.ok(signs.turn < 0.09, `turn ${signs.turn}`);
      else
        assert.ok(
          signs.turn > 0.15 && signs.explained > 0.5,
          `turn ${signs.turn}, explained ${signs.explained}`,
        );
    }
  });
}

for (const fps of [8, 15, 25]) {
  test(`a head that turns is told from points that tremble at ${fps} frames a second`, () => {
    const stepMs = 1000 / fps;
    const turn = (s: number): PointsMoment => ({ surface: 'head', yaw: 18 * Math.abs(wave(s, 0.35)) });
    const moved = lifeSigns(samplesOf(turn, { noise: STILL, stepMs }));
    const jumping = new Random(4);
    const trembled = lifeSigns(
      samplesOf(() => ({ surface: 'head', yaw: 15 * jumping.between(-1, 1) }), { stepMs }),
    );
    assert.ok(moved !== null && trembled !== null);
    assert.ok(moved.tremble < LIFE_LIMITS.tremble, `moved: ${moved.tremble}`);
    assert.ok(trembled.tremble > 2 * LIFE_LIMITS.tremble, `trembled: ${trembled.tremble}`);
  });
}

test('a turn that foreshortens a flat face is seen as such', () => {
  const tilted = lifeSigns(samplesOf((s) => ({ surface: 'sheet', yaw: 40 * wave(s) })));
  assert.ok(tilted !== null && tilted.stretch > 1.15, String(tilted?.stretch));
  const still = lifeSigns(samplesOf(() => ({ surface: 'sheet' }), { noise: STILL }));
  assert.ok(still !== null && still.stretch < 1.1, String(still?.stretch));
});

test('one frame in which the points jump is no turn', () => {
  const samples = samplesOf((s) => ({ surface: 'sheet', yaw: Math.abs(s - 1.6) < 0.01 ? 50 : 0 }), {
    noise: STILL,
  });
  const odd = samplesOf(() => ({ surface: 'head', yaw: 40 }))[0];
  assert.ok(odd !== undefined);
  const signs = lifeSigns(samples.map((one, at) => (at === 15 ? { ...odd, ms: one.ms } : one)));
  assert.ok(signs !== null && signs.turn < 0.09, String(signs?.turn));
});

test('too few frames, and shapes that are no face, say nothing', () => {
  const samples = samplesOf(() => ({ surface: 'head' }));
  assert.equal(lifeSigns(samples.slice(0, 5)), null);
  const line = samples.map((one) => ({
    ...one,
    shape: one.shape.map((value, at) => (at % 2 === 0 ? value : 0)),
  }));
  const flat = lifeSigns(line);
  assert.ok(flat === null || flat.turn < 0.09);
});

test('the eye aspect ratio is height over width', () => {
  const open = eyeAspectRatios(contourOf({ surface: 'head' }));
  const closed = eyeAspectRatios(contourOf({ surface: 'head', closed: 1 }));
  assert.ok((open[0] ?? 0) > 0.3 && (open[0] ?? 0) < 0.45, String(open));
  assert.ok((closed[0] ?? 1) < 0.6 * (open[0] ?? 0), String(closed));
  assert.deepEqual(eyeAspectRatios(new Float32Array(136)), [0, 0]);
});

interface Blinks {
  readonly name: string;
  readonly ratio: (ms: number) => number;
  readonly right?: (ms: number) => number;
  readonly blinks: number;
  readonly stepMs?: number;
}

/** Lids fall within 80 ms, stay down for 60 and rise within 140. */
const dip = (ms: number, at: number, depth: number): number => {
  const since = ms - at;
  if (since < 0 || since > 280) return 0;
  return depth * (since < 80 ? since / 80 : since < 140 ? 1 : 1 - (since - 140) / 140);
};

const BLINKS: readonly Blinks[] = [
  { name: 'open eyes', ratio: () => 0.35, blinks: 0 },
  { name: 'one blink', ratio: (ms) => 0.35 - dip(ms, 900, 0.15), blinks: 1 },
  { name: 'two blinks', ratio: (ms) => 0.35 - dip(ms, 600, 0.12) - dip(ms, 1900, 0.12), blinks: 2 },
  { name: 'narrow eyes that blink', ratio: (ms) => 0.2 - dip(ms, 900, 0.07), blinks: 1 },
  {
    name: 'a blink at ten frames a second',
    ratio: (ms) => 0.35 - dip(ms, 930, 0.15),
    blinks: 1,
    stepMs: 100,
  },
  { name: 'eyes that close and stay closed', ratio: (ms) => (ms < 1500 ? 0.35 : 0.2), blinks: 0 },
  {
    name: 'eyes that are closed for a second',
    ratio: (ms) => (ms > 1000 && ms < 2000 ? 0.2 : 0.35),
    blinks: 0,
  },
  { name: 'a slow nod', ratio: (ms) => 0.33 + 0.05 * Math.sin(ms / 350), blinks: 0 },
  { name: 'a wink', ratio: (ms) => 0.35 - dip(ms, 900, 0.15), right: () => 0.35, blinks: 0 },
  { name: 'a dip within the noise', ratio: (ms) => 0.35 - dip(ms, 900, 0.03), blinks: 0 },
];

for (const { name, ratio, right = ratio, blinks, stepMs = 50 } of BLINKS) {
  test(`${name}: ${blinks} blinks`, () => {
    const random = new Random(5);
    const samples: EyeSample[] = Array.from({ length: 3000 / stepMs }, (_, index) => ({
      ms: index * stepMs,
      left: ratio(index * stepMs) + random.between(-0.004, 0.004),
      right: right(index * stepMs) + random.between(-0.004, 0.004),
    }));
    assert.equal(findBlinks(samples).length, blinks);
  });
}

test('a blink has to stand out of the noise of this very person', () => {
  const random = new Random(9);
  const noisy: EyeSample[] = Array.from({ length: 60 }, (_, index) => {
    const value = 0.33 + random.between(-0.04, 0.04);
    return { ms: index * 50, left: value, right: value };
  });
  assert.deepEqual(findBlinks(noisy), []);
  assert.deepEqual(findBlinks([]), []);
  assert.ok(BLINK_LIMITS.noises > 3);
});
