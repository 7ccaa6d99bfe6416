import { readdir, readFile } from 'node:fs/promises';
import { dirname, join, relative, resolve, sep } from 'node:path';
import { FacedError } from '../domain/errors.js';
import { ROOT } from '../lib/program.js';
import type { ModelCard, ModelInput } from './card-schema.js';

export type { ModelCard, ModelInput, ModelOutput, Role } from './card-schema.js';

/** A card and the absolute path its model file has, or would have. */
export interface PlacedCard {
  readonly card: ModelCard;
  readonly path: string;
  /** Shipped with faced, or brought by the user. */
  readonly origin: 'shipped' | 'user';
}

/** Height, width and channels of a card's input. */
export function inputSize(input: ModelInput): { width: number; height: number; channels: number } {
  const [, a = 0, b = 0, c = 0] = input.shape;
  return input.layout === 'nchw'
    ? { channels: a, height: b, width: c }
    : { height: a, width: b, channels: c };
}

/** The cards that come with faced, beside its code. */
export const SHIPPED_CARDS: string = join(ROOT, 'models');

/**
 * All cards: those shipped, and the user's own: `*.json` in the folder of models and in its `cards/`. A user's card
 * may replace a shipped one of the same id. A card whose file leaves its folder is refused.
 */
export async function loadCards(
  modelsDir: string,
  shipped = SHIPPED_CARDS,
): Promise<Map<string, PlacedCard>> {
  const cards = new Map<string, PlacedCard>();
  for (const path of await jsonFiles(shipped)) {
    // A shipped card is part of the program, and the tests check it.
    const card = JSON.parse(await readFile(path, 'utf8')) as ModelCard;
    cards.set(card.id, { card, path: inside(modelsDir, card.file, path), origin: 'shipped' });
  }
  for (const folder of [modelsDir, join(modelsDir, 'cards')]) {
    for (const path of await jsonFiles(folder)) {
      const text = await readFile(path, 'utf8');
      if (isNote(text)) continue;
      const { parseCard } = await import('./card-schema.js');
      const card = parseCard(text, path);
      const earlier = cards.get(card.id);
      if (earlier?.origin === 'user') throw invalidCard(path, `a second card has the id ${card.id}`);
      cards.set(card.id, { card, path: inside(dirname(path), card.file, path), origin: 'user' });
    }
  }
  return cards;
}

/** One model file with a card of its own beside it: `x.onnx` and `x.json`. */
export async function loadCardBeside(modelFile: string): Promise<PlacedCard> {
  const path = `${modelFile.replace(/\.onnx$/, '')}.json`;
  const text = await readFile(path, 'utf8').catch((cause: unknown) => {
    throw new FacedError('model.unknown', `${modelFile} has no card ${path}`, {
      fix: 'Write a model card beside the file; docs/models.md shows one.',
      cause,
    });
  });
  const { parseCard } = await import('./card-schema.js');
  const card = parseCard(text, path);
  return { card, path: inside(dirname(path), card.file, path), origin: 'user' };
}

/** A derived variant's note, and a head, lie among the models and are no cards. */
function isNote(text: string): boolean {
  return text.includes('"derivedFrom"') || /"faced":\s*"head"/.test(text);
}

function inside(folder: string, file: string, card: string): string {
  const path = resolve(folder, file);
  const way = relative(resolve(folder), path);
  if (way === '' || way === '..' || way.startsWith(`..${sep}`) || resolve(way) === way) {
    throw invalidCard(card, `file must stay inside ${folder} (is ${file})`);
  }
  return path;
}

async function jsonFiles(folder: string): Promise<string[]> {
  const names = await readdir(folder).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return [];
    throw new FacedError('model.missing', `the folder of models ${folder} cannot be read: ${error.message}`, {
      fix: 'Let the user that faced runs as read it, or name another one: FACED_MODELS_DIR.',
      cause: error,
    });
  });
  return names
    .filter((name) => name.endsWith('.json'))
    .sort()
    .map((name) => join(folder, name));
}

/** The error for a card with mistakes. */
export function invalidCard(where: string, what: string): FacedError {
  return new FacedError('model.card-invalid', `${where}: ${what}`, {
    fix: 'Correct the card, or take it out of the folder of models.',
  });
}
