import assert from 'node:assert/strict';
import { statfsSync, writeFileSync } from 'node:fs';
import { mkdir, readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import Database from 'better-sqlite3';
import { ulid } from 'ulid';
import { loadConfig } from '../../src/config/load.js';
import { silentLogger } from '../../src/lib/log.js';
import { ClockWatch } from '../../src/pipeline/clock-watch.js';
import { Health } from '../../src/pipeline/health.js';
import { Jobs } from '../../src/pipeline/jobs.js';
import type { Store } from '../../src/pipeline/ports.js';
import { Upkeep } from '../../src/pipeline/upkeep.js';
import { jobsOf } from '../../src/scheduled.js';
import { temporaryDir } from '../helpers/dirs.js';
import { testModels } from '../helpers/models.js';
import { recordingLogger } from '../helpers/recording-logger.js';
import { event, messageOf, openStore, smallDisk, withoutMounts } from './support.js';

const DAY_MS = 86_400_000;
const NAMES = ['retention', 'backup', 'integrity', 'clock', 'report'];

/** The daemon's five jobs over a real store; `due` does one, and resolves when it is done. */
async function household(t: TestContext, about: { store: Store; stateDir: string; modelsDir: string }) {
  const { store, stateDir, modelsDir } = about;
  const path = join(await temporaryDir(t), 'faced.yaml');
  await writeFile(path, 'schedule: {keepBackups: 2}');
  const { config } = loadConfig({ path, env: {} });
  const clock = new ClockWatch({ seenAt: null, ask: async () => true });
  const upkeep = new Upkeep({
    ...{ store, log: silentLogger, auditKeepDays: () => 365, keepsStrangers: true },
    ...{ onHead: () => {}, believedClock: () => clock.check() },
  });
  t.after(() => upkeep.stop());
  const { logger, lines } = recordingLogger();
  const health = new Health({
    ...{ device: 'door', version: '1', outbox: () => store.outboxStats(), brokerProblem: () => null },
    ...{ recognition: () => ({ waiting: 0, dropped: 0, lost: 0, unrecorded: null, searchProblem: null }) },
    ...{ promiseProblem: () => null, ownRssBytes: () => 1, visionIsThread: true },
    others: () => jobs.problems(),
    machine: async () => ({ temperatureC: 41, memoryLevel: 0, heatLevel: 0, heatSteps: 0 }),
  });
  const dues = new Map<string, () => void>();
  const list = jobsOf(
    { config, stateDir, modelsDir },
    {
      ...{ store, upkeep, health, clock, log: logger },
      keeping: { rotateBackups: ({ directory, keep }) => store.rotateBackups({ directory, keep }) },
    },
  );
  const jobs: Jobs = new Jobs({
    jobs: list.map((job) => ({ ...job, when: job.name })),
    timetable: {
      plan: (name, onDue) => {
        dues.set(name, onDue);
        return { next: () => null, stop: () => {} };
      },
    },
    log: logger,
    due: {},
    writeDue: async () => {},
  });
  jobs.start();
  t.after(() => jobs.stop());
  const due = async (name: string) => {
    dues.get(name)?.();
    await jobs.settled();
    return jobs.problems().map(({ code }) => code);
  };
  return { due, lines, list, jobs };
}

test('all five jobs do their work, and the report names the models and how the daemon is', async (t) => {
  const modelsDir = await testModels();
  const { store, directory } = await openStore(t, { retentionDays: 30 });
  const old = Date.now() - 31 * DAY_MS;
  await store.recordEvent({ ...event('Ada', old), id: ulid(old) }, []);
  const { due, lines, list } = await household(t, { store, stateDir: directory, modelsDir });
  assert.deepEqual(
    list.map(({ name }) => name),
    NAMES,
  );
  for (const name of NAMES) assert.deepEqual(await due(name), [], name);
  assert.deepEqual(await store.events({ limit: 10 }), []);
  assert.equal((await readdir(join(directory, 'backups'))).length, 1);
  const details = lines.find(({ message }) => message === 'the state of health')?.details;
  assert.deepEqual(
    [details?.state, details?.temperatureC, details?.models],
    ['ok', 41, ['ultraface', 'landmarks68', 'mobilefacenet', 'minifasnet']],
  );
});

test('a model file that is missing or damaged, and a damaged database, are told by their jobs', async (t) => {
  const stateDir = await temporaryDir(t);
  const first = await openStore(t, { directory: stateDir });
  await first.store.stop();
  const db = new Database(join(stateDir, 'gallery.db'));
  db.pragma('foreign_keys = OFF');
  db.exec("INSERT INTO images (sample_id, image) VALUES ('nobody', x'00')");
  db.close();
  const { store } = await openStore(t, { directory: stateDir });
  const modelsDir = join(stateDir, 'models');
  await mkdir(modelsDir);
  const { due, jobs } = await household(t, { store, stateDir, modelsDir });
  assert.deepEqual(await due('integrity'), ['gallery.corrupt']);
  assert.match(jobs.problems()[0]?.message ?? '', /row 1 of images/);
  assert.deepEqual(await due('report'), ['gallery.corrupt', 'model.missing']);
  await writeFile(join(modelsDir, 'ultraface.onnx'), 'half of it');
  assert.deepEqual(await due('report'), ['gallery.corrupt', 'model.mismatch']);
});

test('on a full disk the jobs say what failed, older backups stay, and all is well when there is room', {
  skip: withoutMounts(),
}, async (t) => {
  const modelsDir = await testModels();
  const directory = await smallDisk(t, '3m');
  const { store } = await openStore(t, { directory, retentionDays: 30 });
  const old = Date.now() - 31 * DAY_MS;
  for (const at of [old, Date.now()]) {
    const one = { ...event('Ada', at), id: ulid(at) };
    await store.recordEvent(one, [messageOf(one)]);
  }
  const { due } = await household(t, { store, stateDir: directory, modelsDir });
  assert.deepEqual(await due('backup'), []);
  const before = await readdir(join(directory, 'backups'));
  const { bavail, bsize } = statfsSync(directory);
  writeFileSync(join(directory, 'filler'), Buffer.alloc(bavail * bsize));
  assert.deepEqual(await due('backup'), ['gallery.disk-full']);
  assert.deepEqual(await readdir(join(directory, 'backups')), before, 'nothing half, and nothing less');
  for (const name of ['integrity', 'clock', 'report'])
    assert.deepEqual(await due(name), ['gallery.disk-full'], name);
  await due('retention');
  assert.equal((await store.outboxStats()).waiting, 2, 'no event that waits is lost');
  await rm(join(directory, 'filler'));
  for (const name of NAMES) await due(name);
  assert.deepEqual(await due('clock'), []);
  assert.equal((await store.events({ limit: 10 })).length, 1);
});
