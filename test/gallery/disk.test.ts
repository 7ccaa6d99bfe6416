import assert from 'node:assert/strict';
import { readdirSync, rmSync, statfsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import Database from 'better-sqlite3';
import { createStore } from '../../src/gallery/index.js';
import { galleryError } from '../../src/gallery/sqlite-errors.js';
import type { Store } from '../../src/pipeline/ports.js';
import { temporaryDir } from '../helpers/dirs.js';
import { CALLS } from './calls.js';
import {
  event,
  messageOf,
  openStore,
  randomNumbers,
  remount,
  SPACE,
  sample,
  smallDisk,
  withoutMounts,
} from './support.js';

const signal = new AbortController().signal;
const random = randomNumbers(11);

function fill(directory: string): void {
  const { bavail, bsize } = statfsSync(directory);
  writeFileSync(join(directory, 'filler'), Buffer.alloc(bavail * bsize));
}

async function everything(store: Store): Promise<unknown> {
  return {
    people: await store.exportPeople(),
    counts: await store.counts(SPACE),
    events: await store.events({ limit: 1_000 }),
    outbox: await store.outbox(1_000),
    stats: await store.outboxStats(),
    audit: await store.exportAudit({ limit: 1_000 }),
    problems: await store.integrityCheck(),
  };
}

/** Uses up what is left in the pages and the log until a write is refused. */
async function writeUntilFull(store: Store): Promise<void> {
  const write = async () => {
    for (let i = 0; i < 5_000; i++) {
      const one = event('Anna'.repeat(200));
      await store.recordEvent(one, [messageOf(one)]);
    }
  };
  await assert.rejects(write(), { code: 'gallery.disk-full' });
}

test('on a full disk every change is refused, all is as before, and it goes on when there is room', {
  skip: withoutMounts(),
}, async (t) => {
  const directory = await smallDisk(t, '3m');
  const { store } = await openStore(t, { directory });
  const { id } = await store.ensurePerson('Anna');
  await store.addSamples(id, [sample(random), sample(random)]);
  fill(directory);
  await writeUntilFull(store);
  const before = await everything(store);
  for (const { name, writes, run } of CALLS) {
    if (writes === 'little') continue;
    if (writes) await assert.rejects(run(store, id), { code: 'gallery.disk-full' }, name);
    else await run(store, id);
    assert.deepEqual(await everything(store), before, name);
  }
  await assert.rejects(store.backup(join(directory, 'copy.db')), { code: 'gallery.disk-full' });
  assert.deepEqual(
    readdirSync(directory).filter((name) => name.startsWith('copy')),
    [],
  );
  rmSync(join(directory, 'filler'));
  for (const { run } of CALLS) await run(store, id);
  await store.stop();
  const again = (await openStore(t, { directory })).store;
  assert.deepEqual(await again.integrityCheck(), []);
});

test('a first start on a full disk says so, and succeeds when there is room', {
  skip: withoutMounts(),
}, async (t) => {
  const directory = await smallDisk(t, '1m');
  fill(directory);
  const store = createStore({ directory });
  await assert.rejects(store.start(signal), { code: 'gallery.disk-full' });
  rmSync(join(directory, 'filler'));
  await store.start(signal);
  t.after(() => store.stop());
  await store.ensurePerson('Anna');
});

test('a read-only disk is told at the start', { skip: withoutMounts() }, async (t) => {
  const directory = await smallDisk(t, '2m');
  remount(directory, 'ro');
  const store = createStore({ directory });
  await assert.rejects(store.start(signal), { code: 'gallery.read-only' });
  remount(directory, 'rw');
  await store.start(signal);
  await store.ensurePerson('Anna');
  await store.stop();
  remount(directory, 'ro');
  await assert.rejects(store.start(signal), { code: 'gallery.read-only' });
  remount(directory, 'rw');
  await store.start(signal);
  t.after(() => store.stop());
  assert.equal((await store.people()).length, 1);
});

test('a database at its largest size refuses what does not fit and keeps the rest', async (t) => {
  const { store } = await openStore(t, { maxPages: 60 });
  const { id } = await store.ensurePerson('Anna');
  await store.addSamples(id, [sample(random)]);
  const before = await everything(store);
  const many = Array.from({ length: 200 }, () => sample(random));
  await assert.rejects(store.addSamples(id, many), { code: 'gallery.disk-full' });
  assert.deepEqual(await everything(store), before);
  await store.addSamples(id, many.slice(0, 5));
  assert.equal((await store.counts(SPACE)).samples, 6);
});

test('a state directory that is not there is told', async () => {
  const store = createStore({ directory: '/nonexistent/faced' });
  await assert.rejects(store.start(signal), { code: 'gallery.not-found' });
});

test('what SQLite and the file system say becomes a code of ours with something to do', async (t) => {
  const directory = await temporaryDir(t);
  const codeOf = (code: string, where = directory) => {
    const { code: ours, fix } = galleryError(new Database.SqliteError('refused', code), where);
    assert.ok(fix?.endsWith('.'));
    return ours;
  };
  const expected = {
    SQLITE_FULL: 'gallery.disk-full',
    SQLITE_IOERR_SHMSIZE: 'gallery.disk-full',
    SQLITE_READONLY_DBMOVED: 'gallery.read-only',
    SQLITE_BUSY_SNAPSHOT: 'gallery.locked',
    SQLITE_CORRUPT_VTAB: 'gallery.corrupt',
    SQLITE_NOTADB: 'gallery.corrupt',
    SQLITE_IOERR_FSYNC: 'gallery.io',
    SQLITE_CANTOPEN: 'gallery.io',
    SQLITE_CONSTRAINT_UNIQUE: 'gallery.failed',
  };
  for (const [code, ours] of Object.entries(expected)) assert.equal(codeOf(code), ours, code);
  assert.equal(codeOf('SQLITE_CANTOPEN', join(directory, 'none')), 'gallery.not-found');
  const system = Object.assign(new Error('no space left'), { code: 'ENOSPC' });
  assert.equal(galleryError(system, directory).code, 'gallery.disk-full');
  assert.equal(galleryError(new Error('a defect'), directory).code, 'internal');
});

test('a disk that turns read-only under SQLite is told from one that fails', {
  skip: withoutMounts(),
}, async (t) => {
  const directory = await smallDisk(t, '1m');
  remount(directory, 'ro');
  const failure = new Database.SqliteError('disk I/O error', 'SQLITE_IOERR_WRITE');
  assert.equal(galleryError(failure, directory).code, 'gallery.read-only');
});
