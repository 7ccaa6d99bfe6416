import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { chmod, chown, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { DEFAULT_BACKOFF } from '../../src/camera/backoff.js';
import { deviceProblem } from '../../src/camera/device.js';
import { createSource } from '../../src/camera/index.js';
import { LiveSource, type Stream } from '../../src/camera/live.js';
import { FacedError } from '../../src/domain/errors.js';
import type { CapturedFrame, WaitOptions } from '../../src/image/index.js';
import { temporaryDir } from '../helpers/dirs.js';
import { recordingLogger } from '../helpers/recording-logger.js';

/** What one opening of the scripted camera does: it cannot be opened, or gives these, one for each next(). */
type Script = 'no' | 'hang' | readonly (readonly [number, number] | 'freeze' | 'garbage' | 'end')[];

class ScriptedStream implements Stream {
  readonly counts = { received: 0, dropped: 0 };
  released = true;
  readonly #script: Script;
  #at = 0;

  constructor(script: Script) {
    this.#script = script;
  }

  async open(): Promise<void> {
    if (this.#script === 'hang') this.released = false;
    if (this.#script === 'no' || this.#script === 'hang')
      throw new FacedError('source.open-failed', 'it is off');
  }

  async next({ signal }: WaitOptions): Promise<CapturedFrame | null> {
    const step = typeof this.#script === 'string' ? undefined : this.#script[this.#at++];
    if (step === undefined) {
      // Nothing more: a camera that waits until it is stopped.
      if (signal.aborted) return null;
      await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }));
      return null;
    }
    if (step === 'freeze') throw new FacedError('source.frozen', 'no frame came');
    if (step === 'garbage') throw new FacedError('source.failed', 'empty frames');
    if (step === 'end') return null;
    const seq = ++this.counts.received;
    return { width: step[0], height: step[1], seq, capturedAt: { monotonicMs: seq, wallMs: seq } };
  }

  readInto(): void {}
  async stop(): Promise<void> {}
}

function camera(scripts: readonly Script[], onPause: () => void = () => {}) {
  const left = [...scripts];
  const pauses: number[] = [];
  const { logger, lines } = recordingLogger();
  const source = new LiveSource(
    { camera: 'door', label: 'rtsp://…@cam/s', freezeAfterMs: 10, backoff: DEFAULT_BACKOFF },
    {
      createStream: () => new ScriptedStream(left.shift() ?? []),
      logger,
      pause: async (ms) => {
        pauses.push(ms);
        onPause();
      },
      random: () => 0,
    },
  );
  return { source, pauses, lines };
}

const S = [4, 2] as const;

test('what is wrong has the code of what is wrong: frozen, garbage, off', async () => {
  for (const [scripts, code] of [
    [[['freeze']], 'source.frozen'],
    [[['garbage']], 'source.failed'],
    [['no'], 'source.open-failed'],
  ] as const) {
    const seen: unknown[] = [];
    const { source } = camera([...scripts, [S]], () => seen.push(source.stats().problemCode));
    await source.start(new AbortController().signal);
    await source.next();
    assert.deepEqual(seen, [code]);
    assert.equal(source.stats().problemCode, null);
    await source.stop();
  }
});

test('a device file that is not there is no device, one that may not be opened is no access', async (t) => {
  const dir = await temporaryDir(t);
  assert.equal(deviceProblem(join(dir, 'video0'))?.code, 'source.no-device');
  assert.equal(deviceProblem('/dev/null'), null);
  const { logger, lines } = recordingLogger();
  const deps = { logger, pause: async () => void source.stop() };
  const source = await createSource({ name: 'door', source: 'v4l2:/dev/faced-no-such' }, deps);
  await source.start(new AbortController().signal);
  assert.equal(await source.next(), null);
  assert.equal(lines[0]?.details.code, 'source.no-device');
  assert.equal(source.stats().problemCode, 'source.no-device');
});

test('a device, or a sender, of a group that one is not in: the group is named', {
  skip: process.getuid?.() === 0 ? false : 'needs root, to become somebody else',
}, async (t) => {
  const dir = await temporaryDir(t);
  await chmod(dir, 0o755);
  const path = join(dir, 'video0');
  await writeFile(path, '', { mode: 0o660 });
  const video = /^video:[^:]*:(\d+):/m.exec(await readFile('/etc/group', 'utf8'))?.[1];
  await chown(path, 0, Number(video));
  await chmod(path, 0o660);
  const script = `
    const { deviceProblem, senderProblem } = await import(process.argv[1]);
    process.setgroups([]);
    process.setgid(65534);
    process.setuid(65534);
    const problems = [deviceProblem(process.argv[2]), senderProblem('shmsrc socket-path=' + process.argv[2] + ' ! x')];
    console.log(JSON.stringify(problems.map(({ code, message, fix }) => ({ code, message, fix }))));`;
  const module = new URL('../../src/camera/device.js', import.meta.url).href;
  const { stdout, stderr } = spawnSync(
    process.execPath,
    ['--input-type=module', '-e', script, module, path],
    {
      encoding: 'utf8',
    },
  );
  assert.equal(stderr, '');
  const problems = JSON.parse(stdout) as { code: string; message: string; fix: string }[];
  assert.equal(problems.length, 2);
  for (const { code, message, fix } of problems) {
    assert.equal(code, 'source.no-access');
    assert.equal(message, `this user may not open ${path}, which is the group video's`);
    assert.match(fix, /usermod -aG video /);
  }
});

test('an outage is said once, its end is said once, and the pauses grow', async () => {
  const { source, pauses, lines } = camera([[S, 'freeze'], 'no', 'no', ['garbage'], [S, S]]);
  await source.start(new AbortController().signal);
  const seqs: (number | undefined)[] = [];
  for (let i = 0; i < 3; i++) seqs.push((await source.next())?.seq);
  assert.deepEqual(seqs, [1, 2, 3]);
  assert.deepEqual(pauses, [1000, 2000, 4000, 8000]);
  assert.deepEqual(
    lines.map(({ level, message }) => [level, message]),
    [
      ['warn', 'the camera is lost; trying again'],
      ['info', 'the camera is back'],
    ],
  );
  assert.deepEqual(lines[0]?.details, {
    camera: 'door',
    source: 'rtsp://…@cam/s',
    code: 'source.frozen',
    reason: 'no frame came',
    fix: undefined,
  });
  const stats = { state: 'open', received: 3, dropped: 0, reopened: 2, problem: null, problemCode: null };
  assert.deepEqual(source.stats(), stats);
  await source.stop();
});

test('a camera that comes and goes is not asked every second', async () => {
  const flapping = Array.from({ length: 8 }, () => [S, 'end'] as const);
  const { source, pauses } = camera(flapping);
  await source.start(new AbortController().signal);
  for (let i = 0; i < 8; i++) await source.next();
  assert.deepEqual(pauses, [1000, 2000, 4000, 8000, 16_000, 32_000, 60_000]);
  await source.stop();
});

test('after a steady time the pauses begin small again', async () => {
  const steady = [...Array.from({ length: 100 }, () => S), 'end' as const];
  const { source, pauses } = camera(['no', 'no', steady, [S]]);
  await source.start(new AbortController().signal);
  for (let i = 0; i < 101; i++) await source.next();
  assert.deepEqual(pauses, [1000, 2000, 1000]);
  await source.stop();
});

test('a frame of another size has a buffer of its size', async () => {
  const { source } = camera([[S, [6, 3], S]]);
  await source.start(new AbortController().signal);
  for (const [width, height] of [S, [6, 3], S] as const) {
    const frame = await source.next();
    assert.deepEqual(
      [frame?.width, frame?.height, frame?.data.length, frame?.format],
      [width, height, width * height * 3, 'bgr24'],
    );
  }
  await source.stop();
});

/** A camera of 8x4 that can be asked for half of it; `gives`: what it does then. */
function resizable(gives: Script) {
  const asked: number[] = [];
  const { logger, lines } = recordingLogger();
  const source = new LiveSource(
    { camera: 'door', label: 'x', freezeAfterMs: 10, backoff: DEFAULT_BACKOFF, reducible: true },
    {
      createStream: (share) => {
        asked.push(share);
        return new ScriptedStream(share < 1 ? gives : [[8, 4] as const, [8, 4] as const]);
      },
      logger,
      pause: async () => {},
      random: () => 0,
    },
  );
  const next = async () => {
    const frame = await source.next();
    return [frame?.width, frame?.reduced];
  };
  return { source, asked, lines, next };
}

test('a hot machine takes smaller frames from a camera that can give them, and it counts as no outage', async () => {
  const { source, asked, lines, next } = resizable([
    [4, 2],
    [4, 2],
  ]);
  await source.start(new AbortController().signal);
  assert.deepEqual(await next(), [8, undefined]);
  source.resize(0.5);
  assert.deepEqual(await next(), [4, 0.5]);
  source.resize(0.5);
  assert.deepEqual(await next(), [4, 0.5]);
  source.resize(1);
  assert.deepEqual(await next(), [8, undefined]);
  assert.deepEqual(asked, [1, 0.5, 1]);
  const { reopened, state, received } = source.stats();
  assert.deepEqual([reopened, state, received], [0, 'open', 4]);
  assert.deepEqual(lines, []);
  await source.stop();
});

test('one that answers with its usual size is looked at as before; one that gives nothing is not asked again', async () => {
  const usual = resizable([[8, 4]]);
  await usual.source.start(new AbortController().signal);
  await usual.next();
  usual.source.resize(0.5);
  assert.deepEqual(await usual.next(), [8, undefined]);
  await usual.source.stop();
  for (const gives of ['no', ['freeze'], ['end']] as const) {
    const { source, asked, lines, next } = resizable(gives);
    await source.start(new AbortController().signal);
    await next();
    source.resize(0.5);
    assert.deepEqual(await next(), [8, undefined]);
    source.resize(0.5);
    assert.deepEqual(await next(), [8, undefined]);
    assert.deepEqual(asked, [1, 0.5, 1]);
    assert.deepEqual(
      lines.map(({ message }) => message),
      ['the camera gives no smaller frames'],
    );
    await source.stop();
  }
});

test('stopping ends a wait with null, by stop() or by the signal', async () => {
  const { source } = camera([[S]]);
  await source.start(new AbortController().signal);
  await source.next();
  const waiting = source.next();
  await source.stop();
  assert.equal(await waiting, null);
  assert.equal(await source.next(), null);
  assert.equal(source.stats().state, 'stopped');

  const abort = new AbortController();
  const other = camera([[]]).source;
  await other.start(abort.signal);
  const second = other.next();
  abort.abort();
  assert.equal(await second, null);
});

test('a driver that hangs costs three threads at most', async () => {
  const scripts = Array.from({ length: 50 }, () => 'hang' as const);
  let created = 0;
  const stop = new AbortController();
  let rounds = 0;
  const source = new LiveSource(
    { camera: 'door', label: 'x', freezeAfterMs: 10, backoff: DEFAULT_BACKOFF },
    {
      createStream: () => new ScriptedStream(scripts[created++] ?? []),
      logger: recordingLogger().logger,
      pause: async () => {
        if (++rounds === 10) stop.abort();
      },
      random: () => 0,
    },
  );
  await source.start(stop.signal);
  assert.equal(await source.next(), null);
  assert.equal(created, 3);
  assert.match(source.stats().problem ?? '', /driver hangs/);
});
