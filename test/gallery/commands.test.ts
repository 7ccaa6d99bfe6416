import assert from 'node:assert/strict';
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { statSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import Database from 'better-sqlite3';
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

test('a claim outlives a kill, and a repetition writes nothing', async (t) => {
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
});

test('a clock that was set back makes no command new again', async (t) => {
  const { store, directory } = await openStore(t);
  const at = (now: number) => ({ now, until: now + 10_000 });
  assert.equal(await store.claimCommand(claim('recorded', at(NOW))), 'claimed');
  for (let day = 1; day <= 50; day++)
    assert.equal(await store.claimCommand(claim(`day${day}`, at(NOW + day * 86_400_000))), 'claimed');
  assert.equal(await store.claimCommand(claim('recorded', at(NOW))), 'repeated', 'as it was sent then');
  assert.equal(
    await store.claimCommand(claim('recorded', { now: NOW + 1, until: NOW + 30_000 })),
    'repeated',
  );
  assert.equal(
    await store.claimCommand(claim('new', at(NOW))),
    'claimed',
    'those of later do not fill the memory',
  );
  await store.stop();

  // What is remembered is bounded.
  const db = new Database(join(directory, 'gallery.db'));
  t.after(() => db.close());
  const insert = db.prepare("INSERT INTO commands (kind, id, until) VALUES ('lock', ?, ?)");
  db.transaction(() => {
    for (let one = 0; one < 3000; one++) insert.run(`old${one}`, NOW + one);
  })();
  db.close();
  const { store: again } = await openStore(t, { directory });
  assert.equal(await again.claimCommand(claim('one', at(NOW + 90 * 86_400_000))), 'claimed');
  await again.stop();
  const after = new Database(join(directory, 'gallery.db'), { readonly: true });
  const left = after.prepare("SELECT count(*) FROM commands WHERE kind = 'lock'").pluck().get();
  after.close();
  assert.equal(left, 1000);
});
