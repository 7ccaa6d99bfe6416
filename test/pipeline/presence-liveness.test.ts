import assert from 'node:assert/strict';
import { test } from 'node:test';
import type {
  ActiveLiveness,
  LivenessMode,
  LivenessState,
  TrackLiveness,
} from '../../src/domain/liveness.js';
import type { Judged, Sighting } from '../../src/pipeline/ports.js';
import { Presence } from '../../src/pipeline/presence.js';

const MATCH = { person: { id: '01A', name: 'Anna' }, similarity: 0.7, runnerUp: 0.1 };

function lively(state: LivenessState, passive: number | null = null): TrackLiveness {
  const score = state === 'live' ? 1 : 0.2;
  const active: ActiveLiveness = { state, score, reason: 'solid', blinks: 0, turn: 0, challenge: null };
  return { passive, active };
}

function sighting(at: number, more: Partial<Sighting> = {}): Sighting {
  return {
    camera: 'door',
    track: 't1',
    capturedAt: { monotonicMs: at, wallMs: at },
    box: [100, 100, 60, 60],
    frame: [640, 480],
    quality: { size: 60, sharpness: 90, yaw: 0, pitch: 0, roll: 0, brightness: 120, score: 0.8 },
    embedding: { space: 'test', vector: Float32Array.of(1, 0) },
    poor: null,
    liveness: null,
    final: false,
    ...more,
  };
}

/** What is said, in order, with the liveness that it is said with. */
function desk(mode: LivenessMode) {
  const said: string[] = [];
  const presence = new Presence({
    policy: () => ({ threshold: 0.4, margin: 0.05, livenessMinimum: null }),
    livenessOf: (camera) => (camera === 'door' ? mode : 'off'),
  });
  const say = (judged: Judged | null): void => {
    if (judged !== null) said.push(`${judged.decision.kind} ${judged.sighting.liveness}`);
  };
  return {
    said,
    look: (at: number, more: Partial<Sighting> = {}) => {
      const one = sighting(at, more);
      presence.sight(one);
      say(presence.judge(one.track, MATCH));
    },
    changed: (liveness: TrackLiveness) => say(presence.livenessChanged('t1', liveness)),
    ended: () => say(presence.trackEnded({ track: 't1' })),
  };
}

test('somebody known is not announced before they have shown that they are alive', () => {
  const { said, look, changed } = desk('active');
  look(0, { alive: lively('undecided') });
  look(300, { alive: lively('undecided') });
  assert.deepEqual(said, []);
  changed(lively('live'));
  assert.deepEqual(said, ['known 1']);
  changed(lively('live'));
  look(900, { alive: lively('live') });
  assert.deepEqual(said, ['known 1']);
});

for (const state of ['spoof', 'not-shown'] as const) {
  test(`${state}: a spoof, at once, and once`, () => {
    const { said, look, changed } = desk('active');
    look(0, { alive: lively('undecided') });
    changed(lively(state));
    look(900, { alive: lively(state) });
    assert.deepEqual(said, ['spoof 0.2']);
  });
}

test('whoever shows it late is known after all', () => {
  const { said, look, changed } = desk('active');
  look(0, { alive: lively('undecided') });
  changed(lively('not-shown'));
  changed(lively('live'));
  assert.deepEqual(said, ['spoof 0.2', 'known 1']);
});

test('a track that ends while it is undecided was not shown to be alive', () => {
  const { said, look, ended } = desk('active');
  look(0, { alive: lively('undecided') });
  ended();
  assert.deepEqual(
    said.map((one) => one.split(' ')[0]),
    ['spoof'],
  );
});

test('a camera that should test and does not lets nobody count as alive', () => {
  const { said, look, ended } = desk('active');
  look(0);
  ended();
  assert.deepEqual(
    said.map((one) => one.split(' ')[0]),
    ['spoof'],
  );
});

const PASSIVE: readonly { mode: LivenessMode; score: number | null; says: string }[] = [
  { mode: 'passive', score: 0.9, says: 'known 0.9' },
  { mode: 'passive', score: 0.2, says: 'spoof 0.2' },
  { mode: 'passive', score: null, says: 'spoof 0' },
  { mode: 'both', score: 0.9, says: 'known 0.9' },
  { mode: 'both', score: 0.2, says: 'spoof 0.2' },
];

for (const { mode, score, says } of PASSIVE) {
  test(`${mode}, passive score ${score}: ${says}`, () => {
    const { said, look } = desk(mode);
    look(0, { alive: lively('live', score) });
    assert.deepEqual(said, [says]);
  });
}

test('a picture that stands for itself is a spoof where signs of life are asked for', () => {
  const { said, look } = desk('active');
  look(0, { still: true, final: true, alive: lively('not-shown') });
  assert.deepEqual(said, ['spoof 0.2']);
});

test('other cameras ask for nothing', () => {
  const { said, look } = desk('active');
  look(0, { camera: 'hall', track: 't2' });
  assert.deepEqual(said, ['known null']);
});
