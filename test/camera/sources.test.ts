import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { type CameraDeps, createSource } from '../../src/camera/index.js';
import type { Frame } from '../../src/domain/frame.js';
import { encodeJpeg } from '../../src/image/index.js';
import type { FrameSource } from '../../src/pipeline/ports.js';
import { temporaryDir } from '../helpers/dirs.js';
import { at, greyOf, paint, writeClip } from '../helpers/pictures.js';
import { recordingLogger } from '../helpers/recording-logger.js';
import { startRtspServer, withoutRtspServer } from '../helpers/rtsp.js';
import { withOrientation } from '../image/encoded.js';

async function started(
  t: TestContext,
  source: string,
  options: { openTimeoutMs?: number; freezeAfterMs?: number; maxSide?: number; photographs?: string } = {},
  deps: Partial<CameraDeps> = {},
): Promise<FrameSource> {
  const { logger } = recordingLogger();
  const made = await createSource({ name: 'door', source, ...options }, { logger, ...deps });
  t.after(() => made.stop());
  await made.start(new AbortController().signal);
  return made;
}

async function all(source: FrameSource, look: (frame: Frame) => unknown): Promise<unknown[]> {
  const seen: unknown[] = [];
  for (let frame = await source.next(); frame !== null; frame = await source.next()) seen.push(look(frame));
  return seen;
}

test('file: every frame in order, then the end', async (t) => {
  const clip = join(await temporaryDir(t), 'clip.avi');
  writeClip(clip, { frames: 20 });
  const source = await started(t, `file:${clip}`);
  const seen = await all(source, (frame) => [frame.seq, Math.round((at(frame, 50, 50)[0] ?? 0) / 8) * 8]);
  assert.deepEqual(
    seen,
    Array.from({ length: 20 }, (_, index) => [index + 1, greyOf(index)]),
  );
  assert.equal(await source.next(), null);
  assert.deepEqual(source.stats(), {
    state: 'ended',
    received: 20,
    dropped: 0,
    reopened: 0,
    problem: null,
    problemCode: null,
  });
});

test("file: at the clip's own pace", async (t) => {
  const clip = join(await temporaryDir(t), 'clip.avi');
  writeClip(clip, { frames: 15, fps: 30 });
  const source = await started(t, `file:${clip}?pace=real`);
  const times = (await all(source, (frame) => frame.capturedAt.monotonicMs)) as number[];
  const { received, dropped } = source.stats();
  assert.equal(received, 15);
  assert.equal(times.length + dropped, 15);
  // 15 frames at 30 a second last 467 ms between the first and the last; less one frame for the container's rounding.
  assert.ok((times.at(-1) ?? 0) - (times[0] ?? 0) > 350, `${times}`);
});

test('file: what is not there or no video is said at the start', async (t) => {
  const dir = await temporaryDir(t);
  await writeFile(join(dir, 'text.avi'), 'not a video');
  await assert.rejects(started(t, `file:${dir}/none.avi`), {
    code: 'source.open-failed',
    message: /cannot be read/,
  });
  await assert.rejects(started(t, `file:${dir}/text.avi`), {
    code: 'source.open-failed',
    message: /as a video/,
  });
});

test('images: sorted, upright, scaled down, the unreadable left out and said once', async (t) => {
  const dir = await temporaryDir(t);
  const grey = (level: number, width = 32, height = 16) =>
    encodeJpeg(
      paint(width, height, () => [level, level, level]),
      95,
    );
  await writeFile(join(dir, 'c.JPG'), grey(30));
  await writeFile(join(dir, 'a.jpg'), grey(10));
  await writeFile(join(dir, 'b.jpeg'), withOrientation(grey(20), 6));
  await writeFile(join(dir, 'd.jpg'), grey(40, 128, 64));
  await writeFile(join(dir, 'broken.png'), 'no picture');
  await writeFile(join(dir, 'broken2.png'), 'no picture');
  await writeFile(join(dir, 'notes.txt'), 'not looked at');
  const { logger, lines } = recordingLogger();
  const source = await started(t, `images:${dir}`, { maxSide: 64 }, { logger });
  const seen = await all(source, (frame) => [
    Math.round((at(frame, 8, 8)[0] ?? 0) / 10) * 10,
    frame.width,
    frame.height,
    frame.still,
  ]);
  assert.deepEqual(seen, [
    [10, 32, 16, true],
    [20, 16, 32, true],
    [30, 32, 16, true],
    [40, 64, 32, true],
  ]);
  assert.equal(lines.filter(({ level }) => level === 'warn').length, 1);
  assert.deepEqual(source.stats(), {
    state: 'ended',
    received: 4,
    dropped: 0,
    reopened: 0,
    problem: '2 unreadable files were left out',
    problemCode: 'image.unreadable',
  });
});

test('images: a folder that is not there, or holds none', async (t) => {
  const dir = await temporaryDir(t);
  await assert.rejects(started(t, `images:${dir}/none`), { code: 'source.open-failed' });
  await assert.rejects(started(t, `images:${dir}`), {
    code: 'source.open-failed',
    message: /holds no picture/,
  });
});

test('gstreamer: a camera that ends is opened again', async (t) => {
  const pauses: number[] = [];
  const { logger, lines } = recordingLogger();
  const deps = {
    logger,
    pause: async (ms: number) => {
      pauses.push(ms);
    },
    random: () => 0,
  };
  const pipeline = 'videotestsrc num-buffers=2 is-live=true ! video/x-raw,width=64,height=48,framerate=30/1';
  const source = await started(t, `gstreamer:${pipeline}`, {}, deps);
  while (source.stats().reopened < 1) assert.ok(await source.next());
  const frame = await source.next();
  assert.deepEqual([frame?.width, frame?.height], [64, 48]);
  assert.equal(pauses[0], 1000);
  assert.equal(lines[0]?.message, 'the camera is lost; trying again');
  await source.stop();
  assert.equal(await source.next(), null);
});

test('rtsp: frames, an outage said once, and frames again', { skip: withoutRtspServer() }, async (t) => {
  const { logger, lines } = recordingLogger();
  let server = await startRtspServer(t);
  const { port, uri } = server;
  const deps = {
    logger,
    // The pauses are used to bring the server back: no clock is waited for.
    pause: async () => {
      if (lines.length === 1 && source.stats().reopened === 0) server = await startRtspServer(t, port);
    },
  };
  const secret = uri.replace('rtsp://', 'rtsp://user:hunter2@');
  const source: FrameSource = await started(t, secret, { openTimeoutMs: 8000, freezeAfterMs: 1500 }, deps);
  const first = await source.next();
  assert.deepEqual([first?.width, first?.height], [320, 240]);
  for (let i = 0; i < 5; i++) assert.ok(await source.next());
  await server.kill();
  while (source.stats().reopened === 0) assert.ok(await source.next());
  assert.ok(await source.next());
  assert.deepEqual(
    lines.map(({ message }) => message),
    ['the camera is lost; trying again', 'the camera is back'],
  );
  assert.doesNotMatch(JSON.stringify(lines), /hunter2/);
});

test('a source that can never work says so when it is made', async (t) => {
  await assert.rejects(started(t, 'webcam'), { code: 'source.invalid' });
  await assert.rejects(started(t, 'demo'), { code: 'source.open-failed' });
  await assert.rejects(started(t, 'demo', { photographs: await temporaryDir(t) }), {
    code: 'source.open-failed',
  });
});
