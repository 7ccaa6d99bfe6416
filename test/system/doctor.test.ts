import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import type { Check } from '../../src/domain/check.js';
import { FacedError } from '../../src/domain/errors.js';
import { type Board, readBoard } from '../../src/system/board.js';
import { type DoctorOptions, promiseCheck, runDoctor } from '../../src/system/doctor.js';
import { backendCheck } from '../../src/system/doctor-backend.js';
import { cameraChecks, videoDevices } from '../../src/system/doctor-camera.js';
import { memoryCheck, nodeCheck, stateDirCheck } from '../../src/system/doctor-machine.js';
import { brokerCheck, clockCheck, keyCheck } from '../../src/system/doctor-services.js';
import { temporaryDir } from '../helpers/dirs.js';

async function healthy(t: TestContext): Promise<DoctorOptions> {
  const root = await temporaryDir(t);
  const stateDir = join(root, 'state');
  mkdirSync(stateDir, { mode: 0o700 });
  mkdirSync(join(root, 'dev'));
  writeFileSync(join(root, 'dev', 'video0'), '');
  mkdirSync(join(root, 'proc'));
  writeFileSync(join(root, 'proc', 'meminfo'), 'MemTotal: 4000000 kB\nMemAvailable: 3000000 kB\n');
  return {
    root,
    stateDir,
    loadAddon: async () => '4.6.0',
    models: async () => [{ id: 'ultraface', state: 'ready' }],
    cameras: [],
    brokerUrl: null,
    key: () => ({ kind: 'state', path: join(stateDir, 'gallery.key') }),
    promise: async () => ({ people: 3, wanted: 1, attainable: 0.01, threshold: 0.41 }),
  };
}

const bad = (checks: readonly Check[]) => checks.filter((check) => !check.ok);

/** Whatever is wrong has a mend. */
function assertMends(checks: readonly Check[]): void {
  for (const check of checks)
    assert.equal(check.fix !== undefined, !check.ok, `${check.name}: ${check.detail}`);
}

test('a healthy machine', async (t) => {
  const checks = await runDoctor(await healthy(t));
  assertMends(checks);
  assert.deepEqual(
    checks.map((check) => check.name),
    [
      'board',
      'node',
      'opencv',
      'models',
      'camera',
      'broker',
      'clock',
      'memory',
      'state',
      'disk',
      'key',
      'promise',
    ],
  );
  // The clock of the machine that runs the tests is its own affair.
  assert.deepEqual(bad(checks.filter((check) => check.name !== 'clock')), []);
});

test('what is wrong is named with its mend, and one failure hides no other', async (t) => {
  const options = await healthy(t);
  const checks = await runDoctor({
    ...options,
    nodeVersion: '18.20.4',
    loadAddon: async () => {
      throw new Error('cannot open shared object file');
    },
    models: async () => [
      { id: 'ultraface', state: 'missing' },
      { id: 'minifasnet', state: 'damaged' },
      { id: 'landmarks68', state: 'ready' },
    ],
    cameras: [
      { name: 'door', source: 'v4l2:/dev/video7?width=640' },
      { name: 'hall', source: 'rtsp://me:secret@camera/1' },
      { name: 'clip', source: 'file:/nonexistent.mp4' },
    ],
    promise: async () => {
      throw new FacedError('gallery.locked', 'another process has the gallery', { fix: 'stop it' });
    },
  });
  assertMends(checks);
  const said = Object.fromEntries(checks.map((check) => [check.name, check]));
  assert.equal(said.node?.ok, false);
  assert.match(said.opencv?.detail ?? '', /cannot open shared object/);
  assert.equal(said.models?.detail, 'ultraface is missing, minifasnet is damaged');
  assert.equal(said.models?.fix, 'Fetch them: faced model fetch');
  assert.equal(said['camera door']?.detail, '/dev/video7 does not exist; there are /dev/video0');
  assert.equal(said['camera hall']?.ok, true);
  assert.doesNotMatch(JSON.stringify(checks), /secret/);
  assert.equal(said['camera clip']?.ok, false);
  assert.deepEqual(said.promise, {
    name: 'promise',
    ok: false,
    detail: 'another process has the gallery',
    fix: 'stop it',
  });
});

test('Node.js from 20.17 on', () => {
  for (const version of ['20.17.0', '20.20.2', '22.0.0']) assert.ok(nodeCheck(version).ok, version);
  for (const version of ['20.16.0', '18.20.0']) assert.ok(!nodeCheck(version).ok, version);
});

test('a broker that answers and one that does not', async (t) => {
  const server = createServer((socket) => socket.end());
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  assert.ok(typeof address === 'object' && address !== null);
  const url = `mqtt://me:secret@127.0.0.1:${address.port}`;
  const up = await brokerCheck(url);
  assert.deepEqual(up, { name: 'broker', ok: true, detail: `mqtt://127.0.0.1:${address.port} answers` });
  await new Promise((resolve) => server.close(resolve));
  const down = await brokerCheck(url);
  assert.match(down.detail, /cannot be reached \(ECONNREFUSED\)/);
  assertMends([up, down]);
  assert.equal((await brokerCheck(null)).detail, 'built in');
  t.diagnostic(down.detail);
});

test('the clock: wrong, synchronised, not, unknown', async (t) => {
  const root = await temporaryDir(t);
  const now = Date.UTC(2027, 0, 1);
  const unknown = async () => null;
  const checks = [
    await clockCheck(root, { now: 0, ask: async () => true }),
    await clockCheck(root, { now, ask: async () => true }),
    await clockCheck(root, { now, ask: async () => false }),
    await clockCheck(root, { now, ask: unknown }),
  ];
  assertMends(checks);
  assert.deepEqual(
    checks.map((check) => check.ok),
    [false, true, false, true],
  );
  assert.match(checks[3]?.detail ?? '', /cannot be found out/);
  mkdirSync(join(root, 'run/systemd/timesync'), { recursive: true });
  writeFileSync(join(root, 'run/systemd/timesync/synchronized'), '');
  assert.match((await clockCheck(root, { now, ask: unknown })).detail, /, synchronised$/);
});

test('memory: too little free, and a control group that is nearly full', async (t) => {
  const root = await temporaryDir(t);
  mkdirSync(join(root, 'proc/self'), { recursive: true });
  mkdirSync(join(root, 'sys/fs/cgroup/a'), { recursive: true });
  assertMends([memoryCheck(root)]);
  assert.equal(memoryCheck(root).ok, false);
  writeFileSync(join(root, 'proc/meminfo'), 'MemTotal: 1000000 kB\nMemAvailable: 100000 kB\n');
  assert.equal(memoryCheck(root).detail, '98 MB of 977 MB free');
  writeFileSync(join(root, 'proc/meminfo'), 'MemTotal: 8000000 kB\nMemAvailable: 7000000 kB\n');
  assert.equal(memoryCheck(root).ok, true);
  writeFileSync(join(root, 'proc/self/cgroup'), '0::/a\n');
  writeFileSync(join(root, 'sys/fs/cgroup/a/memory.max'), String(512 * 1024 ** 2));
  writeFileSync(join(root, 'sys/fs/cgroup/a/memory.current'), String(400 * 1024 ** 2));
  assert.equal(memoryCheck(root).ok, false);
  assert.match(memoryCheck(root).detail, /^112 MB of 512 MB free \(limit/);
});

test('the state directory: not yet there, a file, open to others', async (t) => {
  const dir = await temporaryDir(t);
  const fresh = await stateDirCheck(join(dir, 'new'));
  const file = join(dir, 'file');
  writeFileSync(file, '');
  const open = join(dir, 'open');
  mkdirSync(open);
  chmodSync(open, 0o755);
  const checks = [fresh, await stateDirCheck(file), await stateDirCheck(open)];
  assertMends(checks);
  assert.deepEqual(
    checks.map((check) => check.ok),
    [true, false, false],
  );
  assert.equal(checks[2]?.fix, `chmod 700 ${open}`);
});

test('cameras: none, and devices in the order of their numbers', async (t) => {
  const root = await temporaryDir(t);
  assert.equal(cameraChecks([], root)[0]?.ok, false);
  mkdirSync(join(root, 'dev'));
  for (const name of ['video10', 'video2', 'null']) writeFileSync(join(root, 'dev', name), '');
  assert.deepEqual(videoDevices(root), ['/dev/video2', '/dev/video10']);
  assert.deepEqual(cameraChecks([], root), [{ name: 'camera', ok: true, detail: '/dev/video2' }]);
});

test('a Raspberry Pi without a camera has none, whatever its codecs are called', async (t) => {
  const root = await temporaryDir(t);
  mkdirSync(join(root, 'dev'));
  const named = {
    video0: 'unicam-image',
    video10: 'bcm2835-codec-decode',
    video13: 'bcm2835-isp-output0',
    video19: 'rpi-hevc-dec',
  };
  for (const [device, name] of Object.entries({ ...named, video2: 'HD Pro Webcam C920' })) {
    writeFileSync(join(root, 'dev', device), '');
    mkdirSync(join(root, 'sys/class/video4linux', device), { recursive: true });
    writeFileSync(join(root, 'sys/class/video4linux', device, 'name'), `${name}\n`);
  }
  assert.deepEqual(videoDevices(root), ['/dev/video2']);
  rmSync(join(root, 'dev/video2'));
  const [check] = cameraChecks([], root);
  assert.equal(check?.ok, false);
  assert.match(check?.fix ?? '', /csi:0/);
});

test('a camera that this user may not open', {
  skip: process.getuid?.() === 0 && 'root may open all',
}, async (t) => {
  const root = await temporaryDir(t);
  mkdirSync(join(root, 'dev'));
  writeFileSync(join(root, 'dev', 'video0'), '', { mode: 0 });
  assert.match(cameraChecks([], root)[0]?.fix ?? '', /usermod -aG video/);
});

test('the key: what each kind protects, and when it is open to others or away', async (t) => {
  const path = join(await temporaryDir(t), 'key');
  assert.match(
    (await keyCheck({ kind: 'state', path })).detail,
    /not against theft \(made at the first start\)$/,
  );
  const away = await keyCheck({ kind: 'file', path });
  writeFileSync(path, '');
  chmodSync(path, 0o600);
  const details = await Promise.all(
    (['credential', 'file', 'state'] as const).map(async (kind) => (await keyCheck({ kind, path })).detail),
  );
  assert.equal(new Set(details).size, 3);
  assert.equal(
    details[2],
    'in the state directory: a key on the same card protects backups, not against theft',
  );
  chmodSync(path, 0o640);
  assert.equal((await keyCheck({ kind: 'file', path })).ok, true);
  const open = await keyCheck({ kind: 'state', path });
  assert.equal(open.fix, `chmod 600 ${path}`);
  assertMends([away, open]);
  assert.equal(away.ok, false);
});

test('the promise: kept, not kept, never measured', () => {
  const kept = promiseCheck({ people: 1, wanted: 1, attainable: 0.5, threshold: 0.4123 });
  assert.equal(
    kept.detail,
    'at most 1 of 1000 strangers taken for one of 1 person, from a similarity of 0.412 on',
  );
  const broken = promiseCheck({ people: 2000, wanted: 1, attainable: 2.0123, threshold: null });
  const unmeasured = promiseCheck({ people: 1, wanted: 1, attainable: null, threshold: null });
  assertMends([kept, broken, unmeasured]);
  assert.deepEqual([kept.ok, broken.ok, unmeasured.ok], [true, false, false]);
  assert.match(broken.fix ?? '', /strangersPerThousand to 2\.1 or more/);
  const exact = promiseCheck({ people: 2000, wanted: 1, attainable: 20, threshold: null });
  assert.match(exact.fix ?? '', /to 20 or more/);
});

test('what runs the recogniser: ONNX Runtime, an engine, and one that cannot be used', async (t) => {
  const board = (changes: Partial<Board>): Board => ({ ...readBoard('/nowhere', 'arm64'), ...changes });
  const jetson = board({ profile: 'jetson-nano', accelerators: ['NVIDIA GPU (Tegra)'] });
  const finding = {
    ...{ engine: 'tensorrt', engineVersion: '8.2.1', board: 'NVIDIA Jetson Nano Developer Kit' },
    ...{ precision: 'fp16', cosine: 0.999981 },
  };
  const away = new FacedError('backend.away', '/run/x.sock: ENOENT', { fix: 'Start it' });
  const failing = () => Promise.reject(away);
  const checks = [
    await backendCheck({ engine: null }, board({})),
    await backendCheck({ engine: null }, jetson),
    await backendCheck({ engine: async () => finding }, jetson),
    await backendCheck({ engine: async () => ({ ...finding, cosine: null }) }, jetson),
    await backendCheck({ engine: failing }, jetson),
    await backendCheck({ engine: failing }, board({ profile: 'jetson-nano' })),
  ];
  assertMends(checks);
  assert.deepEqual(
    checks.map(({ detail }) => detail),
    [
      'ONNX Runtime',
      'ONNX Runtime; the GPU of this board is not used: deploy/jetson/README.md sets it up',
      'tensorrt 8.2.1 on NVIDIA Jetson Nano Developer Kit, fp16, answers like FP32 (cosine 0.99998)',
      'tensorrt 8.2.1 on NVIDIA Jetson Nano Developer Kit, fp16, not compared with FP32',
      'ONNX Runtime stands in: /run/x.sock: ENOENT',
      'ONNX Runtime stands in: /run/x.sock: ENOENT; no NVIDIA GPU is visible here',
    ],
  );
  assert.equal(checks[4]?.fix, 'Start it');

  const options = await healthy(t);
  const all = await runDoctor({ ...options, backend: { engine: failing } });
  assert.equal(all.find(({ name }) => name === 'backend')?.ok, false);
});

test('a board that faced cannot work on is a failure with its mend', async (t) => {
  const options = await healthy(t);
  mkdirSync(join(options.root ?? '', 'proc/device-tree'));
  mkdirSync(join(options.root ?? '', 'etc'));
  writeFileSync(
    join(options.root ?? '', 'proc/device-tree/compatible'),
    'nvidia,p3450-0000\0nvidia,tegra210\0',
  );
  writeFileSync(
    join(options.root ?? '', 'etc/nv_tegra_release'),
    '# R32 (release), REVISION: 4.4, GCID: 1\n',
  );
  const [check] = await runDoctor({ ...options, arch: 'arm64' });
  assert.equal(check?.ok, false);
  assert.match(
    check?.detail ?? '',
    /^L4T 32\.4\.4 is older .*Profile jetson-nano: int8 models first, tensorrt/,
  );
  assert.match(check?.fix ?? '', /JetPack 4\.6\.1/);
});
