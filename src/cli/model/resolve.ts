import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { FacedError } from '../../domain/errors.js';
import { loadCardBeside, loadCards, type ModelCard } from '../../inference/card.js';
import { modelsDir } from '../../inference/model-dir.js';
import { targetOf, type VariantKind, variantName } from '../../inference/variants.js';
import type { CommandIo } from '../command.js';

export interface NamedModel {
  /** The file. */
  readonly path: string;
  /** The id, or the file's name. */
  readonly label: string;
  /** Of an id; of a file when its card lies beside it, or its note says that it was made from the file of a card. */
  readonly card: ModelCard | null;
}

/** M of `faced model …`: the id of a card (`id:float`, `id:int8`, `id:half`: the form that lies beside it), else a file. The default is the recogniser. */
export async function resolveModel(argument: string | undefined, io: CommandIo): Promise<NamedModel> {
  const name = argument ?? 'mobilefacenet';
  const dir = modelsDir(io.env);
  const cards = await loadCards(dir);
  const form = /^(.+):(float|int8|half)$/.exec(name);
  const origin = cards.get(form?.[1] ?? '');
  if (origin !== undefined) {
    const target = targetOf(process.arch) ?? 'x64';
    const path = join(dir, variantName(origin.card.id, target, 'onnx', form?.[2] as VariantKind));
    if (existsSync(path)) return { path, label: name, card: origin.card };
    throw new FacedError('model.missing', `there is no form ${name} at ${path}`, {
      fix:
        form?.[2] === 'float' ? 'run `faced model fetch`' : 'make it with `faced model quantize` or `half`',
    });
  }
  const placed = cards.get(name);
  if (placed !== undefined) {
    if (existsSync(placed.path)) return { path: placed.path, label: name, card: placed.card };
    throw new FacedError('model.missing', `the model ${name} is not at ${placed.path}`, {
      fix: 'run `faced model fetch`',
    });
  }
  if (existsSync(name)) {
    const card = await cardOf(
      name,
      [...cards.values()].map((one) => one.card),
    );
    return { path: name, label: basename(name), card };
  }
  throw new FacedError(
    'usage.not-found',
    `${name} is neither a file nor one of ${[...cards.keys()].join(', ')}`,
    {
      fix: '`faced model list` shows the ids',
    },
  );
}

async function cardOf(path: string, cards: readonly ModelCard[]): Promise<ModelCard | null> {
  const text = await readFile(path.replace(/\.onnx$/, '.json'), 'utf8').catch(() => '');
  const origin = /"derivedFrom":\s*"([0-9a-f]{64})"/.exec(text)?.[1];
  if (origin !== undefined) return cards.find(({ sha256 }) => sha256 === origin) ?? null;
  return text.includes('"role"') ? (await loadCardBeside(path)).card : null;
}
