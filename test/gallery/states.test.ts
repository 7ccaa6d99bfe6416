import assert from 'node:assert/strict';
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { copyFileSync, readFileSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { Worker } from 'node:worker_threads';
import Database from 'better-sqlite3';
import { createStore } from '../../src/gallery/index.js';
import { temporaryDir } from '../helpers/dirs.js';
import { CALLS } from './calls.js';
import { event, messageOf, openStore, randomNumbers, SPACE, sample } from './support.js';

const signal = new AbortController().signal;

/** A closed gallery with a person, two samples and an event in it. */
async function filled(t: TestContext): Promise<{ directory: string; path: string; personId: string }> {
  const random = randomNumbers(1);
  const { store, directory } = await openStore(t);
  const { id } = await store.ensurePerson('Anna');
  await store.addSamples(id, [sample(random), sample(random)]);
  const one = event('Anna');
  await store.recordEvent(one, [messageOf(one)]);
  await store.stop();
  return { directory, path: join(directory, 'gallery.db'), personId: id };
}

function edit(path: string, sql: string): void {
  const db = new Database(path);
  db.exec(sql);
  db.close();
}

test('every method says that the gallery is closed, before the start and after the stop', async (t) => {
  const directory = await temporaryDir(t);
  const store = createStore({ directory });
  for (const { name, run } of CALLS) await assert.rejects(run(store, 'x'), { code: 'gallery.closed' }, name);
  await store.start(signal);
  await store.ensurePerson('Anna');
  await store.stop();
  await store.stop();
  for (const { name, run } of CALLS) await assert.rejects(run(store, 'x'), { code: 'gallery.closed' }, name);
});

test('every method may be called while others are in the middle of their work', async (t) => {
  const { directory, personId } = await filled(t);
  const { store } = await openStore(t, { directory });
  const ids = await Promise.all(
    Array.from({ length: 20 }, (_, i) => store.audit({ kind: 'k', actor: 'cli', detail: { i } })),
  );
  assert.equal(ids.length, 20);
  const backup = store.backup(join(directory, 'copy.db'));
  const verify = store.verifyAudit();
  // Some calls ask for an id first and use it then: nobody may be removed in between.
  const calls = CALLS.filter(({ name }) => name !== 'removePerson');
  await Promise.all(calls.map(({ run }) => run(store, personId)));
  assert.equal((await verify).ok, true);
  await backup;
  assert.deepEqual(await store.integrityCheck(), []);
});

test('stop waits for what was begun', async (t) => {
  const { store, directory } = await openStore(t);
  const recorded = Array.from({ length: 50 }, () => {
    const one = event('Anna');
    return store.recordEvent(one, [messageOf(one)]);
  });
  const backup = store.backup(join(directory, 'copy.db'));
  // The calls have to leave this thread first; what comes after stop() is refused.
  await recorded[0];
  await store.stop();
  await Promise.all([...recorded, backup]);
  const again = (await openStore(t, { directory })).store;
  assert.equal((await again.outboxStats()).waiting, 50);
});

test('a second store on one state directory is refused by the pid of the first, until that is gone', async (t) => {
  const { store, directory } = await openStore(t);
  const here = createStore({ directory });
  await assert.rejects(here.start(signal), { code: 'gallery.locked', message: new RegExp(`${process.pid}`) });
  await store.ensurePerson('Anna');
  await store.stop();

  const child = fork(new URL('./recorder.js', import.meta.url), [directory], { stdio: 'inherit' });
  t.after(() => child.kill('SIGKILL'));
  await once(child, 'message');
  await assert.rejects(here.start(signal), { code: 'gallery.locked', message: new RegExp(`${child.pid}`) });
  child.kill('SIGKILL');
  await once(child, 'exit');
  await here.start(signal);
  t.after(() => here.stop());
  assert.equal((await here.people()).length, 1);
});

test('a database that another program has open is refused, and opens when that has let go', async (t) => {
  const { directory, path } = await filled(t);
  const other = new Database(path);
  other.exec('BEGIN IMMEDIATE');
  const store = createStore({ directory });
  await assert.rejects(store.start(signal), { code: 'gallery.locked', fix: /other program/ });
  other.close();
  await store.start(signal);
  t.after(() => store.stop());
  assert.equal((await store.people()).length, 1);
});

test('a database from a newer version is left as it is', async (t) => {
  const { directory, path } = await filled(t);
  edit(path, 'INSERT INTO migrations VALUES (999, 0)');
  const before = readFileSync(path);
  await assert.rejects(createStore({ directory }).start(signal), { code: 'gallery.newer', message: /999/ });
  assert.ok(before.equals(readFileSync(path)));
  edit(path, 'DELETE FROM migrations WHERE id = 999');
  assert.equal((await (await openStore(t, { directory })).store.people()).length, 1);
});

const DAMAGE: Readonly<Record<string, (path: string) => void>> = {
  'a text file': (path) => writeFileSync(path, 'not a database\n'.repeat(100)),
  'one byte': (path) => writeFileSync(path, 'S'),
  'half of it': (path) => truncateSync(path, Math.floor(statSync(path).size / 8192) * 4096),
  'a header of zeros': (path) => writeFileSync(path, Buffer.alloc(100).fill(0), { flag: 'r+' }),
  'a schema of noise': (path) => {
    const bytes = readFileSync(path);
    writeFileSync(path, bytes.fill(0xa5, 100, 4096));
  },
  "another program's database": (path) => {
    writeFileSync(path, '');
    edit(path, 'CREATE TABLE theirs (a)');
  },
};
for (const [name, damage] of Object.entries(DAMAGE))
  test(`${name} in the database's place is refused and left as it is`, async (t) => {
    const { directory, path } = await filled(t);
    damage(path);
    const before = readFileSync(path);
    await assert.rejects(createStore({ directory }).start(signal), { code: 'gallery.corrupt' });
    assert.ok(before.equals(readFileSync(path)));
  });

test('a sample that was moved to another person does not open', async (t) => {
  const { directory, path } = await filled(t);
  const { store } = await openStore(t, { directory });
  const { id } = await store.ensurePerson('Mallory');
  await store.stop();
  edit(path, `UPDATE samples SET person_id = '${id}'`);
  await assert.rejects(createStore({ directory }).start(signal), {
    code: 'gallery.corrupt',
    message: /sample/,
  });
});

test('a start that is called off ends cleanly and leaves no lock', async (t) => {
  const { directory } = await filled(t);
  const abort = new AbortController();
  const store = createStore({ directory });
  const started = store.start(abort.signal);
  abort.abort(new Error('called off'));
  await assert.rejects(started, /called off/);
  await assert.rejects(store.people(), { code: 'gallery.closed' });
  assert.equal((await (await openStore(t, { directory })).store.people()).length, 1);
});

test('a thread that ends is started again once, and its end is said to who waited', async (t) => {
  const { directory } = await filled(t);
  const workers: Worker[] = [];
  const failures: string[] = [];
  const { store } = await openStore(t, {
    directory,
    createWorker: (workerData) => {
      const script = new URL('../../src/gallery/worker.js', import.meta.url);
      const worker = new Worker(script, { workerData });
      workers.push(worker);
      return worker;
    },
    onFailed: ({ code }) => failures.push(code),
  });
  const waiting = assert.rejects(store.verifyAudit(), { code: 'gallery.crashed' });
  await workers[0]?.terminate();
  await waiting;
  assert.equal((await store.people()).length, 1);
  assert.equal((await store.counts(SPACE)).samples, 2);
  assert.deepEqual(failures, []);
  await workers[1]?.terminate();
  await assert.rejects(store.people(), { code: 'gallery.crashed' });
  assert.deepEqual(failures, ['gallery.crashed']);
  assert.equal(workers.length, 2);
});

test('too many calls at once are refused rather than kept', async (t) => {
  const { store } = await openStore(t);
  const calls = Array.from({ length: 1_200 }, () => store.outboxStats());
  const settled = await Promise.allSettled(calls);
  const refused = settled.filter((one) => one.status === 'rejected');
  assert.equal(refused.length, 200);
  for (const { reason } of refused) assert.equal(reason.code, 'busy');
});

test('a backup made while events are recorded opens with the same key and is whole', async (t) => {
  const { directory } = await filled(t);
  const { store } = await openStore(t, { directory });
  const other = await temporaryDir(t);
  const recorded = Array.from({ length: 30 }, () => store.recordEvent(event('Anna'), []));
  await store.backup(join(other, 'gallery.db'));
  await Promise.all(recorded);
  await assert.rejects(store.backup(join(other, 'none', 'gallery.db')), { code: 'gallery.not-found' });
  assert.equal(statSync(join(other, 'gallery.db')).mode & 0o777, 0o600);
  await assert.rejects(createStore({ directory: other }).start(signal), { code: 'gallery.key-unusable' });
  copyFileSync(join(directory, 'gallery.key'), join(other, 'gallery.key'));
  const copy = (await openStore(t, { directory: other })).store;
  assert.deepEqual(await copy.exportPeople(), await store.exportPeople());
  assert.deepEqual(await copy.integrityCheck(), []);
});
