import { readdir, readFile, stat } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { loadCardBeside, type ModelCard, type PlacedCard } from './card.js';
import { hashFile } from './hash.js';
import { noteOf, type VariantNote, type Verified } from './variants.js';

/** What is known of a model that is named by its file. */
export interface KnownFile {
  /** The card that says how it is fed: its own, or that of the model it was made from, in any number of steps. */
  readonly card: ModelCard;
  /** The file of that card. */
  readonly cardFile: string;
  /** Of a file that was made from another one. */
  readonly note: VariantNote | null;
}

/**
 * A file of a model whose card lies beside it, or which is the file of one of `cards`, or whose note (`O.json` beside
 * `O.onnx`, which every command of the workshop writes) leads back to such a file: by `cards`, or by the cards and notes
 * in its own folder. Null where nothing is known of it.
 */
export async function knownFile(
  path: string,
  cards: ReadonlyMap<string, PlacedCard>,
): Promise<KnownFile | null> {
  const text = await readFile(path.replace(/\.onnx$/, '.json'), 'utf8').catch(() => null);
  if (text !== null && isCard(text)) {
    const own = await loadCardBeside(path);
    return { card: own.card, cardFile: own.path, note: null };
  }
  const note = text === null ? 'no note' : noteOf(text);
  if (typeof note !== 'string') return origin(path, note, cards);
  const { sha256 } = await hashFile(path);
  const same = [...cards.values()].find(({ card }) => card.sha256 === sha256);
  return same === undefined ? null : { card: same.card, cardFile: path, note: null };
}

async function origin(
  path: string,
  note: VariantNote,
  cards: ReadonlyMap<string, PlacedCard>,
): Promise<KnownFile | null> {
  const placed = [...cards.values()];
  const notes = new Map<string, VariantNote>();
  const folders = new Set([path, ...placed.map((one) => one.path)].map((one) => dirname(resolve(one))));
  for (const folder of folders) {
    for (const name of (await readdir(folder).catch(() => []))
      .filter((one) => one.endsWith('.json'))
      .sort()) {
      const text = await readFile(join(folder, name), 'utf8').catch(() => '');
      if (isCard(text) && folder === dirname(resolve(path))) {
        const beside = await loadCardBeside(join(folder, name.replace(/json$/, 'onnx'))).catch(() => null);
        if (beside !== null) placed.push(beside);
      }
      const other = noteOf(text);
      if (typeof other !== 'string') notes.set(other.sha256, other);
    }
  }
  const seen = new Set<string>();
  let from: string | undefined = note.derivedFrom;
  while (from !== undefined && !seen.has(from)) {
    const found = placed.find(({ card }) => card.sha256 === from);
    if (found !== undefined) return { card: found.card, cardFile: found.path, note };
    seen.add(from);
    from = notes.get(from)?.derivedFrom;
  }
  return null;
}

/**
 * A card for the file itself, as the model store takes it. What was made from another file stays in a space of its own
 * until `faced model verify` has found that it may be compared. Null where nothing is known of it.
 */
export async function placedFile(
  name: string,
  cards: ReadonlyMap<string, PlacedCard>,
): Promise<(PlacedCard & { readonly verified?: Verified }) | null> {
  const path = resolve(name);
  const there = await stat(path).catch(() => null);
  if (there?.isFile() !== true) return null;
  const known = await knownFile(path, cards);
  if (known === null) return null;
  const { card, note } = known;
  const sha256 = note?.sha256 ?? card.sha256;
  const joins = note === null || note.verified?.accepted === true;
  const space = card.space ?? card.id;
  return {
    card: {
      ...card,
      // Another id than the card's own: one store may have both.
      id: `${card.id}@${sha256.slice(0, 12)}`,
      file: basename(path),
      sha256,
      bytes: note?.bytes ?? card.bytes,
      ...(card.role === 'recogniser' ? { space: joins ? space : `${space}@${sha256.slice(0, 12)}` } : {}),
    },
    path,
    origin: 'user',
    ...(note?.verified === undefined ? {} : { verified: note.verified }),
  };
}

function isCard(text: string): boolean {
  return text.includes('"role"') && !text.includes('"derivedFrom"');
}
