import { existsSync, statSync } from 'node:fs';
import { basename } from 'node:path';
import { FacedError } from '../../domain/errors.js';
import { loadCards, type ModelCard } from '../../inference/card.js';
import { modelsDir } from '../../inference/model-dir.js';
import { knownFile } from '../../inference/model-file.js';
import { formFile } from '../../inference/variants.js';
import type { CommandIo } from '../command.js';

export interface NamedModel {
  /** The file. */
  readonly path: string;
  /** The id, or the file's name. */
  readonly label: string;
  /** Of an id; of a file when its card lies beside it, or notes lead back to the file of a card. */
  readonly card: ModelCard | null;
  /** The file that this card is about; null without one. */
  readonly stock: string | null;
}

/** M of `faced model …`: the id of a card (`id:float`, `id:int8`, `id:half`: the form that lies beside it), else a file. The default is the recogniser. */
export async function resolveModel(argument: string | undefined, io: CommandIo): Promise<NamedModel> {
  const name = argument ?? 'mobilefacenet';
  const dir = modelsDir(io.env);
  const cards = await loadCards(dir);
  const form = formFile(name, dir);
  const origin = cards.get(form?.id ?? '');
  if (form !== null && origin !== undefined) {
    const { path } = form;
    if (existsSync(path)) return { path, label: name, card: origin.card, stock: origin.path };
    throw new FacedError('model.missing', `there is no form ${name} at ${path}`, {
      fix: name.endsWith(':float')
        ? 'run `faced model fetch`'
        : 'make it with `faced model quantize` or `half`',
    });
  }
  const placed = cards.get(name);
  if (placed !== undefined) {
    if (existsSync(placed.path))
      return { path: placed.path, label: name, card: placed.card, stock: placed.path };
    throw new FacedError('model.missing', `the model ${name} is not at ${placed.path}`, {
      fix: 'run `faced model fetch`',
    });
  }
  if (statSync(name, { throwIfNoEntry: false })?.isFile() === true) {
    const known = await knownFile(name, cards);
    return {
      path: name,
      label: basename(name),
      card: known?.card ?? null,
      stock: known?.cardFile ?? null,
    };
  }
  throw new FacedError(
    'usage.not-found',
    `${name} is neither a file nor one of ${[...cards.keys()].join(', ')}`,
    {
      fix: '`faced model list` shows the ids',
    },
  );
}
