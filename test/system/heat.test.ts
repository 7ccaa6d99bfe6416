import assert from 'node:assert/strict';
import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { createLogger } from '../../src/lib/log.js';
import type { HeatReading, Pace } from '../../src/pipeline/heat-governor.js';
import { parseThrottled, readHeat, thermalZones } from '../../src/system/heat.js';
import { HeatWatch } from '../../src/system/heat-watch.js';
import { machineState } from '../../src/system/machine.js';
import { temporaryDir } from '../helpers/dirs.js';

async function rootWith(t: TestContext, files: Readonly<Record<string, string>>): Promise<string> {
  const root = await temporaryDir(t);
  for (const [path, content] of Object.entries(files)) {
    await mkdir(dirname(join(root, path)), { recursive: true });
    await writeFile(join(root, path), content);
  }
  return root;
}

const zone = (n: number, type: string, temp: string, more: Readonly<Record<string, string>> = {}) =>
  Object.fromEntries(
    Object.entries({ type, temp, ...more }).map(([name, value]) => [
      `sys/class/thermal/thermal_zone${n}/${name}`,
      `${value}\n`,
    ]),
  );
const cooler = (n: number, type: string, now: string, most: string) => ({
  [`sys/class/thermal/cooling_device${n}/type`]: `${type}\n`,
  [`sys/class/thermal/cooling_device${n}/cur_state`]: `${now}\n`,
  [`sys/class/thermal/cooling_device${n}/max_state`]: `${most}\n`,
});

test('a Jetson’s zones: the power controller without a sensor does not count, the kernel’s limits do', async (t) => {
  const root = await rootWith(t, {
    ...zone(0, 'AO-therm', '41500'),
    ...zone(1, 'CPU-therm', '62000', {
      ...{ trip_point_0_type: 'passive', trip_point_0_temp: '97000' },
      ...{ trip_point_1_type: 'critical', trip_point_1_temp: '102500' },
    }),
    ...zone(2, 'PMIC-Die', '100000'),
    ...cooler(0, 'pwm-fan', '3', '10'),
    ...cooler(1, 'cpu-balanced', '0', '20'),
  });
  assert.deepEqual(
    thermalZones(root).map(({ type, limitC }) => [type, limitC]),
    [
      ['AO-therm', null],
      ['CPU-therm', 97],
    ],
  );
  const { temperatureC, limitC, throttled, underVoltage } = await readHeat(root);
  assert.deepEqual(
    { temperatureC, limitC, throttled, underVoltage },
    {
      ...{ temperatureC: 62, limitC: 97, throttled: false, underVoltage: null },
    },
  );
  assert.equal((await machineState(root, root)).temperatureC, 62);
  await writeFile(join(root, 'sys/class/thermal/cooling_device1/cur_state'), '4\n');
  assert.equal((await readHeat(root)).throttled, true);
});

test('a Raspberry Pi’s flags: what holds now counts, what has been does not', async (t) => {
  assert.deepEqual(parseThrottled('throttled=0x0\n'), { underVoltage: false, throttled: false });
  assert.deepEqual(parseThrottled('throttled=0x50005'), { underVoltage: true, throttled: true });
  assert.deepEqual(parseThrottled('throttled=0x50000'), { underVoltage: false, throttled: false });
  assert.deepEqual(parseThrottled('throttled=0x8'), { underVoltage: false, throttled: true });
  assert.deepEqual(parseThrottled('throttled=0x1'), { underVoltage: true, throttled: false });
  for (const nonsense of ['', 'error', 'throttled=', 'VCHI initialization failed'])
    assert.equal(parseThrottled(nonsense), null, nonsense);
  const root = await rootWith(t, {
    ...zone(0, 'cpu-thermal', '58000'),
    'sys/devices/platform/soc/soc:firmware/get_throttled': '50005\n',
  });
  const { throttled, underVoltage } = await readHeat(root);
  assert.deepEqual([throttled, underVoltage], [true, true]);
});

test('sensors that say what cannot be are not there', async (t) => {
  const bad = ['0', '-40000', '200000', 'nonsense', ''];
  const root = await rootWith(t, Object.assign({}, ...bad.map((temp, n) => zone(n, 'cpu-thermal', temp))));
  assert.deepEqual(await readHeat(root), {
    ...{ temperatureC: null, limitC: null, throttled: null, underVoltage: null, load: null },
  });
  await readHeat(join(root, 'nowhere'));
});

test('a change is said once, with its reason, and the loops are told', async () => {
  const now = { ms: 0, c: 79 as number | null };
  const paces: Pace[] = [];
  const lines: string[] = [];
  const watch = new HeatWatch({
    log: createLogger('info', { write: (line) => void lines.push(line) }),
    onPace: (pace) => void paces.push(pace),
    read: async (): Promise<HeatReading> => ({
      ...{ temperatureC: now.c, limitC: null, throttled: null, underVoltage: null, load: null },
    }),
    now: () => now.ms,
  });
  const beats = async (seconds: number) => {
    for (const until = now.ms + seconds * 1000; now.ms < until; now.ms += 1000) await watch.beat();
  };
  assert.deepEqual(watch.problems(), []);
  await beats(120);
  assert.deepEqual(
    paces.map(({ share }) => share),
    [0.75, 0.5, 0.3],
  );
  assert.equal(lines.length, 3);
  assert.match(lines[0] ?? '', /79 °C/);
  assert.deepEqual([watch.heatLevel, watch.heatSteps], [3, 3]);
  assert.match(watch.problems()[0]?.message ?? '', /30% of their pace: 79 °C/);
  now.c = null;
  await beats(400);
  assert.deepEqual([watch.heatLevel, watch.heatSteps], [0, 6]);
  assert.deepEqual(watch.problems(), []);
  assert.equal(lines.filter((line) => line.includes('no thermal sensor')).length, 1);
});
