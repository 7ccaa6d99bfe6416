import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FacedError } from '../../src/domain/errors.js';
import { Health, type HealthSources } from '../../src/pipeline/health.js';
import type { CameraStats } from '../../src/pipeline/ports.js';

function health(more: Partial<HealthSources> = {}): Health {
  return new Health({
    device: 'porch',
    version: '1',
    outbox: async () => ({ waiting: 0, limit: 10, dropped: 0 }),
    brokerProblem: () => null,
    recognition: () => ({ unrecorded: null, lost: 0, searchProblem: null }),
    promiseProblem: () => null,
    ownRssBytes: () => 1,
    visionIsThread: true,
    ...more,
  });
}

const CAMERA: CameraStats = {
  camera: 'door',
  state: 'waiting',
  received: 10,
  dropped: 0,
  reopened: 1,
  problem: null,
  problemCode: null,
  processed: 10,
  asleep: 0,
};

const codes = async (one: Health): Promise<string[]> => (await one.report()).problems.map(({ code }) => code);

test('each problem has the code of what is wrong', async () => {
  const disk = new FacedError('gallery.read-only', 'the card turned read-only');
  assert.deepEqual(await codes(health()), []);
  assert.deepEqual(await codes(health({ brokerProblem: () => 'cannot be reached' })), [
    'mqtt.connect-failed',
  ]);
  assert.deepEqual(await codes(health({ outbox: () => Promise.reject(disk) })), ['gallery.read-only']);
  for (const code of ['gallery.disk-full', 'gallery.read-only', 'gallery.io'] as const) {
    const unrecorded = { events: 3, problem: new FacedError(code, 'no') };
    const recognition = () => ({ unrecorded, lost: 0, searchProblem: null });
    assert.deepEqual(await codes(health({ recognition })), [code]);
  }
  const searchProblem = new FacedError('gallery.crashed', 'it ended');
  const recognition = () => ({ unrecorded: null, lost: 2, searchProblem });
  assert.deepEqual(await codes(health({ recognition })), ['gallery.crashed']);
  const promiseProblem = () => new FacedError('promise.unmeasured', 'too many people');
  assert.deepEqual(await codes(health({ promiseProblem })), ['promise.unmeasured']);
});

test('a camera has the code of its own problem, and none when it is back', async () => {
  const one = health();
  for (const code of ['source.frozen', 'source.no-device', 'source.open-failed'] as const) {
    one.camera({ ...CAMERA, problem: 'no', problemCode: code });
    assert.deepEqual(await codes(one), [code]);
  }
  one.camera({ ...CAMERA, state: 'open' });
  assert.deepEqual(await codes(one), []);
});

test('a vision worker that has ended is a problem until it beats again', async () => {
  const one = health();
  one.visionEnded({ reason: 'signal SIGSEGV', count: 1 });
  assert.deepEqual(await codes(one), ['vision.crashed']);
  one.beat({ cameras: [], stages: {}, models: {}, rssBytes: 0 });
  assert.deepEqual(await codes(one), []);
});
