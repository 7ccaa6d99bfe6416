import assert from 'node:assert/strict';
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { statSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import type { CommandClaim } from '../../src/pipeline/ports.js';
import { temporaryDir } from '../helpers/dirs.js';
import { openStore } from './support.js';

const NOW = 1_800_000_000_000;
const claim = (id: string, change: Partial<CommandClaim> = {}): CommandClaim => ({
  ...{ kind: 'lock', id, until: NOW + 60_000.5, now: NOW, limit: 3 },
  ...change,
});

test('an id is claimed once until it has expired; kinds are apart, and each has its limit', async (t) => {
  const { store } = await openStore(t);
  assert.equal(await store.claimCommand(claim('a')), 'claimed');
  assert.equal(await store.claimCommand(claim('a')), 'repeated');
  assert.equal(await store.claimCommand(claim('a', { now: NOW + 60_000 })), 'repeated');
  assert.equal(await store.claimCommand(claim('b')), 'claimed');
  assert.equal(await store.claimCommand(claim('c')), 'claimed');
  assert.equal(await store.claimCommand(claim('d')), 'full');
  assert.equal(await store.claimCommand(claim('a', { kind: 'enroll' })), 'claimed');
  const later = { now: NOW + 60_002, until: NOW + 120_000 };
  assert.equal(await store.claimCommand(claim('d', later)), 'claimed');
  assert.equal(await store.claimCommand(claim('a', later)), 'claimed');
});

test('at once, one of twenty claims of an id wins', async (t) => {
  const { store } = await openStore(t);
  const verdicts = await Promise.all(Array.from({ length: 20 }, () => store.claimCommand(claim('a'))));
  assert.equal(verdicts.filter((verdict) => verdict === 'claimed').length, 1);
});

test('a claim outlives a kill, a repetition writes nothing, and expired ids go with the next claim', async (t) => {
  const directory = await temporaryDir(t);
  const child = fork(new URL('./claimer.js', import.meta.url), [directory], { stdio: 'inherit' });
  t.after(() => child.kill('SIGKILL'));
  const [said] = (await once(child, 'message')) as [string];
  assert.equal(said, 'claimed');
  child.kill('SIGKILL');
  await once(child, 'exit');

  const { store } = await openStore(t, { directory });
  const log = join(directory, 'gallery.db-wal');
  const before = statSync(log).size;
  for (let round = 0; round < 5; round++) assert.equal(await store.claimCommand(claim('killed')), 'repeated');
  assert.equal(statSync(log).size, before);
  assert.equal(await store.claimCommand(claim('new', { now: NOW + 70_000, until: NOW + 80_000 })), 'claimed');
  assert.equal(
    await store.claimCommand(claim('killed', { now: NOW + 1, limit: 2 })),
    'claimed',
    'it was deleted: with its row, two would be there',
  );
});
