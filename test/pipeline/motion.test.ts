import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MotionGate, THUMBNAIL_HEIGHT, THUMBNAIL_WIDTH } from '../../src/pipeline/motion.js';
import { type CameraView, watchedPixels } from '../../src/pipeline/view.js';

const PIXELS = THUMBNAIL_WIDTH * THUMBNAIL_HEIGHT;
const FRAME_MS = 100;

function gate(view: CameraView = {}, threshold = 0.002): MotionGate {
  const watched = watchedPixels(view, THUMBNAIL_WIDTH, THUMBNAIL_HEIGHT);
  return new MotionGate({ threshold, lookEveryMs: 2000, holdMs: 1000, watched });
}

/** A porch with texture, sensor noise of a few grey levels, and optionally somebody (a patch) in it. */
function scene(
  seedStart: number,
): (options?: { light?: number; person?: { x: number; y: number; size: number } }) => Uint8Array {
  let seed = seedStart;
  const noise = (): number => {
    let sum = 0;
    for (let part = 0; part < 4; part++) {
      seed = (seed * 1103515245 + 12345) % 2147483648;
      sum += seed / 2147483648;
    }
    return (sum - 2) * 4;
  };
  return ({ light = 0, person } = {}) => {
    const picture = new Uint8Array(PIXELS);
    for (let at = 0; at < PIXELS; at++) {
      const [x, y] = [at % THUMBNAIL_WIDTH, Math.floor(at / THUMBNAIL_WIDTH)];
      const inside =
        person !== undefined &&
        x >= person.x &&
        x < person.x + person.size &&
        y >= person.y &&
        y < person.y + person.size;
      picture[at] = 90 + 30 * Math.sin(x / 5) + (inside ? 50 : 0) + light + noise();
    }
    return picture;
  };
}

/** Lets the gate see an empty view until it is closed, and answers the time then. */
function settle(motion: MotionGate, empty: () => Uint8Array): number {
  let now = 0;
  for (; now < 10_000; now += FRAME_MS) motion.look(empty(), now, false);
  return now;
}

test('an empty, noisy view is looked at every two seconds only', () => {
  const motion = gate();
  const paint = scene(1);
  const start = settle(motion, paint);
  let looks = 0;
  for (let now = start; now < start + 20_000; now += FRAME_MS) if (motion.look(paint(), now, false)) looks++;
  assert.ok(looks >= 9 && looks <= 11, `${looks} looks in 20 s`);
});

test('somebody who comes in opens the gate at once, and it stays open for the hold time', () => {
  const motion = gate();
  const paint = scene(2);
  const now = settle(motion, paint);
  assert.equal(motion.look(paint({ person: { x: 40, y: 20, size: 8 } }), now, false), true);
  for (let later = FRAME_MS; later < 1000; later += FRAME_MS) {
    assert.equal(motion.look(paint(), now + later, false), true, `${later} ms after`);
  }
});

test('what changes for the whole picture is light, not motion', () => {
  const motion = gate();
  const paint = scene(3);
  const start = settle(motion, paint);
  let looks = 0;
  for (let step = 0; step < 20; step++) {
    if (motion.look(paint({ light: step * 2 }), start + step * FRAME_MS, false)) looks++;
  }
  assert.ok(looks <= 1, `${looks} looks while the light changed`);
});

test('motion under a mask does not open the gate, beside it does', () => {
  const motion = gate({
    masks: [
      [
        [0, 0],
        [0.5, 0],
        [0.5, 1],
        [0, 1],
      ],
    ],
  });
  const paint = scene(4);
  let now = settle(motion, paint);
  while (motion.look(paint(), now, false)) now += FRAME_MS;
  now += FRAME_MS;
  motion.look(paint(), now, false);
  assert.equal(motion.look(paint({ person: { x: 10, y: 20, size: 10 } }), now + FRAME_MS, false), false);
  assert.equal(motion.look(paint({ person: { x: 50, y: 20, size: 10 } }), now + 2 * FRAME_MS, false), true);
});

test('somebody being followed keeps it open; without a threshold it never closes', () => {
  const motion = gate();
  const paint = scene(5);
  const start = settle(motion, paint);
  for (let step = 0; step < 30; step++)
    assert.equal(motion.look(paint(), start + step * FRAME_MS, true), true);
  const always = gate({}, 0);
  settle(always, paint);
  for (let step = 0; step < 30; step++)
    assert.equal(always.look(paint(), start + step * FRAME_MS, false), true);
});

test('somebody who stands still is taken into the background in the end', () => {
  const motion = gate();
  const paint = scene(6);
  let now = settle(motion, paint);
  const person = { x: 30, y: 20, size: 12 };
  assert.equal(motion.look(paint({ person }), now, false), true);
  let looks = 0;
  for (let step = 0; step < 1200; step++) {
    now += FRAME_MS;
    const open = motion.look(paint({ person }), now, false);
    if (step >= 1000 && open) looks++;
  }
  assert.ok(looks <= 11, `${looks} looks in the last 20 s of two minutes`);
});
