import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { AlignedFace, Face } from '../../src/domain/face.js';
import type { Frame } from '../../src/domain/frame.js';
import { createImage } from '../../src/image/index.js';
import { TypedEvents } from '../../src/lib/events.js';
import { silentLogger } from '../../src/lib/log.js';
import { CameraLoop, type CameraLoopParts } from '../../src/pipeline/camera-loop.js';
import { Flow } from '../../src/pipeline/flow.js';
import { PACES, type Pace } from '../../src/pipeline/heat-governor.js';
import type { FrameSource, Sighting, VisionEvents } from '../../src/pipeline/ports.js';
import { Presence } from '../../src/pipeline/presence.js';
import { Recognition } from '../../src/pipeline/recognition.js';
import { StageClock } from '../../src/pipeline/stage-clock.js';
import { Tracker } from '../../src/pipeline/tracker.js';
import { Turns } from '../../src/pipeline/turns.js';

const IMAGE = createImage(320, 240, 'bgr24');
for (let at = 0; at < IMAGE.data.length; at++) IMAGE.data[at] = (at * 7919) % 251;

function face(size = 80): Face {
  const at = (x: number, y: number) => ({ x: 100 + x * size, y: 60 + y * size });
  return {
    box: { x: 100, y: 60, width: size, height: size },
    landmarks: [at(0.3, 0.4), at(0.7, 0.4), at(0.5, 0.6), at(0.35, 0.8), at(0.65, 0.8)],
    score: 0.9,
  };
}

/** A loop over frames that are given by their times; the networks are replaced, everything else is real. */
function loopOver(
  times: readonly number[],
  detect: (index: number) => Face[],
  more: Partial<CameraLoopParts> & { next?: () => Promise<Frame | null>; still?: boolean } = {},
) {
  const { next, still = false, ...parts } = more;
  let index = -1;
  const source: FrameSource = {
    camera: 'door',
    start: async () => {},
    stop: async () => {},
    next:
      next ??
      (async () => {
        const mediaMs = times[++index];
        if (mediaMs === undefined) return null;
        return {
          ...IMAGE,
          camera: 'door',
          seq: index + 1,
          capturedAt: { monotonicMs: 0, wallMs: 0 },
          still,
          mediaMs,
        };
      }),
    stats: () => ({ state: 'open', received: 0, dropped: 0, reopened: 0, problem: null, problemCode: null }),
  };
  const events = new TypedEvents<VisionEvents>((error) => assert.fail(String(error)));
  const seen: Sighting[] = [];
  const ended: string[] = [];
  const failures: string[] = [];
  const batches: number[] = [];
  events.on('sighted', (one) => seen.push(one));
  events.on('trackEnded', ({ track }) => ended.push(track));
  const detector = { detect: async () => detect(index) };
  const loop = new CameraLoop({
    source,
    view: {},
    detector,
    stillDetector: detector,
    embedder: {
      model: 'm',
      space: 's',
      embed: async (faces: readonly AlignedFace[]) => {
        batches.push(faces.length);
        return faces.map(() => ({ space: 's', vector: Float32Array.of(1, 0) }));
      },
    },
    liveness: null,
    turns: new Turns(),
    stages: new StageClock(),
    events,
    onFailure: (error) => failures.push(error.message),
    ...parts,
  });
  return { loop, events, seen, ended, failures, batches, run: () => loop.run(new AbortController().signal) };
}

const every = (ms: number, untilMs: number): number[] =>
  Array.from({ length: Math.floor(untilMs / ms) }, (_, index) => index * ms);

test('a face is embedded five times in its first two seconds, then seldom, however many frames there are', async () => {
  const { run, batches, seen, ended } = loopOver(every(40, 13_000), () => [face()]);
  await run();
  assert.equal(batches.length, 6);
  assert.deepEqual([...new Set(seen.map((one) => one.track))], ended);
  assert.ok(seen.every((one) => !one.final && one.poor === null));
});

test('at a slower pace faces that are known already are looked at less often, and a clip as before', async () => {
  const looks = async (pace: Pace, live: boolean) => {
    let count = 0;
    let at = 0;
    const next = async (): Promise<Frame | null> => {
      at += 50;
      if (at > 20_000) return null;
      const frame = { ...IMAGE, camera: 'door', seq: at, still: false };
      return live
        ? { ...frame, capturedAt: { monotonicMs: at, wallMs: 0 } }
        : { ...frame, capturedAt: { monotonicMs: 0, wallMs: 0 }, mediaMs: at };
    };
    const { run, loop } = loopOver(
      [],
      () => {
        count++;
        return [face()];
      },
      { next },
    );
    loop.setPace(pace);
    await run();
    return count;
  };
  const slowest = PACES.at(-1) ?? PACES[0];
  const [full, slow, clip, slowClip] = [
    ...[await looks(PACES[0], true), await looks(slowest, true)],
    ...[await looks(PACES[0], false), await looks(slowest, false)],
  ];
  assert.ok((slow ?? 0) > 0 && (slow ?? 0) < (full ?? 0) / 2, `${slow} of ${full}`);
  assert.equal(slowClip, clip);
});

test('when the frames get smaller nobody of before is followed into them, and the same people are near enough', async () => {
  const asked: (number | undefined)[] = [];
  const small = createImage(160, 120, 'bgr24');
  small.data.set(IMAGE.data.subarray(0, small.data.length));
  let at = 0;
  const { run, loop, ended, seen } = loopOver([], () => [], {
    view: { minFace: 60 },
    detector: {
      detect: async (image, options) => {
        asked.push(options?.minSize);
        return [face(image.width === 320 ? 80 : 40)];
      },
    },
    next: async () => {
      at += 250;
      if (at > 4000) return null;
      const frame = { camera: 'door', seq: at, still: false, capturedAt: { monotonicMs: at, wallMs: 0 } };
      return at <= 2000 ? { ...IMAGE, ...frame } : { ...small, ...frame, reduced: 0.5 };
    },
  });
  loop.setPace({ ...PACES[0], settledEveryMs: 0 });
  await run();
  assert.deepEqual([...new Set(asked)], [60, 30]);
  assert.equal(ended.length, 2, 'one track in each size');
  assert.ok(seen.length > 0);
});

test('a pace with smaller frames is handed on to the camera', async () => {
  const shares: number[] = [];
  const { loop } = loopOver([], () => []);
  assert.doesNotThrow(() => loop.setPace(PACES[0]), 'a source of one size');
  const source: FrameSource = {
    camera: 'door',
    start: async () => {},
    next: async () => null,
    resize: (share) => void shares.push(share),
    stop: async () => {},
    stats: () => ({ state: 'open', received: 0, dropped: 0, reopened: 0, problem: null, problemCode: null }),
  };
  const other = loopOver([], () => [], { source });
  for (const pace of PACES) other.loop.setPace(pace);
  assert.deepEqual(
    shares,
    PACES.map(({ frame }) => frame),
  );
});

test('the error of a frame is counted, and the loop goes on', async () => {
  const { run, loop, failures, seen } = loopOver(every(100, 1000), (index) => {
    if (index === 3 || index === 4) throw new Error('the network stumbled');
    return [face()];
  });
  await run();
  assert.deepEqual(failures, ['the network stumbled', 'the network stumbled']);
  assert.equal(loop.stats().failed, 2);
  assert.equal(loop.stats().processed, 10);
  assert.ok(seen.length >= 2);
});

test('a face of which the recogniser makes nothing is counted; the other one of the frame is seen', async () => {
  const other = { ...face(), box: { x: 220, y: 60, width: 80, height: 80 } };
  const embedder = {
    model: 'm',
    space: 's',
    embed: async (faces: readonly AlignedFace[]) =>
      faces.map((one) => (one.face.box.x > 200 ? null : { space: 's', vector: Float32Array.of(1, 0) })),
  };
  const { run, seen, loop, failures } = loopOver(every(100, 1000), () => [face(), other], { embedder });
  await run();
  assert.deepEqual([...new Set(seen.map((one) => one.box[0]))], [100]);
  assert.ok((loop.stats().unusable ?? 0) >= 2);
  assert.deepEqual(failures, []);
});

test('a face that is never good enough is one poor sighting at the end', async () => {
  const { run, seen, ended, batches } = loopOver(every(100, 1000), () => [face(20)]);
  await run();
  assert.equal(batches.length, 0);
  assert.equal(seen.length, 1);
  assert.deepEqual([seen[0]?.poor, seen[0]?.final, seen[0]?.embedding], ['too-small', true, null]);
  assert.deepEqual(ended, [seen[0]?.track]);
});

test('faces of one frame share a run, and each picture that stands for itself is final', async () => {
  const two = [face(), { ...face(), box: { x: 10, y: 10, width: 70, height: 70 } }];
  const { run, seen, ended, batches } = loopOver([0, 0], () => two, { still: true });
  await run();
  assert.deepEqual(batches, [2, 2]);
  assert.ok(seen.every((one) => one.final && one.still === true));
  assert.deepEqual(
    ended,
    seen.map((one) => one.track),
  );
  assert.equal(new Set(ended).size, 4);
});

test('a track whose last shot comes to nothing ends all the same', async () => {
  // Two faces, both too small for a shot at once and gone before the time to wait for a better one is over.
  const failing = {
    model: 'm',
    space: 's',
    embed: async (): Promise<never> => {
      throw new Error('the network stumbled');
    },
  };
  const { run, ended, failures, loop } = loopOver(
    [0, 70, 140, 3000],
    (index) => (index < 3 ? [face(40), { ...face(40), box: { x: 220, y: 60, width: 40, height: 40 } }] : []),
    { embedder: failing },
  );
  await run();
  assert.equal(failures.length, 2);
  assert.equal(loop.stats().failed, 2);
  assert.equal(ended.length, 2);
});

test('two who were mixed up are put right once, though both are looked at in the same frame', async () => {
  const [left, right] = [face(), { ...face(), box: { x: 220, y: 60, width: 80, height: 80 } }];
  // From 1 s on each stands where the other was.
  const crossed = (index: number): boolean => index >= 10;
  let now = 0;
  const embedder = {
    model: 'm',
    space: 's',
    embed: async (faces: readonly AlignedFace[]) =>
      faces.map((one) => ({
        space: 's',
        vector: one.face.box.x > 200 === crossed(now) ? Float32Array.of(1, 0) : Float32Array.of(0, 1),
      })),
  };
  const { run, seen } = loopOver(
    every(100, 3000),
    (index) => {
      now = index;
      return [left, right];
    },
    { embedder },
  );
  const exchanges: string[] = [];
  const identify = Tracker.prototype.identify;
  Tracker.prototype.identify = function (id, embedding, weight) {
    const identity = identify.call(this, id, embedding, weight);
    if (identity?.kind === 'exchanged') exchanges.push(identity.track);
    return identity;
  };
  try {
    await run();
  } finally {
    Tracker.prototype.identify = identify;
  }
  assert.equal(exchanges.length, 1);
  const owners = new Map<string, number>();
  for (const { track, embedding } of seen) {
    const first = embedding?.vector[0] ?? -1;
    assert.equal(owners.get(track) ?? first, first);
    owners.set(track, first);
  }
  assert.equal(owners.size, 2);
});

test('two in one frame are in view together, also when the network takes them for one', async () => {
  const other = { ...face(), box: { x: 220, y: 60, width: 80, height: 80 } };
  const { run, seen } = loopOver(every(100, 4000), (index) => {
    // The second comes later, and the first is hidden for the last second.
    if (index < 10) return [face()];
    return index < 30 ? [face(), other] : [other];
  });
  await run();
  const tracks = [...new Set(seen.map((one) => one.track))];
  assert.equal(
    tracks.length,
    2,
    'the one who came later does not take up the track of the one who was there',
  );
  const [first, second] = tracks;
  assert.deepEqual(seen.find((one) => one.track === first)?.alongside, undefined);
  assert.ok(seen.some((one) => one.track === first && one.alongside?.[0] === second));
  assert.ok(seen.every((one) => one.track !== second || one.alongside?.[0] === first));
});

test('a folder waits for a slow gallery: every face of it is decided', async () => {
  const flow = new Flow();
  const { run, events, loop } = loopOver(every(1, 400), () => [face()], { still: true, flow });
  let decided = 0;
  const recognition = new Recognition({
    presence: new Presence({ policy: () => ({ threshold: 0.4, margin: 0.05, livenessMinimum: null }) }),
    store: {
      search: async (wanted) => {
        for (let turn = 0; turn < 5; turn++) await new Promise((resolve) => setImmediate(resolve));
        return wanted.map(() => null);
      },
      recordEvent: async () => {},
    },
    ready: Promise.resolve(),
    context: { device: 'd', model: 'm' },
    log: silentLogger,
    messages: () => [],
    onEvent: () => decided++,
    onJudged: () => flow.judged(1),
  });
  events.on('sighted', (sighting) => {
    flow.sent();
    recognition.sighted(sighting);
  });
  events.on('trackEnded', (track) => recognition.trackEnded(track));
  await run();
  await recognition.settled();
  assert.equal(recognition.stats().dropped, 0);
  assert.equal(decided, 400);
  assert.equal(loop.stats().processed, 400);
});

test('a clip that waits is not frozen, and a stop ends the waiting', async () => {
  const flow = new Flow();
  const stop = new AbortController();
  const { loop, events, ended } = loopOver(every(100, 1000), () => [face()], { flow, silenceMs: 0 });
  for (let index = 0; index < 7; index++) flow.sent();
  const sighted = new Promise((resolve) => events.on('sighted', resolve));
  events.on('sighted', () => flow.sent());
  const over = loop.run(stop.signal);
  await sighted;
  for (let turn = 0; turn < 5; turn++) await new Promise((resolve) => setImmediate(resolve));
  loop.tick();
  await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual(ended, []);
  assert.ok(loop.stats().processed < 10);
  stop.abort();
  await over;
  assert.equal(ended.length, 1);
});

test('a clip that begins anew has new tracks', async () => {
  const { run, ended } = loopOver([...every(100, 1000), ...every(100, 1000)], () => [face()]);
  await run();
  assert.equal(new Set(ended).size, 2);
});

test('when a camera freezes, whoever was in view has left', async () => {
  const waiting: ((frame: Frame | null) => void)[] = [];
  const next = () => new Promise<Frame | null>((resolve) => waiting.push(resolve));
  const { loop, events, run } = loopOver([], () => [face()], { next, silenceMs: 0 });
  const left = new Promise<string>((resolve) => events.on('trackEnded', ({ track }) => resolve(track)));
  const sighted = new Promise<string>((resolve) => events.on('sighted', ({ track }) => resolve(track)));
  const over = run();
  for (let mediaMs = 0; mediaMs < 300; mediaMs += 100) {
    while (waiting.length === 0) await new Promise((resolve) => setImmediate(resolve));
    const capturedAt = { monotonicMs: mediaMs, wallMs: 0 };
    waiting.shift()?.({ ...IMAGE, camera: 'door', seq: 1, capturedAt, still: false });
  }
  const track = await sighted;
  loop.tick();
  assert.equal(await left, track);
  while (waiting.length === 0) await new Promise((resolve) => setImmediate(resolve));
  waiting.shift()?.(null);
  await over;
});

test('a snapshot is the next frame; after the end there is none', async () => {
  const { loop, run } = loopOver(every(100, 500), () => []);
  const [snapshot] = await Promise.all([loop.snapshot(), run()]);
  assert.deepEqual([...(snapshot?.subarray(0, 2) ?? [])], [0xff, 0xd8]);
  assert.equal(await loop.snapshot(), null);
});
