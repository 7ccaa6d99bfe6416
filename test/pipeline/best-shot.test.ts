import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { FaceQuality, PoorReason } from '../../src/domain/face.js';
import { ShotBuffers, ShotPlan } from '../../src/pipeline/best-shot.js';

function quality(score: number, yaw = 0): FaceQuality {
  return { size: 80, sharpness: 100, yaw, pitch: 0, roll: 0, brightness: 120, score };
}

/** Feeds one shot every 100 ms and answers when something was embedded. */
function run(
  plan: ShotPlan,
  shots: (now: number) => { score: number; poor?: PoorReason; yaw?: number },
  untilMs: number,
): number[] {
  const times: number[] = [];
  for (let now = 0; now <= untilMs; now += 100) {
    const { score, poor, yaw } = shots(now);
    const use = plan.consider(quality(score, yaw), poor ?? null, now);
    if (use !== 'embed' && use !== 'embed-kept') continue;
    plan.done(quality(score, yaw), now);
    times.push(now);
  }
  return times;
}

test('a good face is embedded at once, a few more times while it is new, then seldom', () => {
  const times = run(new ShotPlan(), () => ({ score: 0.8 }), 35_000);
  assert.deepEqual(times, [0, 400, 800, 1200, 1600, 11_600, 21_600, 31_600]);
});

test('a middling face waits a moment for a better shot, not for long', () => {
  assert.equal(run(new ShotPlan(), () => ({ score: 0.1 }), 1000)[0], 200);
  assert.equal(run(new ShotPlan(), (now) => ({ score: now >= 100 ? 0.7 : 0.1 }), 1000)[0], 100);
});

test('the better shot is the one that is kept', () => {
  const plan = new ShotPlan();
  assert.equal(plan.consider(quality(0.1), null, 0), 'keep');
  assert.equal(plan.consider(quality(0.2), null, 100), 'keep');
  assert.equal(plan.consider(quality(0.15), null, 150), 'leave');
  assert.equal(plan.overdue(150), false);
  assert.equal(plan.overdue(200), true);
  assert.equal(plan.consider(quality(0.15), null, 200), 'embed-kept');
});

test('the kept shot is used when nothing acceptable follows', () => {
  const plan = new ShotPlan();
  assert.equal(plan.consider(quality(0.1), null, 0), 'keep');
  assert.equal(plan.consider(quality(0.05), 'too-blurred', 100), 'leave');
  assert.equal(plan.consider(quality(0.05), 'too-blurred', 300), 'embed-kept');
});

test('a later shot that is much worse waits; one that shows the head turned does not', () => {
  const worse = new ShotPlan();
  assert.deepEqual(
    run(worse, (now) => ({ score: now === 0 ? 0.9 : 0.3 }), 700),
    [0, 600],
  );
  const turned = new ShotPlan();
  assert.deepEqual(
    run(turned, (now) => ({ score: now === 0 ? 0.9 : 0.3, yaw: now === 0 ? 0 : 20 }), 700),
    [0, 400],
  );
});

test('without an acceptable shot nothing is embedded, and the best reason is known', () => {
  const plan = new ShotPlan();
  assert.deepEqual(
    run(
      plan,
      (now) => (now === 300 ? { score: 0.2, poor: 'too-dark' } : { score: 0.1, poor: 'too-small' }),
      2000,
    ),
    [],
  );
  assert.equal(plan.embedded, 0);
  assert.equal(plan.poor?.reason, 'too-dark');
});

test('a shot is not even wanted between two that are due', () => {
  const plan = new ShotPlan();
  assert.equal(plan.due(0), true);
  plan.consider(quality(0.9), null, 0);
  plan.done(quality(0.9), 0);
  assert.equal(plan.due(300), false);
  assert.equal(plan.due(400), true);
  assert.equal(plan.settled(300), false);
  assert.equal(plan.settled(5000), true);
  assert.equal(plan.settled(10_500), false, 'a renewal that has become due is not settled');
});

test('the buffers of fresh and kept shots are exchanged, never copied or made anew', () => {
  const buffers = new ShotBuffers();
  const first = buffers.crop;
  buffers.keepFresh();
  assert.equal(buffers.kept?.crop, first);
  const second = buffers.crop;
  assert.notEqual(second, first);
  buffers.keepFresh();
  assert.equal(buffers.kept?.crop, second);
  assert.equal(buffers.crop, first);
  buffers.forgetKept();
  assert.equal(buffers.kept, undefined);
});
