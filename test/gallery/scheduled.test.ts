import assert from 'node:assert/strict';
import { mkdir, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { loadConfig } from '../../src/config/load.js';
import { silentLogger } from '../../src/lib/log.js';
import { ClockWatch } from '../../src/pipeline/clock-watch.js';
import { jobsOf, readKept } from '../../src/scheduled.js';
import { temporaryDir } from '../helpers/dirs.js';
import { openStore } from './support.js';

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
