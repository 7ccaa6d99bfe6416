import assert from 'node:assert/strict';
import { mkdir, writeFile } from 'node:fs/promises';
import { userInfo } from 'node:os';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { StageTotals } from '../../src/pipeline/figures.js';
import { readBoard } from '../../src/system/board.js';
import { boardReport } from '../../src/system/report.js';
import { temporaryDir } from '../helpers/dirs.js';

/** What must not leave the house, each where it can be met. */
const SECRETS = {
  person: 'Anneliese Quendelbach',
  id: '01K0VZD2C4Q6M7S2H5R9XC3B6N',
  address: '192.168.77.13',
  mac: 'dc:a6:32:ab:cd:ef',
  host: 'quendelhof',
  device: 'haustuer-quendel',
  path: '/home/anneliese/faced',
  user: 'mqttquendel',
  url: 'mqtts://mqttquendel:geheim@broker.quendel.example:8883',
  camera: 'kinderzimmer',
  serial: '10000000deadbeef',
  dmi: 'Quendel Sonderbau',
  time: '2026-11-24T17:03:30.000Z',
  zone: 'zone of Anneliese',
} as const;

test('nothing of the house is in the report, wherever it stands in what the report is made of', async (t) => {
  const root = await temporaryDir(t);
  const files: Readonly<Record<string, string>> = {
    'proc/cpuinfo': `processor\t: 0\nmodel name\t: ${SECRETS.dmi}\nSerial\t\t: ${SECRETS.serial}\n`,
    'proc/device-tree/serial-number': `${SECRETS.serial}\0`,
    'proc/device-tree/compatible': `raspberrypi,4-model-b\0brcm,bcm2711\0${SECRETS.serial}\0`,
    'proc/meminfo': 'MemTotal:        3884360 kB\nMemAvailable:    3000000 kB\n',
    'etc/hostname': `${SECRETS.host}\n`,
    'etc/os-release': `PRETTY_NAME="${SECRETS.host} 12"\nHOME_URL="${SECRETS.path}"\n`,
    'sys/class/dmi/id/sys_vendor': `${SECRETS.dmi}\n`,
    'sys/class/dmi/id/product_name': `${SECRETS.serial}\n`,
    'sys/class/thermal/thermal_zone0/type': `${SECRETS.zone}\n`,
    'sys/class/thermal/thermal_zone0/temp': '51500\n',
  };
  for (const [path, content] of Object.entries(files)) {
    await mkdir(dirname(join(root, path)), { recursive: true });
    await writeFile(join(root, path), content);
  }
  const totals = new StageTotals();
  totals.beat({ stages: { detect: { totalMs: 30, count: 3, maxMs: 12 } } });
  totals.beat({
    stages: {
      detect: { totalMs: 10, count: 1, maxMs: 10 },
      [SECRETS.camera]: { totalMs: 1, count: 1, maxMs: 1 },
    },
  });
  const report = await boardReport({
    version: '0.1.0',
    board: readBoard(root, 'arm64'),
    checks: [
      { name: `camera ${SECRETS.camera}`, ok: false, detail: SECRETS.path, fix: SECRETS.url },
      { name: 'camera', ok: true, detail: SECRETS.camera },
      { name: `door ${SECRETS.person}`, ok: true, detail: SECRETS.id },
      { name: 'key', ok: true, detail: SECRETS.path },
      { name: SECRETS.person, ok: true, detail: '' },
    ],
    models: [{ id: 'mobilefacenet', kind: 'int8' }],
    ownModels: 1,
    opencv: '4.6.0',
    cameras: ['rtsp', SECRETS.url, SECRETS.address],
    daemon: {
      stages: totals.figures(),
      health: {
        v: 1,
        time: SECRETS.time,
        device: SECRETS.device,
        version: '0.1.0',
        uptimeS: 60,
        state: 'degraded',
        problems: [
          { code: 'source.failed', message: `${SECRETS.camera}: rtsp://${SECRETS.user}@${SECRETS.address}` },
          { code: SECRETS.person, message: SECRETS.mac },
        ],
        cameras: [
          {
            ...{ camera: SECRETS.camera, state: 'open', received: 100, dropped: 2, reopened: 0 },
            ...{ problem: SECRETS.url, fps: 9.8 },
          },
        ],
        backend: { using: 'onnxruntime', precision: 'int8', why: SECRETS.path },
        outbox: { waiting: 0, limit: 10_000, dropped: 0 },
        rssBytes: 200_000_000,
        machine: { temperatureC: 51.5, memoryLevel: 0, heatLevel: 1, heatSteps: 3 },
      },
    },
    root,
  });
  const text = JSON.stringify(report);
  for (const [what, secret] of Object.entries(SECRETS))
    assert.ok(!text.toLowerCase().includes(secret.toLowerCase()), what);
  for (const word of ['Anneliese', 'quendel', 'geheim', userInfo().homedir, root])
    if (word.length > 3) assert.ok(!text.toLowerCase().includes(word.toLowerCase()), word);

  // And what it is for is in it.
  assert.equal(report.board.profile, 'pi4');
  assert.deepEqual(report.board.compatible, ['raspberrypi,4-model-b', 'brcm,bcm2711']);
  assert.equal(report.heat.temperatureC, 51.5);
  assert.deepEqual(report.checks, { camera: false, door: true, key: true });
  assert.deepEqual(report.cameras, ['rtsp', 'other', 'other']);
  assert.deepEqual(report.daemon?.stages, { detect: { count: 4, meanMs: 10, maxMs: 12 } });
  assert.deepEqual(report.daemon?.levels, { memory: 0, heat: 1, heatSteps: 3 });
  assert.deepEqual(report.daemon?.problems, ['source.failed', null]);
});

test('where no daemon runs the figures of speed are missing, and it says why', async () => {
  const report = await boardReport({
    ...{ version: '0.1.0', board: readBoard(), checks: [], models: [], ownModels: 0 },
    ...{ opencv: null, cameras: [], daemon: null },
  });
  assert.equal(report.daemon, null);
  assert.match(report.noTimings ?? '', /no daemon runs/);
});
