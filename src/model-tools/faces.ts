import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { FacedError } from '../domain/errors.js';
import type { AlignedFace, Face } from '../domain/face.js';
import type { Image } from '../domain/frame.js';
import { decode, readPicture } from '../image/index.js';
import type { ModelCard, Role } from '../inference/card.js';
import { CardFaceDetector } from '../inference/detector.js';
import { CardFaceEmbedder } from '../inference/embedder.js';
import { CardLivenessScorer } from '../inference/liveness.js';
import { PointFinder } from '../inference/points.js';
import type { ModelRunner } from '../inference/session.js';
import type { ModelStore } from '../inference/store.js';
import { alignFace } from '../pipeline/analyse.js';
import { area } from '../vision/boxes.js';

/** A model and the session that runs it. */
export interface Stage {
  readonly card: ModelCard;
  readonly runner: ModelRunner;
}

export type Stages = Readonly<Record<Exclude<Role, 'liveness'>, Stage>> & { readonly liveness: Stage | null };

const IDS: Readonly<Record<Role, string>> = {
  detector: 'ultraface',
  landmarks: 'landmarks68',
  recogniser: 'mobilefacenet',
  liveness: 'minifasnet',
};

/** The models that pictures pass through at run time, with some of them replaced by what is being worked on. */
export async function openStages(
  store: ModelStore,
  replaced: Partial<Record<Role, Stage>> = {},
): Promise<Stages> {
  const open = async (role: Role): Promise<Stage> =>
    replaced[role] ?? { card: (await store.card(IDS[role])).card, runner: await store.runner(IDS[role]) };
  return {
    detector: await open('detector'),
    landmarks: await open('landmarks'),
    recogniser: await open('recogniser'),
    liveness: replaced.liveness ?? null,
  };
}

/** What one picture shows: the largest face, as everything at run time sees it. */
export interface LookedAt {
  readonly path: string;
  readonly image: Image;
  readonly faces: readonly Face[];
  /** Null where no face was found. */
  readonly largest: AlignedFace | null;
}

/** Detection and alignment of single pictures, the same code as at run time. */
export class PictureReader {
  readonly #detector: CardFaceDetector;

  constructor(stages: Stages) {
    const points = stages.detector.card.output.form === 'yunet' ? null : new PointFinder(stages.landmarks);
    this.#detector = new CardFaceDetector({ ...stages.detector, points }, { secondLook: true });
  }

  async read(path: string): Promise<LookedAt> {
    const image = decode(await readPicture(path));
    const faces = await this.#detector.detect(image);
    const [largest] = [...faces].sort((a, b) => area(b.box) - area(a.box));
    return { path, image, faces, largest: largest === undefined ? null : alignFace(image, largest) };
  }
}

/** A runner that keeps a copy of every picture that it is shown, up to a limit. */
export class RecordingRunner implements ModelRunner {
  readonly #inner: ModelRunner;
  readonly #limit: number;
  readonly recorded: Float32Array[] = [];

  constructor(inner: ModelRunner, limit: number) {
    this.#inner = inner;
    this.#limit = limit;
  }

  get maxBatch(): number {
    return this.#inner.maxBatch;
  }

  get stride(): number {
    return this.#inner.stride;
  }

  get input(): Float32Array {
    return this.#inner.input;
  }

  run(count: number): Promise<ReadonlyMap<string, Float32Array>> {
    for (let at = 0; at < count && this.recorded.length < this.#limit; at += 1)
      this.recorded.push(this.input.slice(at * this.stride, (at + 1) * this.stride));
    return this.#inner.run(count);
  }

  release(): Promise<void> {
    return this.#inner.release();
  }
}

/**
 * Pictures below a folder, by their path in it, so that the order does not depend on where the folder is. What has a
 * picture's name and is no file (a folder, a pipe that nobody feeds) is none; a link to nothing is one that cannot be read.
 */
export async function pictureFiles(dir: string): Promise<string[]> {
  const info = await stat(dir).catch(() => null);
  if (!info?.isDirectory()) {
    throw new FacedError('usage.not-found', `${dir} is no folder`, { fix: 'name a folder of photographs' });
  }
  const names = await readdir(dir, { recursive: true });
  const paths = names
    .filter((name) => /\.(jpe?g|png|webp|bmp|gif|tiff?|pgm|ppm)$/i.test(name))
    .sort()
    .map((name) => join(dir, name));
  const files: string[] = [];
  for (const path of paths) {
    const found = await stat(path).catch(() => null);
    if (found === null || found.isFile()) files.push(path);
  }
  return files;
}

/** Faces that calibration uses: more change nothing that can be measured. */
export const CALIBRATION_FACES = 256;
/** Fewer than this cannot stand for what a camera sees. */
const TOO_FEW = 8;

export interface Calibration {
  /** One tensor for each face (or picture, for a detector), as the model is shown it at run time. */
  readonly inputs: readonly Float32Array[];
  readonly pictures: number;
  readonly faces: number;
}

/**
 * What a model is shown at run time for the pictures of a folder: each picture passes through the detection and
 * alignment of the pipeline, and what reaches the model is recorded. Of many pictures evenly spaced ones are taken.
 * Throws `calibration.invalid` when there are too few faces.
 */
export async function collectCalibration(options: {
  readonly dir: string;
  readonly store: ModelStore;
  readonly stage: Stage;
  readonly limit?: number;
  /** Not the largest face of each picture alone, but all of them: for few pictures of many people. */
  readonly everyFace?: boolean;
  readonly onProgress?: (done: number, total: number) => void;
}): Promise<Calibration> {
  const { stage, store, limit = CALIBRATION_FACES } = options;
  const files = evenly(await pictureFiles(options.dir), 2 * limit);
  const recorder = new RecordingRunner(stage.runner, limit);
  const role = stage.card.role;
  const stages = await openStages(store, { [role]: { card: stage.card, runner: recorder } });
  const reader = new PictureReader(stages);
  const embedder = role === 'recogniser' ? new CardFaceEmbedder(stages.recogniser, { flip: false }) : null;
  const scorer = stages.liveness === null ? null : new CardLivenessScorer(stages.liveness);
  let [pictures, faces] = [0, 0];
  for (const file of files) {
    if (recorder.recorded.length >= limit) break;
    const seen = await reader.read(file).catch((error: unknown) => {
      if (error instanceof FacedError && error.code.startsWith('image.')) return null;
      throw error;
    });
    pictures += 1;
    options.onProgress?.(pictures, files.length);
    if (seen === null || seen.largest === null) continue;
    const shown = options.everyFace ? seen.faces.map((face) => alignFace(seen.image, face)) : [seen.largest];
    for (const face of shown) {
      faces += 1;
      await embedder?.embed([face]);
      await scorer?.score(seen.image, face.face);
    }
  }
  if (faces < TOO_FEW) {
    throw new FacedError(
      'calibration.invalid',
      `${options.dir} shows ${faces} faces in ${pictures} pictures`,
      {
        fix: `give at least ${TOO_FEW} photographs of different people, better 256, as the camera would see them`,
      },
    );
  }
  return { inputs: recorder.recorded, pictures, faces };
}

/** At most `count` of a list, evenly spaced, the same ones each time. */
export function evenly<T>(list: readonly T[], count: number): T[] {
  if (list.length <= count) return [...list];
  return list.filter(
    (_, at) => Math.floor((at * count) / list.length) !== Math.floor(((at - 1) * count) / list.length),
  );
}
