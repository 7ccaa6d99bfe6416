import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { RecognitionEvent } from '../../src/domain/event.js';
import { silentLogger } from '../../src/lib/log.js';
import type { Sighting } from '../../src/pipeline/ports.js';
import { Presence } from '../../src/pipeline/presence.js';
import { Recognition } from '../../src/pipeline/recognition.js';

const ANNA = { id: '01A', name: 'Anna' };

function sighting(track: string, at: number, final = false): Sighting {
  return {
    camera: 'door',
    track,
    capturedAt: { monotonicMs: at, wallMs: at },
    box: [100, 100, 60, 60],
    frame: [640, 480],
    quality: { size: 60, sharpness: 90, yaw: 0, pitch: 0, roll: 0, brightness: 120, score: 0.8 },
    embedding: final ? null : { space: 'test', vector: Float32Array.of(1, 0) },
    poor: final ? 'too-small' : null,
    liveness: null,
    final,
  };
}

test('a store that stands still costs looks, never the end of a track: who comes again is announced again', async () => {
  let goOn: () => void = () => {};
  let held: Promise<void> = Promise.resolve();
  const events: RecognitionEvent[] = [];
  const recognition = new Recognition({
    presence: new Presence({ policy: () => ({ threshold: 0.4, margin: 0.05, livenessMinimum: null }) }),
    store: {
      search: async (wanted) => {
        await held;
        return wanted.map(() => ({ person: ANNA, similarity: 0.9, runnerUp: null }));
      },
      recordEvent: async () => {},
    },
    ready: Promise.resolve(),
    context: { device: 'd', model: 'm' },
    log: silentLogger,
    messages: () => [],
    onEvent: (event) => events.push(event),
  });
  recognition.sighted(sighting('first', 0));
  await recognition.settled();
  held = new Promise((resolve) => {
    goOn = resolve;
  });
  recognition.sighted(sighting('first', 100));
  recognition.trackEnded({ camera: 'door', track: 'first', lastSeenMs: 100 });
  // The last looks at others fill the queue.
  for (let index = 0; index < 200; index++) {
    recognition.sighted({ ...sighting(`p${index}`, 200, true), camera: 'yard' });
    recognition.trackEnded({ camera: 'yard', track: `p${index}`, lastSeenMs: 200 });
  }
  assert.ok(recognition.stats().dropped > 0);
  goOn();
  await recognition.settled();
  recognition.sighted(sighting('again', 60_000));
  await recognition.settled();
  assert.equal(events.filter(({ decision }) => decision === 'known').length, 2);
});
