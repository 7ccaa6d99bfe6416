/**
 * What a frame costs on one thread: `node dist/bench/frame.js [--json]`. Needs the models and the demo's photographs
 * (`faced model fetch`). All figures are milliseconds of CPU of the whole process, so that a
 * busy machine disturbs them less than a clock would.
 */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createSource } from '../src/camera/index.js';
import { FacedError } from '../src/domain/errors.js';
import type { Frame } from '../src/domain/frame.js';
import { createImage, decode, resizeInto, VideoWriter, type WritableImage } from '../src/image/index.js';
import { type FaceModels, ModelStore, modelsDir, openModels } from '../src/inference/index.js';
import { TypedEvents } from '../src/lib/events.js';
import { silentLogger } from '../src/lib/log.js';
import { alignFace } from '../src/pipeline/analyse.js';
import { CameraLoop } from '../src/pipeline/camera-loop.js';
import { FrameView } from '../src/pipeline/frame-view.js';
import { MotionGate, THUMBNAIL_HEIGHT, THUMBNAIL_WIDTH } from '../src/pipeline/motion.js';
import type { FrameSource, VisionEvents } from '../src/pipeline/ports.js';
import { StageClock } from '../src/pipeline/stage-clock.js';
import { Turns } from '../src/pipeline/turns.js';
import { type CameraView, watchedPixels } from '../src/pipeline/view.js';

const WIDTH = 640;
const HEIGHT = 480;
const FACE = 110;
const ROUNDS = 60;

const store = new ModelStore({ dir: modelsDir() });
const models = await openModels({ store, models: { liveness: 'minifasnet' } });
const plain = await openModels({ store, embedder: { flip: false } });
const photo = await cutOut(join(modelsDir(), 'demo', 'sample1.jpg'));

const report = {
  stagesMs: await stages(),
  trackedClip: { fps10: await tracked(10), fps25: await tracked(25) },
  emptyView: await empty(),
};
if (process.argv.includes('--json')) console.log(JSON.stringify(report));
else {
  console.log(`640x480, one face of ${FACE} pixels, medians of ${ROUNDS}, ms of CPU`);
  console.table(report.stagesMs);
  console.log('a clip with one person, 20 s; ms of CPU a frame');
  console.table(report.trackedClip);
  console.log('an empty view at 10 frames a second, reading included');
  console.table(report.emptyView);
}

/** The largest face of a photograph with what is around it, so that the face has {@link FACE} pixels. */
async function cutOut(path: string): Promise<WritableImage> {
  const picture = decode(readFileSync(path));
  const faces = await models.detector.detect(picture);
  const [face] = faces.sort((a, b) => b.box.width - a.box.width);
  if (face === undefined) throw new FacedError('usage.not-found', `${path} shows no face`);
  const scale = FACE / Math.min(face.box.width, face.box.height);
  const side = FACE * 2.2;
  const target = createImage(Math.round(side), Math.round(side), 'bgr24');
  const [x, y] = [face.box.x + face.box.width / 2, face.box.y + face.box.height / 2];
  const reach = side / scale;
  resizeInto(picture, target, { roi: { x: x - reach / 2, y: y - reach / 2, width: reach, height: reach } });
  return target;
}

/** A wall with noise, and the photograph before it where `left` says. */
function paint(target: WritableImage, seed: number, left: number | null): void {
  let state = seed + 1;
  for (let at = 0; at < target.data.length; at++) {
    state = (Math.imul(state, 1103515245) + 12345) & 0x7fffffff;
    target.data[at] = 120 + ((state >> 16) & 3);
  }
  if (left === null) return;
  for (let row = 0; row < photo.height; row++) {
    const from = row * photo.width * 3;
    const at = ((100 + row) * WIDTH + Math.round(left)) * 3;
    target.data.set(photo.data.subarray(from, from + photo.width * 3), at);
  }
}

async function stages(): Promise<Record<string, number>> {
  const view = new FrameView({});
  const gate = new MotionGate({
    threshold: 0.002,
    lookEveryMs: 2000,
    holdMs: 1000,
    watched: watchedPixels({}, THUMBNAIL_WIDTH, THUMBNAIL_HEIGHT),
  });
  const image = createImage(WIDTH, HEIGHT, 'bgr24');
  const crop = new Uint8Array(112 * 112 * 3);
  const times = new Map<string, number[]>();
  const time = async <Result>(stage: string, work: () => Result | Promise<Result>): Promise<Result> => {
    const before = process.cpuUsage();
    const result = await work();
    const list = times.get(stage) ?? [];
    times.set(stage, list);
    list.push(spent(before));
    return result;
  };
  for (let round = 0; round < ROUNDS; round++) {
    paint(image, round, 100 + round);
    await time('motion', () => gate.look(view.thumbnail(image), round * 100, true));
    const [face] = await time('detect (boxes and points)', () => models.detector.detect(image));
    if (face === undefined) throw new FacedError('internal', 'the face of the bench was not found');
    const aligned = await time('align and quality', () => alignFace(image, face, crop));
    await time('embed', () => plain.embedder.embed([aligned]));
    await time('embed with the mirror image', () => models.embedder.embed([aligned]));
    await time('liveness', () => models.liveness?.score(image, face));
  }
  const medians = Object.fromEntries([...times].map(([stage, list]) => [stage, median(list)]));
  const full = ['motion', 'detect (boxes and points)', 'align and quality', 'embed with the mirror image'];
  const whole = full.reduce((sum, stage) => sum + (medians[stage] ?? 0), 0);
  return { ...medians, 'whole, without liveness': round3(whole) };
}

/** The loop over 20 s of one person who walks slowly through the view; frames are painted outside of what is counted. */
async function tracked(fps: number): Promise<{ cpuMs: number; frames: number; embedded: number }> {
  const frames = 20 * fps;
  let cpu = 0;
  let before = process.cpuUsage();
  const image = createImage(WIDTH, HEIGHT, 'bgr24');
  let seq = 0;
  const source = memorySource(() => {
    if (seq > 0) cpu += spent(before);
    if (seq === frames) return null;
    seq++;
    const nowMs = (seq * 1000) / fps;
    paint(image, seq, 60 + (seq * 200) / frames);
    const capturedAt = { monotonicMs: nowMs, wallMs: nowMs };
    before = process.cpuUsage();
    return { ...image, camera: 'bench', seq, capturedAt, still: false, mediaMs: nowMs };
  });
  let embedded = 0;
  await loopOver(source, {}, () => embedded++);
  return { cpuMs: round3(cpu / frames), frames, embedded };
}

/** The loop over a Motion JPEG clip of nothing, read by the file source: reading, motion, and a look every two seconds. */
async function empty(): Promise<{ cpuMsAFrame: number; shareOfACoreAt10Fps: string; looks: number }> {
  const dir = mkdtempSync(join(tmpdir(), 'faced-bench-'));
  try {
    const path = join(dir, 'empty.avi');
    const frames = 300;
    const writer = new VideoWriter(path, { width: WIDTH, height: HEIGHT, fps: 10 });
    const image = createImage(WIDTH, HEIGHT, 'bgr24');
    for (let index = 0; index < frames; index++) {
      if (index < 8) paint(image, index, null);
      writer.write(image);
    }
    writer.close();
    const source = await createSource({ name: 'bench', source: `file:${path}` }, { logger: silentLogger });
    await source.start(new AbortController().signal);
    const before = process.cpuUsage();
    const loop = await loopOver(source, {}, () => {});
    const cpuMs = spent(before) / frames;
    const { processed, asleep } = loop.stats();
    return {
      cpuMsAFrame: round3(cpuMs),
      shareOfACoreAt10Fps: `${round3(cpuMs)} %`,
      looks: processed - asleep,
    };
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

async function loopOver(source: FrameSource, view: CameraView, onSighted: () => void): Promise<CameraLoop> {
  const fail = (error: unknown): void => {
    throw error;
  };
  const events = new TypedEvents<VisionEvents>(fail);
  events.on('sighted', onSighted);
  const { detector, embedder }: FaceModels = models;
  const loop = new CameraLoop({
    source,
    view,
    detector,
    stillDetector: detector,
    embedder,
    liveness: null,
    turns: new Turns(),
    stages: new StageClock(),
    events,
    onFailure: fail,
  });
  await loop.run(new AbortController().signal);
  return loop;
}

function memorySource(next: () => Frame | null): FrameSource {
  const stats = {
    state: 'open',
    received: 0,
    dropped: 0,
    reopened: 0,
    problem: null,
    problemCode: null,
  } as const;
  return {
    camera: 'bench',
    start: async () => {},
    stop: async () => {},
    next: async () => next(),
    stats: () => stats,
  };
}

function spent(before: NodeJS.CpuUsage): number {
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1000;
}

function median(list: readonly number[]): number {
  const sorted = [...list].sort((a, b) => a - b);
  return round3(sorted[Math.floor(sorted.length / 2)] ?? 0);
}

function round3(value: number): number {
  return Math.round(value * 1000) / 1000;
}
