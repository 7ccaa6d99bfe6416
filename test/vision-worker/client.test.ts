import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { closeSync, existsSync, openSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import type { FacedError } from '../../src/domain/errors.js';
import { withoutSecrets } from '../../src/inference/environment.js';
import { hangingThreads } from '../../src/inference/worker-ends.js';
import { ROOT } from '../../src/lib/program.js';
import type { Vision, VisionEvents } from '../../src/pipeline/ports.js';
import { temporaryDir } from '../helpers/dirs.js';
import { once } from '../pipeline/watch.js';
import { children, fakeVision } from './support.js';

const soon = () => AbortSignal.timeout(20_000);
const PICTURE = Uint8Array.of(1, 2, 3);

/** What reads the FIFO waits until it is let go. */
async function fifoIn(t: TestContext): Promise<{ fifo: string; letGo: () => void }> {
  const fifo = join(await temporaryDir(t), 'fifo');
  assert.equal(spawnSync('mkfifo', [fifo]).status, 0);
  return { fifo, letGo: () => closeSync(openSync(fifo, 'r+')) };
}

for (const isolation of ['thread', 'process'] as const) {
  test(`a ${isolation} that gives no sign of life is ended and started again`, async (t) => {
    // It blocks itself for ever, as a driver may.
    const body = `calls.start = (id) => { answer(id, {}); setTimeout(() => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0), 20); };`;
    const vision = await fakeVision(t, body, { isolation, silenceMs: 300 });
    const restarts: VisionEvents['restarted'][] = [];
    vision.on('restarted', (one) => restarts.push(one));
    const twice = once(vision, 'restarted', ({ count }) => count === 2);
    await vision.start(soon());
    await twice;
    assert.match(restarts[0]?.reason ?? '', /no sign of life/);
  });

  test(`a ${isolation} that ends at once is started again with growing pauses`, async (t) => {
    const body = `calls.start = (id) => { answer(id, {}); setTimeout(() => process.exit(3), 5); };`;
    const pausesMs = [0, 150, 300];
    const vision = await fakeVision(t, body, { isolation, pausesMs });
    const times: number[] = [];
    vision.on('restarted', ({ reason }) => {
      assert.match(reason, /exit code 3/);
      times.push(performance.now());
    });
    const enough = once(vision, 'restarted', ({ count }) => count === 4);
    await vision.start(soon());
    await enough;
    for (const [index, pause] of pausesMs.entries()) {
      const between = (times[index + 1] ?? 0) - (times[index] ?? 0);
      assert.ok(between >= pause - 1, `${between} ms after crash ${index + 1}`);
    }
  });
}

test('a picture is given to the next worker once, and then refused', async (t) => {
  const dies = await fakeVision(t, `calls.analyse = () => process.exit(9);`, { isolation: 'process' });
  const restarts: number[] = [];
  dies.on('restarted', ({ count }) => restarts.push(count));
  await dies.start(soon());
  await assert.rejects(dies.analyse(PICTURE), { code: 'vision.crashed' });
  assert.deepEqual(restarts, [1, 2]);
});

test('pictures beyond the bound are refused, and room is made again', async (t) => {
  const vision = await fakeVision(
    t,
    `let held = []; calls.analyse = (id) => { held.push(id); if (held.length === 8) for (const one of held.splice(0)) answer(one, { width: 1, height: 1, faces: [] }); };`,
  );
  await vision.start(soon());
  const waiting = Array.from({ length: 7 }, () => vision.analyse(PICTURE));
  const last = vision.analyse(PICTURE);
  await assert.rejects(vision.analyse(PICTURE), { code: 'busy' });
  assert.equal((await Promise.all([...waiting, last])).length, 8);
  const again = Array.from({ length: 8 }, () => vision.analyse(PICTURE));
  assert.equal((await Promise.all(again)).length, 8);
});

test('an error of the first start is an error of start, with its code, and nothing is left running', async (t) => {
  const before = children();
  const vision = await fakeVision(
    t,
    `calls.start = (id) => post({ kind: 'failure', id, error: { code: 'model.missing', message: 'not there', fix: 'fetch it' } });`,
    { isolation: 'process' },
  );
  await assert.rejects(vision.start(soon()), {
    code: 'model.missing',
    message: 'not there',
    fix: 'fetch it',
  });
  assert.deepEqual(children(), before);
});

test('a worker that never gets ready is given up, and an abort ends the waiting at once', async (t) => {
  const slow = await fakeVision(t, `calls.start = () => {};`, { isolation: 'process', startMs: 100 });
  await assert.rejects(slow.start(soon()), { code: 'rpc.timeout' });
  const aborted = await fakeVision(t, `calls.start = () => {};`, { isolation: 'process' });
  const controller = new AbortController();
  const starting = aborted.start(controller.signal);
  controller.abort();
  await assert.rejects(starting, { name: 'AbortError' });
});

test('a thread that is still loading is asked to leave: its native code is not cut off', async (t) => {
  const body = `calls.start = () => {};`;
  const before = hangingThreads();
  for (const how of ['abort', 'stop'] as const) {
    const vision = await fakeVision(t, body);
    const controller = new AbortController();
    const starting = assert.rejects(vision.start(controller.signal));
    if (how === 'abort') controller.abort();
    else await vision.stop();
    await starting;
    await vision.stop();
    assert.equal(hangingThreads(), before, how);
  }
});

test('a worker that loads a model is not taken for dead, one that is silent afterwards is', async (t) => {
  // Longer than silence is allowed; what is sent afterwards would not be heard of one that was given up.
  const body = `import { spawnSync } from 'node:child_process';
calls.start = (id) => {
  answer(id, {});
  emit('loading', { on: true });
  setTimeout(() => { spawnSync('sleep', ['0.5']); emit('loading', { on: false }); }, 10);
};`;
  const vision = await fakeVision(t, body, { silenceMs: 100, pausesMs: [0] });
  const restarts: string[] = [];
  vision.on('restarted', ({ reason }) => restarts.push(reason));
  const loaded = once(vision, 'loading', ({ on }) => !on);
  await vision.start(soon());
  await loaded;
  assert.deepEqual(restarts, []);
  await once(vision, 'restarted');
});

test('threads that hang in native code are left behind twice, then it is said and nothing more is started', async (t) => {
  // Nothing can end a thread that waits for a program.
  const body = `import { spawnSync } from 'node:child_process';
calls.start = (id) => { answer(id, {}); setTimeout(() => spawnSync('sleep', ['600']), 10); };`;
  const before = new Set(children());
  t.after(() => {
    for (const pid of children()) if (!before.has(pid)) process.kill(pid, 'SIGKILL');
  });
  const failures: FacedError[] = [];
  const failed = new Promise<void>((resolve) => {
    void fakeVision(t, body, {
      silenceMs: 100,
      pausesMs: [0],
      onFailed: (error) => {
        failures.push(error);
        resolve();
      },
    }).then(async (vision) => {
      vision.on('restarted', ({ count }) => restarts.push(count));
      await vision.start(soon());
      stuck = vision;
    });
  });
  const restarts: number[] = [];
  let stuck: Vision | undefined;
  await failed;
  assert.deepEqual(restarts, [1, 2]);
  assert.deepEqual(
    failures.map(({ code }) => code),
    ['vision.stuck'],
  );
  await assert.rejects(async () => stuck?.analyse(PICTURE), { code: 'vision.stuck' });
});

test('a thread inside native code is not cut off there: it leaves by itself when it comes back', async (t) => {
  const { fifo, letGo } = await fifoIn(t);
  // Only the first hangs; a thread that is cut off has no time to say that it leaves.
  const [first, left] = [`${fifo}.first`, `${fifo}.left`];
  const body = `import { spawnSync } from 'node:child_process';
import { existsSync, writeFileSync } from 'node:fs';
calls.start = (id) => {
  answer(id, {});
  if (existsSync(${JSON.stringify(first)})) return;
  writeFileSync(${JSON.stringify(first)}, '');
  process.on('exit', () => writeFileSync(${JSON.stringify(left)}, ''));
  setTimeout(() => spawnSync('cat', [${JSON.stringify(fifo)}]), 10);
};`;
  const vision = await fakeVision(t, body, { silenceMs: 100, pausesMs: [0] });
  const again = once(vision, 'restarted');
  await vision.start(soon());
  await again;
  assert.ok(hangingThreads() > 0);
  await vision.stop();
  letGo();
  while (!existsSync(left)) await setImmediate();
});

test('a process with a thread that does not come back ends with its own status', async (t) => {
  const { fifo, letGo } = await fifoIn(t);
  const addon = join(ROOT, 'native/opencv/build/Release/faced_opencv.node');
  const thread = `require('node:worker_threads').parentPort.postMessage('here');
require('node:child_process').spawnSync('cat', [${JSON.stringify(fifo)}]);`;
  const script = `new (require('node:worker_threads').Worker)(${JSON.stringify(thread)}, { eval: true })
  .on('message', () => require(${JSON.stringify(addon)}).exitNow(7));`;
  const { status, signal } = spawnSync(process.execPath, ['-e', script]);
  letGo();
  assert.deepEqual({ status, signal }, { status: 7, signal: null });
});

test('a picture that comes while the models are loaded is analysed when they are', async (t) => {
  const vision = await fakeVision(
    t,
    `calls.analyse = (id) => answer(id, { width: 7, height: 1, faces: [] });`,
  );
  const early = vision.analyse(PICTURE);
  await vision.start(soon());
  assert.equal((await early).width, 7);
});

test('a snapshot is refused as too early while the models are loaded, and as unknown for no camera of ours', async (t) => {
  const vision = await fakeVision(t, `calls.snapshot = (id) => answer(id, Uint8Array.of(1));`, {
    options: {
      modelsDir: '/nowhere',
      models: { detector: 'd', landmarks: 'l', recogniser: 'r', liveness: null },
      cameras: [{ name: 'door', source: 'v4l2:/dev/none', view: {} }],
    },
  });
  await assert.rejects(vision.snapshot('door'), { code: 'busy' });
  const starting = vision.start(soon());
  await assert.rejects(vision.snapshot('door'), { code: 'busy' });
  await assert.rejects(vision.snapshot('dor'), { code: 'source.invalid', message: /the cameras are: door/ });
  await starting;
  assert.deepEqual(await vision.snapshot('door'), Uint8Array.of(1));
});

test('a stopped worker refuses what comes, and what waited is rejected', async (t) => {
  const vision = await fakeVision(t, `calls.analyse = () => {};`);
  await vision.start(soon());
  const waiting = vision.analyse(PICTURE);
  const rejected = assert.rejects(waiting, { code: /^(rpc\.closed|vision\.crashed)$/ });
  await vision.stop();
  await rejected;
  await assert.rejects(vision.analyse(PICTURE), { code: 'rpc.closed' });
});

test('a child sees no secrets', () => {
  const env = {
    PATH: '/bin',
    LC_ALL: 'C',
    CREDENTIALS_DIRECTORY: '/run/credentials/faced',
    FACED_MQTT_PASSWORD: 'x',
    FACED_STATE_DIR: '/var/lib/faced',
    AWS_SECRET_ACCESS_KEY: 'x',
    NOTIFY_SOCKET: '/run/notify',
    FACED_MODELS_DIR: '/models',
  };
  assert.deepEqual(withoutSecrets(env), { PATH: '/bin', LC_ALL: 'C', FACED_MODELS_DIR: '/models' });
});

test('several messages to a process that has just died cost the daemon nothing', async (t) => {
  const vision = await fakeVision(t, `calls.analyse = (id) => answer(id, { faces: [] });`, {
    isolation: 'process',
    pausesMs: [0],
  });
  const before = new Set(children());
  await vision.start(AbortSignal.timeout(10_000));
  const pid = children().find((one) => !before.has(one));
  assert.ok(pid !== undefined);
  process.kill(pid, 'SIGKILL');
  // Its end is not known here before the event loop turns: until then nothing but the sending can fail.
  while (isAlive(pid));
  const answers = await Promise.all(Array.from({ length: 4 }, () => vision.analyse(new Uint8Array(1024))));
  assert.equal(answers.length, 4);
});

/** Not a zombie yet. */
function isAlive(pid: number): boolean {
  try {
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch {
    return false;
  }
}
