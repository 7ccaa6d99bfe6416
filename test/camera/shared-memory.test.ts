import assert from 'node:assert/strict';
import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { createSource } from '../../src/camera/index.js';
import type { FrameSource } from '../../src/pipeline/ports.js';
import { ROOT } from '../helpers/data.js';
import { temporaryDir } from '../helpers/dirs.js';
import { recordingLogger } from '../helpers/recording-logger.js';

/** The Jetson's camera by its host's own script, with a test picture in the camera's place. */
const SCRIPT = join(ROOT, 'deploy', 'jetson', 'csi.sh');
const skip =
  spawnSync('gst-inspect-1.0', ['shmsink']).status === 0
    ? false
    : 'needs Debian packages gstreamer1.0-tools and gstreamer1.0-plugins-bad';

interface Size {
  readonly width: number;
  readonly height: number;
}

const SMALL: Size = { width: 320, height: 240 };
const options = (socket: string, { width, height }: Size) => [
  ...['--socket', socket, '--width', String(width), '--height', String(height), '--fps', '30'],
];

/** Resolves when it sends. */
async function sender(t: TestContext, socket: string): Promise<ChildProcess> {
  await rm(socket, { force: true });
  const child = spawn('bash', [SCRIPT, '--test', ...options(socket, SMALL)], { stdio: 'ignore' });
  t.after(() => child.kill('SIGKILL'));
  while (!existsSync(socket)) {
    assert.equal(child.exitCode, null);
    await sleep(20);
  }
  return child;
}

async function kill(child: ChildProcess): Promise<void> {
  child.kill('SIGKILL');
  await once(child, 'exit');
}

async function camera(t: TestContext, socket: string) {
  const source = execFileSync('bash', [SCRIPT, '--source', ...options(socket, SMALL)], { encoding: 'utf8' });
  const { logger, lines } = recordingLogger();
  const made = await createSource(
    { name: 'door', source: source.trim() },
    // Looked for again soon, so that nobody waits for the growing pauses.
    { logger, pause: (_ms, signal) => sleep(50, undefined, { signal }).catch(() => {}) },
  );
  t.after(() => made.stop());
  await made.start(new AbortController().signal);
  return { source: made, lines };
}

/** Frames until one satisfies. */
async function until(source: FrameSource, satisfied: () => boolean): Promise<void> {
  for (;;) {
    const frame = await source.next();
    assert.ok(frame !== null);
    assert.deepEqual([frame.width, frame.height], [SMALL.width, SMALL.height]);
    // videotestsrc's ball is white on black.
    assert.ok(frame.data.some((value) => value > 200) && frame.data.some((value) => value < 50));
    if (satisfied()) return;
  }
}

test('pictures from the host: its sender is killed, leaves its socket, and comes back', {
  skip,
}, async (t) => {
  const socket = join(await temporaryDir(t), 'camera.sock');
  const first = await sender(t, socket);
  const { source, lines } = await camera(t, socket);
  await until(source, () => source.stats().received >= 3);
  const before = source.stats();
  assert.equal(before.state, 'open');

  await kill(first);
  // What it left behind is a socket at which nobody listens; the next one takes its place.
  assert.ok((await stat(socket)).isSocket());
  const waiting = source.next();
  while (source.stats().problem === null) await sleep(20);
  await sender(t, socket);
  assert.ok((await waiting) !== null);
  await until(source, () => source.stats().received >= before.received + 3);
  assert.ok(source.stats().reopened > before.reopened);
  assert.deepEqual(
    lines.slice(-2).map(({ message }) => message),
    ['the camera is lost; trying again', 'the camera is back'],
  );

  // Whoever looks slowly sees the newest, and what went by is counted.
  while (source.stats().dropped === 0) {
    await sleep(100);
    await source.next();
  }
});

test('that nobody sends is said by code, with what to do', { skip }, async (t) => {
  const socket = join(await temporaryDir(t), 'camera.sock');
  const { source, lines } = await camera(t, socket);
  const waiting = source.next();
  while (source.stats().problemCode === null) await sleep(20);
  assert.equal(source.stats().problemCode, 'source.no-device');
  assert.match(source.stats().problem ?? '', /no sender has opened .*camera\.sock/);
  assert.match(String(lines[0]?.details.fix), /systemctl status faced-csi/);
  await source.stop();
  assert.equal(await waiting, null);
});

test('each size has a socket of its own, so a sender of another size is none', () => {
  const say = (...argv: string[]) =>
    execFileSync('bash', [SCRIPT, '--source', ...argv], { encoding: 'utf8' });
  assert.match(say(), /socket-path=\/run\/faced-csi\/1280x720\.sock .*width=1280,height=720,/);
  assert.match(
    say('--width', '640', '--height', '480'),
    /socket-path=\/run\/faced-csi\/640x480\.sock .*width=640,height=480,/,
  );
});
