import { relative } from 'node:path';
import { FacedError } from '../domain/errors.js';
import { decode, readPicture } from '../image/index.js';
import type { ModelCard } from '../inference/card.js';
import { FOR_PICTURES, type ModelStore, openDetector } from '../inference/index.js';
import { createSession, type Session } from '../inference/raw-session.js';
import { alignFace } from '../pipeline/analyse.js';
import type { FaceDetector } from '../pipeline/ports.js';
import { mainFace } from '../vision/boxes.js';
import { normalise } from '../vision/similarity.js';
import type { EmbeddedSet } from './accuracy.js';
import { feedOf } from './feed.js';

export interface EmbedSetsOptions {
  readonly store: ModelStore;
  /** How pictures are fed to the models. */
  readonly card: ModelCard;
  readonly files: readonly string[];
  /** The folder above the people's; of the demo's photographs, where every face counts, null. */
  readonly root: string | null;
  readonly models: readonly string[];
  /** 2: each crop and its mirror image are added, as at run time; 1: the crop alone. */
  readonly looks: 1 | 2;
  readonly signal: AbortSignal;
  readonly onPicture?: () => void;
}

/**
 * Embeddings of the same crops by several models, the crops made as at run time: of each picture the main face, or, with
 * no root, all of them. Throws `calibration.invalid` where there are fewer than two.
 */
export async function embedSets(options: EmbedSetsOptions): Promise<EmbeddedSet[]> {
  const { store, card, files, root, looks, signal } = options;
  const detector = await openDetector({ store, detector: FOR_PICTURES });
  const sessions = await Promise.all(options.models.map((path) => createSession(path)));
  const rows: Float32Array[][] = sessions.map(() => []);
  const paths: string[] = [];
  try {
    for (const file of files) {
      signal.throwIfAborted();
      options.onPicture?.();
      for (const crop of await cropsOf(detector, file, root !== null)) {
        paths.push(root === null ? String(paths.length) : relative(root, file).replaceAll('\\', '/'));
        for (const [index, session] of sessions.entries())
          rows[index]?.push(await embed(session, card, looks === 1 ? [crop] : [crop, mirrored(crop)]));
      }
    }
  } finally {
    await store.releaseAll();
    for (const session of sessions) await session.release();
  }
  if (paths.length < 2)
    throw new FacedError('calibration.invalid', `${files.length} pictures show ${paths.length} faces`, {
      fix: 'name a folder with a folder of photographs for each person',
    });
  const people = paths.map((path) => path.split('/')[0] ?? path);
  return rows.map((list) => {
    const dimensions = list[0]?.length ?? 0;
    const vectors = new Float32Array(list.length * dimensions);
    list.forEach((row, index) => {
      vectors.set(row, index * dimensions);
    });
    return { paths, people, dimensions, vectors };
  });
}

async function cropsOf(detector: FaceDetector, file: string, mainOnly: boolean): Promise<Uint8Array[]> {
  try {
    const image = decode(await readPicture(file));
    const faces = await detector.detect(image);
    return (mainOnly ? mainFace(faces, image) : faces).map((face) => alignFace(image, face).crop);
  } catch (error) {
    if (error instanceof FacedError && error.code.startsWith('image.')) return [];
    throw error;
  }
}

async function embed(session: Session, card: ModelCard, crops: readonly Uint8Array[]): Promise<Float32Array> {
  let sum: Float32Array | undefined;
  for (const crop of crops) {
    const answer = Object.values(await session.run(feedOf(session, card, crop)))[0]?.data as Float32Array;
    sum = sum === undefined ? Float32Array.from(answer) : sum.map((value, at) => value + (answer[at] ?? 0));
  }
  if (sum !== undefined && normalise(sum)) return sum;
  throw new FacedError('model.run-failed', 'the model answered a vector without direction');
}

/** A 112x112 BGR crop turned round left to right. */
function mirrored(crop: Uint8Array): Uint8Array {
  const side = Math.sqrt(crop.length / 3);
  const turned = new Uint8Array(crop.length);
  for (let y = 0; y < side; y += 1)
    for (let x = 0; x < side; x += 1) {
      const from = (y * side + x) * 3;
      turned.set(crop.subarray(from, from + 3), (y * side + side - 1 - x) * 3);
    }
  return turned;
}

/** Cosines between two sets, row by row. */
export function parity(a: EmbeddedSet, b: EmbeddedSet): { mean: number; least: number } {
  const cosines = a.paths.map((_, row) => {
    let cosine = 0;
    for (let k = row * a.dimensions; k < (row + 1) * a.dimensions; k += 1)
      cosine += (a.vectors[k] ?? 0) * (b.vectors[k] ?? 0);
    return cosine;
  });
  return {
    mean: cosines.reduce((sum, value) => sum + value, 0) / cosines.length,
    least: cosines.reduce((low, value) => Math.min(low, value), 1),
  };
}
