import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { ulid } from 'ulid';
import { ClockRun } from '../../src/gallery/clock-run.js';
import { openGallery } from '../../src/gallery/database.js';
import { EventLog } from '../../src/gallery/event-log.js';
import { systemClock } from '../../src/lib/clock.js';
import { ClockWatch } from '../../src/pipeline/clock-watch.js';
import type { Store } from '../../src/pipeline/ports.js';
import { SteadyClock } from '../../src/pipeline/steady-clock.js';
import { temporaryDir } from '../helpers/dirs.js';
import { event, messageOf, openStore, randomNumbers, unknownFace } from './support.js';

const DAY_MS = 86_400_000;
const random = randomNumbers(3);

/** A machine whose clock can be set, and whether a time daemon has set it. It began when the test did. */
function machine(wall: number) {
  const started = systemClock.monotonic();
  const clock = { offset: wall - started, synchronised: false };
  return {
    ...{ monotonic: systemClock.monotonic, wall: () => systemClock.monotonic() + clock.offset },
    set: (to: number, synchronised = true) =>
      Object.assign(clock, { offset: to - systemClock.monotonic(), synchronised }),
    isSynchronised: async () => clock.synchronised,
  };
}

async function daemonClock(t: TestContext, about: { store: Store; board: ReturnType<typeof machine> }) {
  const { store, board } = about;
  const newest = await store.latestEvent();
  const floor = newest?.timeMs ?? null;
  const watch = new ClockWatch({ seenAt: floor, ask: board.isSynchronised, clock: board });
  const steady = new SteadyClock({
    check: () => watch.check(),
    onLooked: (state) => store.clockLooked(state),
    clock: board,
  });
  t.after(() => steady.stop());
  await steady.start(floor, newest?.id);
  const record = async (name: string) => {
    const time = new Date(steady.at({ monotonicMs: board.monotonic() })).toISOString();
    const one = { ...event(name), id: steady.newId(), time };
    await store.recordEvent(one, [messageOf(one)]);
    return one;
  };
  return { steady, record };
}

const namesOf = async (store: Store) =>
  (await store.events({ limit: 100 })).map(({ person }) => person?.name).reverse();

async function agesOf(store: Store): Promise<number[]> {
  const now = Date.now();
  return (await store.events({ limit: 100 })).map(({ time }) => now - Date.parse(time)).reverse();
}

test('a board that starts in 1970: its events keep their order, get their times, and do not expire', async (t) => {
  const { store } = await openStore(t, { retentionDays: 30 });
  const board = machine(5000);
  const { steady, record } = await daemonClock(t, { store, board });
  await assert.rejects(steady.look(), { code: 'system.clock-wrong' });
  await record('a');
  await record('b');
  board.set(Date.now());
  await record('c');
  await steady.look();
  await record('d');
  assert.equal(await store.pruneEvents(), 0);
  assert.deepEqual(await namesOf(store), ['a', 'b', 'c', 'd']);
  for (const age of await agesOf(store)) assert.ok(age >= -2000 && age < 60_000, String(age));
  const sent = (await store.outbox(10)).map(
    ({ payload }) => (JSON.parse(payload) as { person: { name: string } }).person.name,
  );
  assert.deepEqual(sent, ['a', 'b', 'c', 'd']);
});

test('a board that starts with the time of its last shutdown goes on from there, also over a restart of the program', async (t) => {
  const shutdown = Date.now() - 200 * DAY_MS;
  const { store, directory } = await openStore(t, { retentionDays: 30 });
  const before = { ...event('before', shutdown), id: ulid(shutdown) };
  await store.recordEvent(before, []);
  const board = machine(shutdown - 3_600_000);
  const first = await daemonClock(t, { store, board });
  assert.ok(first.steady.wall() >= shutdown, 'never before what was known');
  await first.record('a');
  first.steady.stop();
  await store.stop();
  const { store: again } = await openStore(t, { directory, retentionDays: 30 });
  const second = await daemonClock(t, { store: again, board });
  await second.record('b');
  assert.deepEqual(await namesOf(again), ['before', 'a', 'b']);
  board.set(Date.now());
  await second.steady.look();
  assert.equal(await again.pruneEvents(), 1);
  assert.deepEqual(await namesOf(again), ['a', 'b']);
  for (const age of await agesOf(again)) assert.ok(age >= -5000 && age < 60_000, String(age));
});

test('a clock that is years ahead: nothing is told from there, and when it is right again all is in order', async (t) => {
  const { store } = await openStore(t, { retentionDays: 30 });
  await store.recordEvent(event('before', Date.now() - DAY_MS), []);
  const board = machine(Date.now() + 9 * 365 * DAY_MS);
  const { steady, record } = await daemonClock(t, { store, board });
  const a = await record('a');
  assert.ok(Date.parse(a.time) < Date.now(), 'it goes on from what was known');
  const expiresAt = steady.wall() + 3_600_000;
  await store.addUnknown(unknownFace(random, { expiresAt }), { threshold: 0.5, limit: 10 });
  assert.equal(await store.pruneUnknown(), 0, 'a stranger is kept as long as was said');
  board.set(Date.now());
  await steady.look();
  await record('b');
  assert.equal(await store.pruneEvents(), 0);
  assert.deepEqual(await namesOf(store), ['before', 'a', 'b']);
});

test('a clock that was ahead and is set back: later events come after, with their own time, and expire by it', async (t) => {
  const { store, directory } = await openStore(t);
  const now = Date.now();
  await store.recordEvent(event('before', now - 10 * DAY_MS), []);
  const board = machine(now + 100 * DAY_MS);
  const { steady, record } = await daemonClock(t, { store, board });
  const ahead = await record('ahead');
  assert.ok(Date.parse(ahead.time) > now + 99 * DAY_MS, 'nobody could know better');
  const expiresAt = steady.wall() + 3_600_000;
  await store.addUnknown(unknownFace(random, { expiresAt }), { threshold: 0.5, limit: 10 });
  board.set(now);
  await steady.look();
  const [stranger] = await store.unknownGroups();
  assert.ok(Math.abs((stranger?.expiresAt ?? 0) - now - 3_600_000) < 60_000, 'not for months');
  const after = await record('after');
  assert.ok(after.id > ahead.id);
  assert.deepEqual(await namesOf(store), ['before', 'ahead', 'after']);
  const newest = await store.latestEvent();
  assert.equal(newest?.id, after.id);
  assert.ok(
    Math.abs((newest?.timeMs ?? 0) - now) < 60_000,
    'the next start does not go on from months ahead',
  );
  for (const age of (await agesOf(store)).slice(1)) assert.ok(Math.abs(age) < 60_000, String(age));
  await store.stop();
  const gallery = await openGallery({ directory });
  t.after(() => gallery.close());
  const options = { outboxLimit: 10, retentionDays: 30, eventLimit: 100 };
  const log = new EventLog(gallery.db, gallery.sealer, options);
  assert.equal(log.prune(now + 29 * DAY_MS), 1);
  assert.equal(log.prune(now + 31 * DAY_MS), 2);
});

test('events of a boot whose time was never known age from when it is known again', async (t) => {
  const gallery = await openGallery({ directory: await temporaryDir(t) });
  t.after(() => gallery.close());
  const { db, sealer } = gallery;
  const log = new EventLog(db, sealer, { outboxLimit: 10, retentionDays: 30, eventLimit: 100 });
  log.load();
  const now = Date.now();
  const looked = (boot: string, wallMs: number, known: boolean) =>
    log.clockLooked({ at: { wallMs, monotonicMs: 1000 }, known, isMachines: true }, new ClockRun(db, boot));
  const names = async () => (await log.events({ limit: 10 })).map(({ person }) => person?.name).reverse();
  log.record({ ...event('old', now - 90 * DAY_MS), id: ulid(now - 90 * DAY_MS) }, []);
  await looked('first', now - 80 * DAY_MS, false);
  log.record({ ...event('first', now - 80 * DAY_MS), id: ulid(now - 80 * DAY_MS) }, []);
  await looked('second', now - 70 * DAY_MS, false);
  log.record({ ...event('second', now - 70 * DAY_MS), id: ulid(now - 70 * DAY_MS) }, []);
  await looked('third', now, true);
  log.record(event('third', now), []);
  assert.equal(log.prune(now), 1);
  assert.deepEqual(await names(), ['first', 'second', 'third']);
  await looked('third', now, true);
  assert.equal(log.prune(now + 29 * DAY_MS), 0);
  assert.equal(log.prune(now + 31 * DAY_MS), 3);
  assert.equal(db.prepare('SELECT count(*) FROM event_times').pluck().get(), 0);
});

test('events after a clock that was ahead get the true time as well, once each, also when the work was cut off', async (t) => {
  const gallery = await openGallery({ directory: await temporaryDir(t) });
  t.after(() => gallery.close());
  const { db, sealer } = gallery;
  const log = new EventLog(db, sealer, { outboxLimit: 2000, retentionDays: 30, eventLimit: 2000 });
  log.load();
  const now = Date.now();
  const known = { at: { wallMs: now, monotonicMs: 1000 }, known: true, isMachines: true };
  const lastKnown = now - DAY_MS;
  await log.clockLooked(
    { at: { wallMs: lastKnown, monotonicMs: 1000 }, known: false, isMachines: false },
    new ClockRun(db, 'boot'),
  );
  // Ids go on from months ahead.
  const count = 600;
  for (let n = 0; n < count; n++)
    log.record({ ...event('a', lastKnown + n), id: ulid(now + 100 * DAY_MS + n) }, []);
  // The oldest of the second page.
  db.exec(`CREATE TRIGGER cut BEFORE UPDATE ON events WHEN (SELECT count(*) FROM events WHERE id < old.id) = 0
    BEGIN SELECT raise(ABORT, 'power cut'); END`);
  await assert.rejects(log.clockLooked(known, new ClockRun(db, 'boot')), /power cut/);
  db.exec('DROP TRIGGER cut');
  await log.clockLooked(known, new ClockRun(db, 'boot'));
  const times = (await log.events({ limit: count })).map(({ time }) => Date.parse(time)).reverse();
  assert.deepEqual(
    times,
    Array.from({ length: count }, (_, n) => now + n),
  );
  assert.equal(db.prepare("SELECT count(*) FROM meta WHERE key = 'clock-run'").pluck().get(), 0);
});

test('a gallery that is opened again, as after a restore, stamps its rows by the time that was told before', async (t) => {
  const { store } = await openStore(t);
  const wallMs = Date.now() - 100 * DAY_MS;
  const at = { wallMs, monotonicMs: systemClock.monotonic() };
  await store.clockLooked({ at, known: false, isMachines: false });
  await store.stop();
  await store.start(new AbortController().signal);
  await store.audit({ kind: 'a', actor: 'test', detail: {} });
  const [row] = await store.exportAudit({ limit: 1 });
  assert.ok(row !== undefined && row.time >= wallMs && row.time < wallMs + DAY_MS, String(row?.time));
});
