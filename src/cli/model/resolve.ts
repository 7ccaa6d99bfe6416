import { existsSync } from 'node:fs';
import { basename } from 'node:path';
import { FacedError } from '../../domain/errors.js';
import { loadCards, type ModelCard } from '../../inference/card.js';
import { modelsDir } from '../../inference/model-dir.js';
import type { CommandIo } from '../command.js';

export interface NamedModel {
  /** The file. */
  readonly path: string;
  /** The id, or the file's name. */
  readonly label: string;
  /** Known for ids only. */
  readonly card: ModelCard | null;
}

/** M of `faced model …`: the id of a card, else a file. The default is the recogniser. */
export async function resolveModel(argument: string | undefined, io: CommandIo): Promise<NamedModel> {
  const name = argument ?? 'mobilefacenet';
  const dir = modelsDir(io.env);
  const cards = await loadCards(dir);
  const placed = cards.get(name);
  if (placed !== undefined) {
    if (existsSync(placed.path)) return { path: placed.path, label: name, card: placed.card };
    throw new FacedError('model.missing', `the model ${name} is not at ${placed.path}`, {
      fix: 'run `faced model fetch`',
    });
  }
  if (existsSync(name)) return { path: name, label: basename(name), card: null };
  throw new FacedError(
    'usage.not-found',
    `${name} is neither a file nor one of ${[...cards.keys()].join(', ')}`,
    {
      fix: '`faced model list` shows the ids',
    },
  );
}
