import assert from 'node:assert/strict';
import { mkdir, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { ulid } from 'ulid';
import { loadConfig } from '../../src/config/load.js';
import type { RecognitionEvent } from '../../src/domain/event.js';
import { silentLogger } from '../../src/lib/log.js';
import { ClockWatch } from '../../src/pipeline/clock-watch.js';
import { Upkeep } from '../../src/pipeline/upkeep.js';
import { jobsOf, readKept } from '../../src/scheduled.js';
import { temporaryDir } from '../helpers/dirs.js';
import { event, messageOf, openStore } from './support.js';

async function jobs(t: TestContext, text: string) {
  const { store, directory } = await openStore(t);
  const path = join(directory, 'faced.yaml');
  await writeFile(path, text);
  const { config } = loadConfig({ path, env: {} });
  const list = jobsOf(
    { config, stateDir: directory, modelsDir: join(directory, 'models') },
    {
      store,
      keeping: {
        rotateBackups: ({ directory: folder, keep }) => store.rotateBackups({ directory: folder, keep }),
      },
      upkeep: { prune: async () => {} },
      health: {
        report: () => {
          throw new Error('nobody asks for it here');
        },
      },
      clock: new ClockWatch({ seenAt: null, ask: async () => true }),
      log: silentLogger,
    },
  );
  const run = async (name: string) => list.find((job) => job.name === name)?.run();
  return { run, list, directory };
}

test('the scheduled backup makes its folder, keeps so many and no more, and fails where it cannot write', async (t) => {
  const { run, list, directory } = await jobs(t, 'schedule: {keepBackups: 2, integrity: null}');
  assert.equal(list.find(({ name }) => name === 'integrity')?.when, null);
  assert.equal(list.find(({ name }) => name === 'backup')?.when, '30 3 * * *');
  const folder = join(directory, 'backups');
  for (const day of [1, 2, 3]) {
    await run('backup');
    // Two within a second would have one name.
    const [newest] = (await readdir(folder)).sort().reverse();
    await rename(join(folder, newest ?? ''), join(folder, `faced-2026110${day}T030000Z.db`));
  }
  await run('backup');
  const [first, ...others] = (await readdir(folder)).sort();
  assert.equal(first, 'faced-20261103T030000Z.db');
  assert.equal(others.length, 1);
  await run('integrity');
  await rm(folder, { recursive: true });
  await writeFile(folder, 'in the way');
  await assert.rejects(run('backup'));
});

test('what was written down is read back; nonsense is nothing', async (t) => {
  const directory = await temporaryDir(t);
  await mkdir(directory, { recursive: true });
  assert.deepEqual(await readKept(directory), { due: {}, seenAt: null });
  const file = join(directory, 'schedule.json');
  await writeFile(file, '{"due":{"backup":5,"clock":"soon"},"seenAt":7}');
  assert.deepEqual(await readKept(directory), { due: { backup: 5 }, seenAt: 7 });
  for (const nonsense of ['', '[]', 'null', '{"due":7,"seenAt":"x"}']) {
    await writeFile(file, nonsense);
    assert.deepEqual(await readKept(directory), { due: {}, seenAt: null });
  }
});

const DAY_MS = 86_400_000;

test('a clock that jumps by years at the start: messages keep the order in which they were recorded', async (t) => {
  const { store } = await openStore(t);
  const now = Date.now();
  // The time of the last shutdown, then 1970, then what the network says.
  const times = [now - 400 * DAY_MS, 5000, now, now + 1];
  const ids: string[] = [];
  for (const time of times) {
    const one = { ...event('Ada', time), id: ulid(time) };
    ids.push(one.id);
    await store.recordEvent(one, [messageOf(one)]);
  }
  const waiting = await store.outbox(10);
  assert.deepEqual(
    waiting.map(({ payload }) => (JSON.parse(payload) as { id: string }).id),
    ids,
  );
});

test('under a clock that is years ahead nothing is deleted by age; when it is right again, what is old goes', async (t) => {
  const { store } = await openStore(t, { retentionDays: 30 });
  const now = Date.now();
  const [old, recent] = [31, 1].map((days) => ({
    ...event('Ada', now - days * DAY_MS),
    id: ulid(now - days * DAY_MS),
  })) as [RecognitionEvent, RecognitionEvent];
  for (const one of [old, recent]) await store.recordEvent(one, []);
  let wall = now + 3 * 365 * DAY_MS;
  const clock = new ClockWatch({
    seenAt: now - DAY_MS,
    ask: async () => false,
    clock: { wall: () => wall, monotonic: () => 1000 },
  });
  const upkeep = new Upkeep({
    ...{ store, log: silentLogger, auditKeepDays: () => 365, keepsStrangers: false },
    ...{ onHead: () => {}, believedClock: () => clock.check() },
  });
  t.after(() => upkeep.stop());
  await upkeep.start();
  await assert.rejects(upkeep.prune(), { code: 'system.clock-wrong' });
  assert.equal((await store.events({ limit: 10 })).length, 2);
  wall = now;
  await upkeep.prune();
  assert.deepEqual(
    (await store.events({ limit: 10 })).map(({ id }) => id),
    [recent.id],
  );
});
