import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Decision } from '../../src/domain/decision.js';
import { buildEvent } from '../../src/pipeline/event.js';
import type { Sighting } from '../../src/pipeline/ports.js';

const SIGHTING: Sighting = {
  camera: 'door',
  track: '01TRACK',
  capturedAt: { monotonicMs: 5000, wallMs: Date.UTC(2026, 10, 24, 5, 6, 7, 89) },
  box: [1, 2, 3, 4],
  frame: [640, 480],
  quality: { size: 60, sharpness: 90, yaw: 0, pitch: 0, roll: 0, brightness: 120, score: 0.8 },
  embedding: { space: 'test', vector: Float32Array.of(1) },
  poor: null,
  liveness: 0.987654,
  final: false,
};
const CLOCK = { wall: () => Date.UTC(2026, 10, 24, 5, 6, 8), monotonic: () => 5087.25 };

test('an event says who, when and how sure, and carries neither pixels nor vectors', () => {
  const person = { id: '01A', name: 'Anna' };
  const decision: Decision = {
    kind: 'known',
    person,
    evidence: { similarity: 0.712345, runnerUp: null, threshold: 0.42 },
  };
  const event = buildEvent({ decision, sighting: SIGHTING }, { device: 'porch', model: 'm', clock: CLOCK });
  assert.match(event.id, /^[0-9A-HJKMNP-TV-Z]{26}$/);
  assert.deepEqual(
    { ...event, id: '' },
    {
      v: 1,
      id: '',
      time: '2026-11-24T05:06:07.089Z',
      device: 'porch',
      camera: 'door',
      track: '01TRACK',
      decision: 'known',
      person,
      similarity: 0.7123,
      runnerUp: null,
      threshold: 0.42,
      liveness: 0.9877,
      box: [1, 2, 3, 4],
      frame: [640, 480],
      quality: SIGHTING.quality,
      model: 'm',
      latencyMs: 87.3,
    },
  );
});

test('what heads say of a face is told with it, where there was a face to ask about', () => {
  const head = {
    name: 'glasses',
    space: 'test',
    classes: ['with', 'without'],
    dimensions: 1,
    weight: Float32Array.of(2, -2),
    bias: Float32Array.of(0, 0),
  };
  const context = { device: 'porch', model: 'm', clock: CLOCK, heads: [head] };
  const decision: Decision = { kind: 'poor', reason: 'too-dark' };
  const { attributes } = buildEvent({ decision, sighting: SIGHTING }, context);
  assert.deepEqual(attributes, { glasses: { value: 'with', share: 0.982 } });
  const unseen = buildEvent({ decision, sighting: { ...SIGHTING, embedding: null } }, context);
  assert.ok(!('attributes' in unseen));
});

test('a poor face has no numbers to show', () => {
  const event = buildEvent(
    { decision: { kind: 'poor', reason: 'too-dark' }, sighting: { ...SIGHTING, liveness: null } },
    { device: 'porch', model: 'm', clock: CLOCK },
  );
  assert.equal(event.person, null);
  assert.deepEqual(
    [event.similarity, event.runnerUp, event.threshold, event.liveness],
    [null, null, null, null],
  );
});
