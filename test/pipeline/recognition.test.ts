import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FacedError } from '../../src/domain/errors.js';
import type { RecognitionEvent } from '../../src/domain/event.js';
import { silentLogger } from '../../src/lib/log.js';
import type { Sighting } from '../../src/pipeline/ports.js';
import { Presence } from '../../src/pipeline/presence.js';
import { Recognition } from '../../src/pipeline/recognition.js';
import { recordingLogger } from '../helpers/recording-logger.js';

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

/** A recognition whose gallery always knows Anna, unless `trouble` says otherwise at a search. */
function withTrouble(trouble: () => void) {
  const events: RecognitionEvent[] = [];
  const { logger, lines } = recordingLogger();
  let asked = 0;
  const recognition = new Recognition({
    presence: new Presence({ policy: () => ({ threshold: 0.4, margin: 0.05, livenessMinimum: null }) }),
    store: {
      search: async (wanted) => {
        asked++;
        trouble();
        return wanted.map(() => ({ person: ANNA, similarity: 0.9, runnerUp: null }));
      },
      recordEvent: async () => {},
    },
    ready: Promise.resolve(),
    context: { device: 'd', model: 'm' },
    log: logger,
    messages: () => [],
    onEvent: (event) => events.push(event),
    retryPausesMs: [0, 0],
  });
  return { recognition, events, lines, asked: () => asked };
}

test('a look that meets a store which has just crashed is looked up again', async () => {
  let failures = 2;
  const { recognition, events, lines } = withTrouble(() => {
    if (failures-- > 0) throw new FacedError('gallery.crashed', 'the store ended');
  });
  recognition.sighted(sighting('only', 0));
  await recognition.settled();
  assert.deepEqual(
    events.map(({ decision }) => decision),
    ['known'],
  );
  assert.equal(recognition.stats().lost, 0);
  assert.deepEqual(lines, []);
});

test('looks that a store does not answer for are counted, said once with the code, and it is asked once each', async () => {
  let broken = true;
  const { recognition, events, lines, asked } = withTrouble(() => {
    if (broken) throw new FacedError('gallery.io', 'the card is failing');
  });
  for (let index = 0; index < 5; index++) recognition.sighted(sighting('first', index * 100));
  await recognition.settled();
  assert.equal(asked(), 3 + 4);
  assert.equal(recognition.stats().lost, 5);
  assert.equal(recognition.stats().searchProblem?.code, 'gallery.io');
  assert.deepEqual(
    lines.map(({ level, details }) => [level, details.code]),
    [['error', 'gallery.io']],
  );
  await recognition.retry();
  assert.equal(recognition.stats().lost, 5, 'to ask whether it is back loses nothing');
  broken = false;
  await recognition.retry();
  assert.equal(recognition.stats().searchProblem, null);
  assert.equal(lines.at(-1)?.message, 'the gallery answers again');
  recognition.sighted(sighting('first', 600));
  await recognition.settled();
  assert.equal(events.length, 1);
});

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

test('when the gallery never opens, looks are dropped and counted, and nothing is said for each', async () => {
  const { logger, lines } = recordingLogger();
  const recognition = new Recognition({
    presence: new Presence({ policy: () => assert.fail('nothing can be judged') }),
    store: { search: () => assert.fail('there is no gallery'), recordEvent: async () => {} },
    ready: Promise.reject(new Error('the start was aborted')),
    context: { device: 'd', model: 'm' },
    log: logger,
    messages: () => [],
    onEvent: () => {},
  });
  recognition.sighted(sighting('t', 0));
  recognition.trackEnded({ camera: 'door', track: 't' });
  recognition.allTracksEnded();
  await recognition.settled();
  assert.deepEqual(lines, []);
  assert.equal(recognition.stats().dropped, 1);
});
