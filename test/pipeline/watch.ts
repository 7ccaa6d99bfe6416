import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import type { Embedding } from '../../src/domain/embedding.js';
import type { Match, PersonRef } from '../../src/domain/person.js';
import { createVision } from '../../src/inference/client.js';
import { modelsDir } from '../../src/inference/model-dir.js';
import { silentLogger } from '../../src/lib/log.js';
import type { CameraStats, Judged, Sighting, Vision, VisionEvents } from '../../src/pipeline/ports.js';
import { Presence } from '../../src/pipeline/presence.js';
import type { CameraView } from '../../src/pipeline/view.js';
import type { CameraSettings, VisionOptions } from '../../src/pipeline/vision-options.js';
import { similarity } from '../../src/vision/similarity.js';
import { withoutData } from '../helpers/data.js';
import { readPhoto } from './clips.js';

const WORKER = new URL('../../src/vision-worker.js', import.meta.url);

/** Use as `skip`: real models and real photographs, or a reason. */
export function withoutModels(): string | false {
  const there = existsSync(join(modelsDir(), 'mobilefacenet.onnx'));
  return there ? withoutData('lfw') : 'needs the models (faced model fetch)';
}

export function openVision(
  t: TestContext,
  cameras: readonly CameraSettings[],
  {
    isolation = 'thread',
    liveness = null,
    analyseQueue,
    silenceMs,
    pausesMs,
    more = {},
  }: {
    isolation?: 'thread' | 'process';
    liveness?: string | null;
    analyseQueue?: number;
    silenceMs?: number;
    pausesMs?: readonly number[];
    more?: Partial<VisionOptions>;
  } = {},
): Vision {
  const vision = createVision({
    isolation,
    workerUrl: WORKER,
    log: silentLogger,
    options: {
      modelsDir: modelsDir(),
      models: { detector: 'ultraface', landmarks: 'landmarks68', recogniser: 'mobilefacenet', liveness },
      cameras,
      logLevel: 'error',
      ...(analyseQueue === undefined ? {} : { analyseQueue }),
      ...more,
    },
    ...(silenceMs === undefined ? {} : { silenceMs }),
    ...(pausesMs === undefined ? {} : { pausesMs }),
  });
  t.after(() => vision.stop());
  return vision;
}

export function once<Name extends keyof VisionEvents>(
  vision: Vision,
  name: Name,
  fits: (payload: VisionEvents[Name]) => boolean = () => true,
): Promise<VisionEvents[Name]> {
  return new Promise((resolve) => {
    const off = vision.on(name, (payload) => {
      if (!fits(payload)) return;
      off();
      resolve(payload);
    });
  });
}

export interface Watched {
  readonly judged: readonly Judged[];
  readonly sightings: readonly Sighting[];
  readonly ended: readonly string[];
  readonly stats: { readonly processed: number; readonly asleep: number; readonly failed: number };
  /** The decisions as short words, in order. */
  readonly said: readonly string[];
}

/** One embedding for each photograph, made once for a test file. */
const taught = new Map<string, Embedding>();

async function learn(
  t: TestContext,
  people: readonly Photo[],
): Promise<{ person: PersonRef; embedding: Embedding }[]> {
  const missing = people.filter(([person, photo]) => !taught.has(`${person} ${photo}`));
  if (missing.length > 0) {
    const teacher = openVision(t, []);
    await teacher.start(AbortSignal.timeout(60_000));
    for (const [person, photo] of missing) {
      const { faces } = await teacher.analyse(readPhoto(person, photo), { largestOnly: true });
      const embedding = faces[0]?.embedding;
      if (embedding == null) throw new Error(`${person} ${photo} cannot be enrolled`);
      taught.set(`${person} ${photo}`, embedding);
    }
    await teacher.stop();
  }
  return people.map(([person, photo]) => {
    const embedding = taught.get(`${person} ${photo}`);
    if (embedding === undefined) throw new Error('not taught');
    return { person: { id: person, name: person }, embedding };
  });
}

export type Photo = readonly [person: string, photo: number];

/** Runs a clip (or folder) to its end with people enrolled from one photograph each. */
export async function watch(t: TestContext, source: string, people: readonly Photo[]): Promise<Watched> {
  const [watched] = await watchAll(t, [{ source, view: {} }], people);
  if (watched === undefined) throw new Error('nothing was watched');
  return watched;
}

/** The same for several cameras of one worker. */
export async function watchAll(
  t: TestContext,
  cameras: readonly { readonly source: string; readonly view: CameraView }[],
  people: readonly Photo[],
): Promise<Watched[]> {
  const gallery = await learn(t, people);
  const vision = openVision(
    t,
    cameras.map((one, index) => ({ ...one, name: String(index) })),
  );
  const presence = new Presence({ policy: () => ({ threshold: 0.42, margin: 0.05, livenessMinimum: null }) });
  const judged: Judged[] = [];
  const sightings: Sighting[] = [];
  const ended: { camera: string; track: string }[] = [];
  const stats = new Map<string, CameraStats>();
  const note = (one: Judged | null): void => {
    if (one !== null) judged.push(one);
  };
  vision.on('sighted', (sighting) => {
    sightings.push(sighting);
    const query = presence.sight(sighting);
    const ranked = gallery
      .map(({ person, embedding }) => ({
        person,
        similarity: query === null ? -1 : similarity(query, embedding),
      }))
      .sort((a, b) => b.similarity - a.similarity);
    const [first, second] = ranked;
    const match: Match | null =
      query === null || first === undefined ? null : { ...first, runnerUp: second?.similarity ?? null };
    note(presence.judge(sighting.track, match));
  });
  vision.on('trackEnded', (one) => {
    ended.push(one);
    note(presence.trackEnded(one));
  });
  vision.on('cameraChanged', (one) => stats.set(one.camera, one));
  const over = once(vision, 'sourcesEnded');
  await vision.start(AbortSignal.timeout(60_000));
  await over;
  await vision.stop();
  return cameras.map((_, index) => {
    const camera = String(index);
    const mine = judged.filter((one) => one.sighting.camera === camera);
    const { processed = 0, asleep = 0, failed = 0 } = stats.get(camera) ?? {};
    return {
      judged: mine,
      sightings: sightings.filter((one) => one.camera === camera),
      ended: ended.filter((one) => one.camera === camera).map((one) => one.track),
      stats: { processed, asleep, failed },
      said: mine.map(({ decision }) => (decision.kind === 'known' ? decision.person.name : decision.kind)),
    };
  });
}
