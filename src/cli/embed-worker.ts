import { parentPort, workerData } from 'node:worker_threads';
import { FacedError } from '../domain/errors.js';
import { ModelStore, openModels } from '../inference/index.js';
import { openStages, PictureReader } from '../model-tools/faces.js';

/** One worker of `faced embed`: pictures in, embeddings of their largest faces out, in the order of the message. */
const { modelsDir } = workerData as { modelsDir: string };
const store = new ModelStore({ dir: modelsDir });
const reader = new PictureReader(await openStages(store));
const { embedder } = await openModels({ store });

parentPort?.on('message', (task: { first: number; files: readonly string[] }) => {
  void embedAll(task);
});

async function embedAll({ first, files }: { first: number; files: readonly string[] }): Promise<void> {
  const found: { at: number; vector: Float32Array }[] = [];
  const failed: { at: number; code: string }[] = [];
  const faces = [];
  for (const [index, file] of files.entries()) {
    try {
      const { largest } = await reader.read(file);
      if (largest === null) failed.push({ at: first + index, code: 'enroll.no-face' });
      else faces.push({ at: first + index, largest });
    } catch (error) {
      failed.push({ at: first + index, code: FacedError.from(error).code });
    }
  }
  // All faces of the message share the runs of the embedder.
  const embeddings = await embedder.embed(faces.map(({ largest }) => largest));
  for (const [index, { at }] of faces.entries()) {
    const vector = embeddings[index]?.vector;
    if (vector !== undefined) found.push({ at, vector });
  }
  parentPort?.postMessage({ found, failed });
}
