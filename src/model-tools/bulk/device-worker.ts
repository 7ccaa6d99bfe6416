/** A thread of the bulk embedding that owns one device: crops in, embeddings out. */
import { parentPort, workerData } from 'node:worker_threads';
import type { AlignedFace } from '../../domain/face.js';
import type { Device } from '../../inference/device.js';
import { type ModelChoice, ModelStore, openEmbedder } from '../../inference/index.js';
import { channelOf, serve } from '../../lib/rpc.js';
import type { PictureOutcome, PreparedPicture } from './embed-all.js';

const { modelsDir, models, device, batch } = workerData as {
  modelsDir: string;
  models: Partial<ModelChoice>;
  device: Device;
  batch: number;
};
const store = new ModelStore({ dir: modelsDir, runner: { device, maxBatch: batch } });
const opening = openEmbedder({ store, models });
// Its failure is told to whoever calls.
opening.catch(() => undefined);

if (parentPort !== null) serve(channelOf(parentPort), { embed });

async function embed(prepared: readonly PreparedPicture[]): Promise<PictureOutcome[]> {
  const embedder = await opening;
  const found = prepared.filter((picture) => picture.crop !== null);
  // Only the crop is looked at here; where it lay in its picture is of no matter any more.
  const faces = found.map(({ crop, quality }) => ({ crop, quality }) as AlignedFace);
  const embeddings = await embedder.embed(faces);
  return prepared.map((picture): PictureOutcome => {
    if (picture.crop === null) return { vector: null, code: picture.code, reason: picture.reason };
    const embedding = embeddings[found.indexOf(picture)];
    if (embedding === null || embedding === undefined)
      return { vector: null, code: 'model.run-failed', reason: 'the recogniser makes nothing of the face' };
    return { vector: embedding.vector, quality: picture.quality };
  });
}
