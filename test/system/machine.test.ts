import assert from 'node:assert/strict';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { machineProblems, machineState } from '../../src/system/machine.js';
import { temporaryDir } from '../helpers/dirs.js';

test('the hottest zone counts; a sensor that says nothing does not', async (t) => {
  const root = await temporaryDir(t);
  for (const [zone, value] of [
    ['0', '41500'],
    ['1', '0'],
    ['2', '62250'],
    ['3', 'nonsense'],
  ] as const) {
    await mkdir(join(root, `sys/class/thermal/thermal_zone${zone}`), { recursive: true });
    await writeFile(join(root, `sys/class/thermal/thermal_zone${zone}/temp`), `${value}\n`);
  }
  const state = await machineState(root, root);
  assert.equal(state.temperatureC, 62.25);
  assert.ok((state.diskFree ?? 0) > 0 && (state.diskTotal ?? 0) >= (state.diskFree ?? 0));
  const bare = await machineState(join(root, 'none'), join(root, 'none'));
  assert.deepEqual(bare, {
    ...{ temperatureC: null, diskFree: null, diskTotal: null },
    ...{ memoryFree: null, memoryTotal: null },
  });
});

test('heat and a full disk are said, and do not flicker at their limits', () => {
  const state = {
    ...{ diskTotal: 1e10, memoryFree: 1e9, memoryTotal: 4e9 },
    temperatureC: 77,
    diskFree: 250 * 2 ** 20,
  };
  const codes = (found: typeof state, before: string[]) =>
    machineProblems(found, new Set(before)).map(({ code }) => code);
  assert.deepEqual(codes(state, []), []);
  assert.deepEqual(codes(state, ['system.hot', 'system.disk-low']), ['system.hot', 'system.disk-low']);
  assert.deepEqual(codes({ ...state, temperatureC: 81, diskFree: 1e6 }, []), [
    'system.hot',
    'system.disk-low',
  ]);
});
