import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { ModelCard } from '../../inference/card.js';
import { DEMO_PHOTOS } from '../../inference/fetch.js';
import { modelsDir } from '../../inference/model-dir.js';
import { OrtRunner } from '../../inference/session.js';
import { ModelStore } from '../../inference/store.js';
import { CALIBRATION_FACES, collectCalibration } from '../../model-tools/faces.js';
import type { CommandIo } from '../command.js';

/** The photographs of the demo, each with several faces; null where they have not been fetched. */
export function demoPhotographs(io: CommandIo): { readonly dir: string; readonly files: string[] } | null {
  const dir = join(modelsDir(io.env), 'demo');
  const files = Object.keys(DEMO_PHOTOS.files).map((name) => join(dir, name));
  return files.every((file) => existsSync(file)) ? { dir, files } : null;
}

/** What the model at `path` is fed with on the photographs of `dir`; nothing stays loaded, also when that fails. */
export async function calibrationFor(
  { path, card }: { path: string; card: ModelCard },
  { dir, limit, everyFace = false }: { dir: string; limit?: number; everyFace?: boolean },
  io: CommandIo,
) {
  const store = new ModelStore({ dir: modelsDir(io.env), logger: io.log, wish: 'float' });
  const runner = await OrtRunner.open(path, card);
  const wanted = limit ?? CALIBRATION_FACES;
  const bar = io.progress('calibration', wanted);
  try {
    return await collectCalibration({
      ...{ dir, store, everyFace },
      stage: { card, runner },
      limit: wanted,
      onProgress: () => {
        io.signal.throwIfAborted();
        bar.advance();
      },
    });
  } finally {
    bar.stop();
    await store.releaseAll();
    await runner.release();
  }
}
