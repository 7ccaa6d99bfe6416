import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Notice, Notices } from '../../src/pipeline/notices.js';

test('what is wrong is told once when it begins and once when it is over', () => {
  const notices = new Notices();
  const told: Notice[] = [];
  notices.on((notice) => told.push(notice));
  const lost = { code: 'source.failed', message: 'door: no frame for 10 s' };
  notices.problems([lost]);
  notices.problems([{ ...lost, message: 'door: no frame for 20 s' }]);
  notices.problems([lost, { code: 'source.failed', message: 'yard: no frame' }]);
  notices.problems([{ code: 'mqtt.connect-failed', message: 'refused' }]);
  notices.problems([]);
  assert.deepEqual(
    told.map(({ kind, state }) => `${kind} ${state}`),
    ['camera raised', 'camera raised', 'camera cleared', 'camera cleared', 'broker raised', 'broker cleared'],
  );
  assert.deepEqual(notices.active(), []);
  assert.equal(notices.recent()[0]?.kind, 'broker');
});

test('a spoof happens; other decisions are no notice', () => {
  const notices = new Notices();
  for (const decision of ['known', 'unknown', 'spoof', 'poor'] as const)
    notices.decided({ decision, camera: 'door' });
  assert.deepEqual(
    notices.recent().map(({ kind, state }) => [kind, state]),
    [['spoof', 'happened']],
  );
});

test('no more than the last are remembered', () => {
  const notices = new Notices();
  for (let count = 0; count < 500; count++) notices.decided({ decision: 'spoof', camera: `c${count}` });
  assert.equal(notices.recent().length, 200);
  assert.match(notices.recent()[0]?.message ?? '', /^c499:/);
});
