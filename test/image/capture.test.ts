import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { open, truncate } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { FacedError } from '../../src/domain/errors.js';
import { Capture, type CaptureOptions, createImage } from '../../src/image/index.js';
import { temporaryDir } from '../helpers/dirs.js';
import { at, greyOf, writeClip } from '../helpers/pictures.js';

const BALL =
  'videotestsrc is-live=true pattern=ball ! video/x-raw,width=320,height=240,framerate=30/1 ! ' +
  'videoconvert ! video/x-raw,format=BGR ! appsink drop=true max-buffers=1';
const wait = (timeoutMs = 5000, signal = new AbortController().signal) => ({ timeoutMs, signal });

async function opened(t: TestContext, options: Partial<CaptureOptions>): Promise<Capture> {
  const capture = new Capture({
    uri: BALL,
    api: 'gstreamer',
    delivery: 'newest',
    openTimeoutMs: 5000,
    readTimeoutMs: 5000,
    ...options,
  });
  t.after(() => capture.stop());
  await capture.open(new AbortController().signal);
  return capture;
}

async function numbersOf(capture: Capture): Promise<number[]> {
  const buffer = createImage(160, 120, 'bgr24');
  const numbers: number[] = [];
  for (;;) {
    const frame = await capture.next(wait());
    if (frame === null) return numbers;
    capture.readInto(buffer);
    const [blue = 0] = at(buffer, 80, 60);
    // JPEG moves a flat grey by a level or two.
    numbers.push(Math.round(blue / 8));
  }
}

test('a clip gives every frame, in order, to a reader of any pace', async (t) => {
  const clip = join(await temporaryDir(t), 'clip.avi');
  writeClip(clip, { frames: 30 });
  const capture = await opened(t, { uri: clip, api: 'ffmpeg', delivery: 'every' });
  const expected = Array.from({ length: 30 }, (_, index) => greyOf(index) / 8);
  assert.deepEqual(await numbersOf(capture), expected);
  assert.deepEqual(capture.counts, { received: 30, dropped: 0 });
});

test('a clip that was cut off ends after what can be read', async (t) => {
  const clip = join(await temporaryDir(t), 'clip.avi');
  writeClip(clip, { frames: 30 });
  const file = await open(clip);
  const { size } = await file.stat();
  await file.close();
  await truncate(clip, Math.floor(size / 2));
  const capture = await opened(t, { uri: clip, api: 'ffmpeg', delivery: 'every' });
  const numbers = await numbersOf(capture);
  assert.ok(numbers.length > 5 && numbers.length < 30, `${numbers.length} frames`);
  assert.deepEqual(
    numbers.slice(0, 5),
    [0, 1, 2, 3, 4].map((index) => greyOf(index) / 8),
  );
});

test('the newest frame wins and the others are counted', async (t) => {
  const capture = await opened(t, {});
  const first = await capture.next(wait());
  assert.ok(first);
  // Until the camera has delivered five more that nobody takes.
  while (capture.counts.received < first.seq + 5) await new Promise((resolve) => setTimeout(resolve, 10));
  const second = await capture.next(wait());
  assert.ok(second);
  assert.ok(second.seq >= first.seq + 5, `${first.seq}, ${second.seq}`);
  assert.ok(capture.counts.dropped >= 4);
  assert.ok(second.capturedAt.monotonicMs > first.capturedAt.monotonicMs);
  assert.ok(Math.abs(second.capturedAt.wallMs - Date.now()) < 5000);
  assert.ok(Math.abs(second.capturedAt.monotonicMs - Number(process.hrtime.bigint()) / 1e6) < 5000);
});

test('frames above the highest rate are dropped before they are decoded', async (t) => {
  const capture = await opened(t, { maxFps: 5 });
  const first = await capture.next(wait());
  const second = await capture.next(wait());
  assert.ok(first && second);
  const gap = second.capturedAt.monotonicMs - first.capturedAt.monotonicMs;
  assert.ok(gap >= 195, `${gap} ms`);
  assert.ok(second.seq - first.seq >= 5, `${first.seq}, ${second.seq}`);
});

test('a grey camera is given as BGR', async (t) => {
  const uri = BALL.replace('format=BGR', 'format=GRAY8').replace('pattern=ball', 'pattern=white');
  const capture = await opened(t, { uri });
  assert.ok(await capture.next(wait()));
  const image = createImage(320, 240, 'bgr24');
  capture.readInto(image);
  const [blue = 0, green = 0, red = 0] = at(image, 10, 10);
  assert.ok(blue > 230 && blue === green && green === red);
});

test('two cameras at once', async (t) => {
  const captures = await Promise.all([opened(t, {}), opened(t, {})]);
  for (let round = 0; round < 5; round++) {
    const frames = await Promise.all(captures.map((capture) => capture.next(wait())));
    assert.ok(frames.every((frame) => frame !== null));
  }
});

test('a silent address fails within its time, and other work goes on meanwhile', async (t) => {
  const silent = createServer(() => {});
  silent.listen(0, '127.0.0.1');
  await once(silent, 'listening');
  t.after(() => silent.close());
  const { port } = silent.address() as { port: number };
  const capture = new Capture({
    uri: `rtsp://127.0.0.1:${port}/stream`,
    api: 'ffmpeg',
    delivery: 'newest',
    openTimeoutMs: 400,
    readTimeoutMs: 400,
  });
  t.after(() => capture.stop());
  let turns = 0;
  const counter = setInterval(() => turns++, 5);
  t.after(() => clearInterval(counter));
  await assert.rejects(capture.open(new AbortController().signal), { code: 'source.open-failed' });
  assert.ok(turns > 20, `the event loop turned ${turns} times`);
  await capture.stop();
  assert.equal(capture.released, true);
});

test('stop during open, during a wait, twice, and before anything', async (t) => {
  const abort = new AbortController();
  const silent = createServer(() => {});
  silent.listen(0, '127.0.0.1');
  await once(silent, 'listening');
  t.after(() => silent.close());
  const { port } = silent.address() as { port: number };
  const uri = `rtsp://127.0.0.1:${port}/stream`;
  const opening = new Capture({
    uri,
    api: 'ffmpeg',
    delivery: 'newest',
    openTimeoutMs: 1000,
    readTimeoutMs: 1000,
  });
  const outcome = assert.rejects(opening.open(abort.signal), /stopped while it opened/);
  abort.abort();
  await outcome;
  await opening.stop();
  await opening.stop();

  const waiting = await opened(t, {
    uri: `${BALL.replace('videotestsrc', 'videotestsrc num-buffers=1')}`,
    delivery: 'newest',
  });
  await waiting.next(wait());
  const next = waiting.next(wait());
  await waiting.stop();
  assert.equal(await next, null);

  await new Capture({
    uri,
    api: 'ffmpeg',
    delivery: 'newest',
    openTimeoutMs: 1,
    readTimeoutMs: 1,
  }).stop();
});

test('wrong arguments are errors, not crashes', async (t) => {
  const signal = new AbortController().signal;
  const bad = (options: object) => new Capture(options as CaptureOptions).open(signal);
  await assert.rejects(bad({}), /uri must be a string/);
  const good = { uri: BALL, api: 'gstreamer', delivery: 'newest', openTimeoutMs: 1000, readTimeoutMs: 1000 };
  await assert.rejects(bad({ ...good, api: 'directshow' }), /api must be/);
  await assert.rejects(bad({ ...good, delivery: 'oldest' }), /delivery must be/);
  await assert.rejects(bad({ ...good, api: 'ffmpeg', openTimeoutMs: -1 }), /openTimeoutMs/);
  await assert.rejects(bad({ ...good, uri: 'no such element ! appsink' }), { code: 'source.open-failed' });
  const capture = await opened(t, {});
  assert.throws(() => capture.readInto(createImage(320, 240, 'bgr24')), /no frame was taken/);
  await capture.next(wait());
  assert.throws(() => capture.readInto(createImage(10, 10, 'bgr24')), /size of the frame/);
  assert.throws(() => capture.readInto(createImage(320, 240, 'gray8')), /size of the frame/);
});

test('a stream that stands still is frozen', async (t) => {
  // valve lets nothing through.
  const uri = BALL.replace(' ! videoconvert', ' ! valve name=v drop=false ! videoconvert');
  const capture = await opened(t, { uri: uri.replace('is-live=true', 'is-live=true num-buffers=1') });
  await capture.next(wait());
  // The stream's end is an end, not a freeze.
  assert.equal(await capture.next(wait()), null);
  const slow = await opened(t, { uri: BALL.replace('30/1', '1/2') });
  await slow.next(wait());
  await assert.rejects(
    slow.next(wait(50)),
    (error) => error instanceof FacedError && error.code === 'source.frozen',
  );
});

test('memory stays flat over thousands of frames', async (t) => {
  const clip = join(await temporaryDir(t), 'clip.avi');
  writeClip(clip, { frames: 50, width: 320, height: 240 });
  const buffer = createImage(320, 240, 'bgr24');
  const readAll = async () => {
    const capture = await opened(t, { uri: clip, api: 'ffmpeg', delivery: 'every' });
    while ((await capture.next(wait())) !== null) {
      for (let again = 0; again < 10; again++) capture.readInto(buffer);
    }
    await capture.stop();
  };
  for (let round = 0; round < 5; round++) await readAll();
  const before = process.memoryUsage().rss;
  for (let round = 0; round < 20; round++) await readAll();
  const grown = (process.memoryUsage().rss - before) / 2 ** 20;
  // 10,000 reads of 230 kB are 2.3 GB: a leak of one in a hundred would show.
  assert.ok(grown < 20, `${grown.toFixed(1)} MB more`);
});

for (const ending of ['terminate', 'exit', 'return'] as const) {
  test(`the process ends cleanly while a capture runs: ${ending}`, async () => {
    const child = spawn(process.execPath, [join(import.meta.dirname, 'capturing-worker.js'), ending], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    let output = '';
    child.stdout.on('data', (data) => {
      output += data;
    });
    const [code, signal] = await once(child, 'exit');
    assert.deepEqual([code, signal, output.trim()], [0, null, 'captured']);
  });
}
