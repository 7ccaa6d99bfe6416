import type { ModelCard } from '../../inference/card.js';
import { modelsDir } from '../../inference/model-dir.js';
import { OrtRunner } from '../../inference/session.js';
import { ModelStore } from '../../inference/store.js';
import { collectCalibration } from '../../model-tools/faces.js';
import type { CommandIo } from '../command.js';

/** What the model at `path` is fed with on the photographs of `dir`; nothing stays loaded, also when that fails. */
export async function calibrationFor(
  { path, card }: { path: string; card: ModelCard },
  { dir, limit }: { dir: string; limit?: number },
  io: CommandIo,
) {
  const store = new ModelStore({ dir: modelsDir(io.env), logger: io.log, wish: 'float' });
  const runner = await OrtRunner.open(path, card);
  try {
    return await collectCalibration({
      dir,
      store,
      stage: { card, runner },
      ...(limit === undefined ? {} : { limit }),
    });
  } finally {
    await store.releaseAll();
    await runner.release();
  }
}
