import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { LivenessReason, LivenessState } from '../../src/domain/liveness.js';
import { TrackLife, type TrackLifeOptions } from '../../src/pipeline/track-life.js';
import { contourOf, type PointsMoment } from '../helpers/liveness/points.js';
import { Random } from '../helpers/liveness/random.js';

const STEP_MS = 100;
const NOISE = 0.004;

interface Told {
  readonly ms: number;
  readonly state: LivenessState;
  readonly reason: LivenessReason;
}

/** Feeds a track as a camera at ten frames a second does; answers what was told, and the track. */
function follow(
  path: (seconds: number) => PointsMoment,
  { fromMs = 0, toMs = 4000, life = new TrackLife(), screen = null, passive = null }: Partial<Following> = {},
): { told: Told[]; life: TrackLife } {
  const random = new Random(7);
  const told: Told[] = [];
  for (let ms = fromMs; ms < toMs; ms += STEP_MS) {
    const contour = contourOf(path(ms / 1000), random, NOISE);
    if (life.look({ ms, contour, passive, screen })) {
      const { state, reason } = life.liveness.active;
      told.push({ ms, state, reason });
    }
  }
  return { told, life };
}

interface Following {
  readonly fromMs: number;
  readonly toMs: number;
  readonly life: TrackLife;
  readonly screen: number | null;
  readonly passive: number | null;
}

const still = (): PointsMoment => ({ surface: 'head' });
const turning = (s: number): PointsMoment => ({ surface: 'head', yaw: 18 * Math.sin(2 * Math.PI * 0.4 * s) });
const tilting = (s: number): PointsMoment => ({
  surface: 'sheet',
  yaw: 45 * Math.sin(2 * Math.PI * 0.4 * s),
});

test('a head that turns is alive within the time, and is told once for each sign', () => {
  const { told, life } = follow(turning, { toMs: 3000 });
  assert.equal(told[0]?.state, 'live');
  assert.ok((told[0]?.ms ?? 9999) < 3000);
  assert.ok(life.settled);
  assert.equal(life.liveness.active.score, 1);
  assert.ok(life.liveness.active.turn > 8, String(life.liveness.active.turn));
});

test('who stands still has not shown it when the time is over, and may show it later', () => {
  const { told, life } = follow(still, { toMs: 3500 });
  assert.deepEqual(
    told.map(({ state, reason }) => [state, reason]),
    [['not-shown', 'no-motion']],
  );
  assert.ok((told[0]?.ms ?? 0) >= 3000);
  const later = follow((s) => turning(s - 3.5), { fromMs: 3500, toMs: 7000, life });
  assert.ok(later.told.some(({ state }) => state === 'live'));
  assert.equal(life.liveness.active.state, 'live');
});

test('a picture that is tilted is called one, and stays one for as long as it is in view', () => {
  const { told, life } = follow(tilting);
  assert.deepEqual(
    told.map(({ state, reason }) => [state, reason]),
    [['spoof', 'flat']],
  );
  assert.deepEqual(follow(turning, { fromMs: 4000, toMs: 8000, life }).told, []);
  assert.equal(life.liveness.active.state, 'spoof');
});

test('bands of a screen’s refresh overrule a turn that was seen before, until somebody else comes', () => {
  const { life } = follow(turning, { toMs: 3000 });
  assert.equal(life.liveness.active.state, 'live');
  assert.ok(
    life.look({ ms: 3000, contour: contourOf(turning(3)), passive: null, screen: null, bands: true }),
  );
  assert.deepEqual([life.liveness.active.state, life.liveness.active.reason], ['spoof', 'screen']);
  life.forget();
  follow(turning, { life, fromMs: 3100, toMs: 6000 });
  assert.equal(life.liveness.active.state, 'live');
});

test('a screen is a picture whatever moves on it', () => {
  const { life } = follow(turning, { screen: 5 });
  assert.equal(life.liveness.active.reason, 'screen');
});

test('a life that is followed further is said again with each further sign', () => {
  const { told } = follow(turning, { toMs: 6000 });
  const alive = told.filter(({ state }) => state === 'live');
  assert.ok(alive.length >= 3, JSON.stringify(told));
  assert.ok(alive.every((one, at) => at === 0 || one.ms - (alive[at - 1]?.ms ?? 0) >= 1000));
});

test('whoever stands still after having been alive stays alive without being said again', () => {
  const { life } = follow(turning, { toMs: 3000 });
  const { told } = follow(still, { fromMs: 3000, toMs: 12_000, life });
  assert.equal(life.liveness.active.state, 'live');
  assert.ok(
    told.every(({ ms }) => ms < 7000),
    JSON.stringify(told),
  );
});

test('a gap, or a clock that goes back, begins anew', () => {
  for (const fromMs of [4000, 100]) {
    const { life } = follow(turning, { toMs: 3000 });
    assert.equal(life.liveness.active.state, 'live');
    const { told } = follow(still, { fromMs, toMs: fromMs + 1000, life });
    assert.deepEqual(told[0], { ms: fromMs, state: 'undecided', reason: 'collecting' });
  }
});

test('what was shown is forgotten when somebody else may stand there', () => {
  const { life } = follow(turning, { toMs: 3000 });
  assert.equal(life.forget(), true);
  assert.equal(life.forget(), false);
  assert.equal(life.liveness.active.state, 'undecided');
  assert.equal(life.liveness.passive, null);
});

test('the passive score is the middle of all', () => {
  const life = new TrackLife();
  for (const [at, passive] of [0.9, null, 0.2, 0.8, null].entries()) {
    life.look({ ms: at * STEP_MS, contour: contourOf(still()), passive, screen: null });
  }
  assert.equal(life.liveness.passive, 0.8);
});

test('a detector without 68 points leaves everything open until the time is over', () => {
  const life = new TrackLife();
  for (let ms = 0; ms <= 3000; ms += STEP_MS) life.look({ ms, passive: null, screen: null });
  assert.deepEqual([life.liveness.active.state, life.liveness.active.reason], ['not-shown', 'no-face']);
});

test('a track that ends before the time is over has not shown it', () => {
  const { life } = follow(still, { toMs: 1000 });
  assert.equal(life.liveness.active.state, 'undecided');
  life.finish();
  assert.equal(life.liveness.active.state, 'not-shown');
});

/** The person's left is the picture's right. */
const CHALLENGES: readonly { does: string; yaw: (s: number) => number; state: LivenessState }[] = [
  { does: 'turns left as asked', yaw: (s) => (s < 0.6 ? 0 : 22 * Math.min(1, s - 0.6)), state: 'live' },
  { does: 'turns right instead', yaw: (s) => (s < 0.6 ? 0 : -22 * Math.min(1, s - 0.6)), state: 'spoof' },
  { does: 'does nothing', yaw: () => 0, state: 'not-shown' },
];

for (const { does, yaw, state } of CHALLENGES) {
  test(`asked to turn left, somebody ${does}: ${state}`, () => {
    const options: TrackLifeOptions = { challenge: () => 'turn-left' };
    const { told, life } = follow((s) => ({ surface: 'head', yaw: yaw(s) }), {
      life: new TrackLife(options),
    });
    assert.equal(told[0]?.state, 'undecided');
    assert.equal(life.liveness.active.state, state);
    assert.equal(life.liveness.active.challenge, state === 'not-shown' ? 'turn-left' : null);
  });
}
