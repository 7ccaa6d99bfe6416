import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { DecisionKind } from '../../src/domain/decision.js';
import type { Sighting } from '../../src/pipeline/ports.js';
import { Strangers } from '../../src/pipeline/strangers.js';
import { embedding, event, openStore, QUALITY, randomNumbers } from '../gallery/support.js';

const random = randomNumbers(41);
const HOUR = 3_600_000;

function look(track: string, score: number, like = embedding(random)): Sighting {
  return {
    ...{ camera: 'porch', track, capturedAt: { monotonicMs: 0, wallMs: Date.now() } },
    ...{ box: [0, 0, 100, 100], frame: [640, 480], quality: { ...QUALITY, score } },
    ...{ embedding: like, poor: null, liveness: null, final: false, crop: Uint8Array.of(score * 100) },
  };
}

function decided(track: string, decision: DecisionKind) {
  return { ...event('x'), track, decision };
}

test('faces are kept once they are unknown, the best few of a track, and go when they are somebody after all', async (t) => {
  const { store } = await openStore(t);
  const errors: unknown[] = [];
  const strangers = new Strangers({
    ...{ store, keepMs: HOUR, limit: 100, threshold: () => 0.5, now: () => Date.now() },
    onError: (error) => errors.push(error),
  });
  for (const score of [0.3, 0.9, 0.1, 0.5, 0.2, 0.7, 0.6]) strangers.looked(look('a', score));
  strangers.looked(look('b', 0.5));
  strangers.looked({ ...look('c', 0.5), embedding: null, poor: 'too-dark' });
  await strangers.settled();
  assert.deepEqual(await store.unknownGroups(), [], 'nothing is kept of whom nothing was decided');

  strangers.decided(decided('a', 'unknown'));
  strangers.decided(decided('b', 'known'));
  strangers.decided(decided('c', 'unknown'));
  strangers.looked(look('a', 0.99));
  strangers.looked(look('b', 0.99));
  await strangers.settled();
  const [group, ...others] = await store.unknownGroups();
  assert.deepEqual(others, []);
  assert.equal(group?.faces, 5);
  const scores = (await store.unknownFaces(group?.group ?? '')).map(({ quality }) => quality.score);
  assert.deepEqual(scores.toSorted(), [0.3, 0.5, 0.6, 0.7, 0.9]);

  strangers.decided(decided('a', 'known'));
  await strangers.settled();
  assert.deepEqual(await store.unknownGroups(), []);
  assert.deepEqual(errors, []);
});
