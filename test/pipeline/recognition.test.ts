import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FacedError } from '../../src/domain/errors.js';
import type { RecognitionEvent } from '../../src/domain/event.js';
import { silentLogger } from '../../src/lib/log.js';
import type { Sighting } from '../../src/pipeline/ports.js';
import { Presence } from '../../src/pipeline/presence.js';
import { Recognition } from '../../src/pipeline/recognition.js';

/** A still is decided by itself, so that each gives one event. */
function still(track: string): Sighting {
  return {
    camera: 'door',
    track,
    capturedAt: { monotonicMs: 0, wallMs: 0 },
    box: [100, 100, 60, 60],
    frame: [640, 480],
    quality: { size: 60, sharpness: 90, yaw: 0, pitch: 0, roll: 0, brightness: 120, score: 0.8 },
    embedding: null,
    poor: 'too-blurred',
    liveness: null,
    final: true,
    still: true,
  };
}

/** A disk that can be filled, and that answers when it is told to. */
function disk() {
  const recorded: string[] = [];
  let held: (() => void)[] | null = null;
  return {
    recorded,
    full: false,
    hold(): void {
      held = [];
    },
    release(): void {
      const waiting = held ?? [];
      held = null;
      for (const one of waiting) one();
    },
    async recordEvent(event: RecognitionEvent): Promise<void> {
      await new Promise<void>((resolve) => {
        if (held === null) resolve();
        else held.push(resolve);
      });
      if (this.full) throw new FacedError('gallery.disk-full', 'full');
      recorded.push(event.track);
    },
    search: async () => [],
  };
}

function recogniser(store: ReturnType<typeof disk>) {
  const told: string[] = [];
  let recovered = 0;
  const recognition = new Recognition({
    presence: new Presence({ policy: () => ({ threshold: 0.4, margin: 0.05, livenessMinimum: null }) }),
    store,
    ready: Promise.resolve(),
    context: { device: 'test', model: 'test' },
    log: silentLogger,
    messages: () => [],
    onEvent: (event) => told.push(event.track),
    onRecovered: () => recovered++,
  });
  return { recognition, told, recovered: () => recovered };
}

test('what a full disk did not take is recorded later, in order, and the outbox is told of it', async () => {
  const store = disk();
  const { recognition, told, recovered } = recogniser(store);
  store.full = true;
  recognition.sighted(still('a'));
  recognition.sighted(still('b'));
  await recognition.settled();
  assert.equal(recognition.stats().unrecorded, 2);
  await recognition.retry();
  assert.equal(recovered(), 0);
  store.full = false;
  await recognition.retry();
  assert.deepEqual(store.recorded, ['a', 'b']);
  assert.deepEqual(told, ['a', 'b'], 'each is printed once');
  assert.equal(recovered(), 1, 'nothing else would send what waits in the outbox');
  assert.equal(recognition.stats().unrecorded, 0);
});

test('second tries never run beside each other, nor beside what is decided meanwhile', async () => {
  const store = disk();
  const { recognition } = recogniser(store);
  store.full = true;
  recognition.sighted(still('a'));
  await recognition.settled();
  store.full = false;
  store.hold();
  const tries = [recognition.retry(), recognition.retry()];
  recognition.sighted(still('b'));
  await new Promise((resolve) => setImmediate(resolve));
  store.release();
  await Promise.all(tries);
  await recognition.settled();
  assert.deepEqual(store.recorded, ['a', 'b']);
});
