import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { FivePoints, PoorReason } from '../../src/domain/face.js';
import { type Advice, DEFAULT_GUIDE, Guide } from '../../src/pipeline/guide.js';
import type { AnalysedFace, ImageAnalysis } from '../../src/pipeline/ports.js';
import { QUALITY } from '../gallery/support.js';

const OPTIONS = { ...DEFAULT_GUIDE, sameFace: 0.4 };
const ORIGIN = { x: 0, y: 0 };
const POINTS: FivePoints = [ORIGIN, ORIGIN, ORIGIN, ORIGIN, ORIGIN];
const SAME = Float32Array.of(1, 0);
const OTHER = Float32Array.of(0, 1);

interface Seen {
  readonly x?: number;
  readonly size?: number;
  readonly yaw?: number;
  readonly pitch?: number;
  readonly brightness?: number;
  readonly poor?: PoorReason;
  readonly vector?: Float32Array;
}

function face({
  x = 200,
  size = 120,
  yaw = 0,
  pitch = 0,
  brightness = 120,
  poor,
  vector = SAME,
}: Seen = {}): AnalysedFace {
  return {
    face: { box: { x, y: 100, width: size, height: size }, landmarks: POINTS, score: 0.9 },
    quality: { ...QUALITY, size, yaw, pitch, brightness },
    embedding: poor === undefined ? { space: 's', vector } : null,
    poor: poor ?? null,
    liveness: null,
  };
}

function picture(...faces: AnalysedFace[]): ImageAnalysis {
  return { width: 640, height: 480, faces };
}

const ROWS: readonly [string, ImageAnalysis, Advice][] = [
  ['an empty view', picture(), 'no-face'],
  ['two people side by side', picture(face(), face({ x: 400, size: 100 })), 'several-faces'],
  ['somebody far behind', picture(face(), face({ x: 400, size: 50 })), 'taken'],
  ['too small a face', picture(face({ size: 40 })), 'too-far'],
  ['a face that the detector calls too small', picture(face({ poor: 'too-small' })), 'too-far'],
  ['a dark face', picture(face({ brightness: 30 })), 'too-dark'],
  ['a face in the sun', picture(face({ brightness: 235 })), 'too-bright'],
  ['too dark to recognise', picture(face({ poor: 'too-dark' })), 'too-dark'],
  ['a blurred face', picture(face({ poor: 'too-blurred' })), 'hold-still'],
  ['a face at the border', picture(face({ poor: 'cut-off' })), 'cut-off'],
  ['turned to the own left', picture(face({ yaw: 30 })), 'turn-right'],
  ['turned to the own right', picture(face({ yaw: -30 })), 'turn-left'],
  ['turned away altogether', picture(face({ yaw: 70, poor: 'turned-away' })), 'turn-right'],
  ['looking down', picture(face({ pitch: -40 })), 'look-at-camera'],
  ['frontal, and as a moment before', picture(face()), 'taken'],
  ['frontal, but elsewhere than a moment before', picture(face({ x: 300 })), 'hold-still'],
  ['frontal, but nearer than a moment before', picture(face({ size: 170 })), 'hold-still'],
];

for (const [what, seen, advice] of ROWS)
  test(`guide: ${what} is ${advice}`, () => {
    const guide = new Guide(OPTIONS, 0);
    assert.equal(
      guide.look(picture(face()), 0).advice,
      'hold-still',
      'a first look has nothing to compare with',
    );
    const state = guide.look(seen, 100);
    assert.deepEqual([state.advice, state.taken], [advice, advice === 'taken' ? 1 : 0]);
  });

test('front, left and right are asked for one after the other, then it is over', () => {
  const guide = new Guide(OPTIONS, 0);
  const show = (seen: Seen, ms: number) => guide.look(picture(face(seen)), ms);
  show({}, 0);
  assert.deepEqual(show({}, 100), { advice: 'taken', taken: 1, wanted: 3, pose: 'left' });
  assert.equal(show({}, 200).advice, 'turn-left');
  assert.equal(show({ yaw: 60 }, 300).advice, 'turn-back');
  assert.equal(show({ yaw: 25, vector: OTHER }, 400).advice, 'another-face');
  assert.deepEqual(show({ yaw: 25 }, 500), { advice: 'taken', taken: 2, wanted: 3, pose: 'right' });
  assert.equal(show({ yaw: 25 }, 600).advice, 'turn-right');
  assert.deepEqual(show({ yaw: -25 }, 700), { advice: 'taken', taken: 3, wanted: 3, pose: null });
  assert.equal(guide.over, true);
  assert.deepEqual(
    guide.shots.map(({ quality }) => quality.yaw),
    [0, 25, -25],
  );
  assert.equal(show({ yaw: 0 }, 800).taken, 3, 'nothing more is taken');
});

test('a head that does not turn is done without, and the time is bounded', () => {
  const guide = new Guide(OPTIONS, 0);
  guide.look(picture(face()), 0);
  guide.look(picture(face()), 100);
  assert.equal(guide.look(picture(face()), 5_000).pose, 'left');
  assert.equal(guide.look(picture(face()), 5_100).pose, 'right');
  assert.equal(guide.over, false);
  guide.tick(10_100);
  assert.equal(guide.over, true);
  assert.equal(guide.shots.length, 1);
});

test('nothing good until the end is nothing, with the last advice; somebody who never stood still is learnt all the same', () => {
  const dark = new Guide(OPTIONS, 0);
  for (let ms = 0; ms <= 30_000; ms += 1_000) dark.look(picture(face({ poor: 'too-dark' })), ms);
  assert.deepEqual([dark.over, dark.advice, dark.shots.length], [true, 'too-dark', 0]);
  const restless = new Guide(OPTIONS, 0);
  for (let ms = 0; ms <= 30_000; ms += 1_000) restless.look(picture(face({ x: ms % 2_000 ? 0 : 300 })), ms);
  assert.deepEqual([restless.over, restless.advice, restless.shots.length], [true, 'hold-still', 1]);
  const gone = new Guide(OPTIONS, 0);
  gone.end();
  assert.deepEqual([gone.over, gone.shots.length], [true, 0]);
});
