import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { FacedError } from '../domain/errors.js';
import { type Logger, silentLogger } from '../lib/log.js';
import type { BackendState, ModelCounts } from '../pipeline/ports.js';
import { loadCards, type ModelCard, type PlacedCard } from './card.js';
import { hashFile } from './hash.js';
import { type ModelRunner, OrtRunner, type RunnerOptions } from './session.js';
import { StandbyRunner } from './standby-runner.js';

export type Target = 'x64' | 'arm64';

/** Lies beside an optimised file, `<id>.<target>.json`: the variant answers as the stock file does, only sooner. */
export interface VariantNote {
  readonly file: string;
  readonly sha256: string;
  readonly bytes: number;
  readonly target: Target;
  /** SHA-256 of the file it was made from. */
  readonly derivedFrom: string;
  /** What was done to it, and how far the answers differ. */
  readonly made?: unknown;
}

export interface ModelStatus {
  readonly card: ModelCard;
  readonly origin: 'shipped' | 'user';
  /** Where the stock file is or would be. */
  readonly path: string;
  readonly present: boolean;
  /** The optimised file that is used instead; null when there is none for this processor. */
  readonly variant: string | null;
}

export interface ModelStoreOptions {
  readonly dir: string;
  readonly logger?: Logger;
  /** The processor that variants are looked for; this one's when left out. */
  readonly target?: Target;
  /** False: always the stock file. */
  readonly variants?: boolean;
  /** An engine process runs the recogniser while it is well. */
  readonly engine?: {
    readonly socket: string;
    readonly onState: (state: BackendState) => void;
  };
  /** Where the shipped cards are, for tests. */
  readonly shippedCards?: string;
  /** How models are run; as a camera needs it when left out. */
  readonly runner?: Pick<RunnerOptions, 'device' | 'maxBatch'>;
}

/** The models of this machine: loaded on first use, checked against their cards, released on demand. */
export class ModelStore {
  readonly dir: string;
  readonly #options: ModelStoreOptions;
  readonly #log: Logger;
  readonly #runners = new Map<string, Promise<ModelRunner>>();
  #counts = new Map<string, { loads: number; evictions: number }>();
  #cards: Promise<Map<string, PlacedCard>> | undefined;

  constructor(options: ModelStoreOptions) {
    this.dir = options.dir;
    this.#options = options;
    this.#log = options.logger ?? silentLogger;
  }

  /** Every card and whether its file is there. Reads no model. */
  async list(): Promise<ModelStatus[]> {
    const cards = await this.#load();
    return Promise.all([...cards.values()].map((placed) => this.#status(placed)));
  }

  /** The card of an id. Throws `model.unknown` with the ids there are. */
  async card(id: string): Promise<PlacedCard> {
    const cards = await this.#load();
    const found = cards.get(id);
    if (found !== undefined) return found;
    throw new FacedError(
      'model.unknown',
      `no model card with the id ${id}; there are ${[...cards.keys()].join(', ')}`,
      {
        fix: `Use one of these, or put a card and its file into ${this.dir}.`,
      },
    );
  }

  /** The model, loaded and checked on first use. The same runner for everybody who asks. */
  runner(id: string): Promise<ModelRunner> {
    const known = this.#runners.get(id);
    if (known !== undefined) return known;
    const opening = this.#open(id);
    this.#runners.set(id, opening);
    // What failed is tried again next time: the file may have been fetched since.
    opening.catch(() => this.#runners.delete(id));
    return opening;
  }

  /** Ids of the models that are in memory. */
  get loaded(): string[] {
    return [...this.#runners.keys()];
  }

  async release(id: string): Promise<void> {
    const runner = this.#runners.get(id);
    this.#runners.delete(id);
    if (runner === undefined) return;
    await (await runner).release();
    this.#count(id).evictions++;
  }

  /** Loads and releases since the last call. */
  takeCounts(): ModelCounts {
    const counts = Object.fromEntries(this.#counts);
    this.#counts = new Map();
    return counts;
  }

  #count(id: string): { loads: number; evictions: number } {
    const counts = this.#counts.get(id) ?? { loads: 0, evictions: 0 };
    this.#counts.set(id, counts);
    return counts;
  }

  async releaseAll(): Promise<void> {
    await Promise.all(this.loaded.map((id) => this.release(id)));
  }

  async #open(id: string): Promise<ModelRunner> {
    const placed = await this.card(id);
    const { engine } = this.#options;
    const here = () => this.#openHere(placed);
    if (engine === undefined || placed.card.role !== 'recogniser') return here();
    return StandbyRunner.open({ ...engine, card: placed.card, log: this.#log, openFallback: here });
  }

  async #openHere(placed: PlacedCard): Promise<ModelRunner> {
    const variant = this.#options.variants === false ? null : await this.#variant(placed);
    const started = performance.now();
    const path = variant ?? placed.path;
    if (variant === null) await checkFile(placed);
    const runner = await OrtRunner.open(path, placed.card, this.#options.runner);
    this.#count(placed.card.id).loads++;
    this.#log.debug(
      { model: placed.card.id, path, ms: Math.round(performance.now() - started) },
      'model loaded',
    );
    return runner;
  }

  async #status(placed: PlacedCard): Promise<ModelStatus> {
    const { card, origin, path } = placed;
    const there = await stat(path).catch(() => null);
    const variant = this.#options.variants === false ? null : await this.#variant(placed);
    return { card, origin, path, present: there?.size === card.bytes, variant };
  }

  /** The optimised file for this processor, when it was made from exactly the card's file and is whole. */
  async #variant({ card }: PlacedCard): Promise<string | null> {
    const target = this.#options.target ?? targetOf(process.arch);
    if (target === undefined) return null;
    const notePath = join(this.dir, variantName(card.id, target, 'json'));
    const text = await readFile(notePath, 'utf8').catch(() => null);
    if (text === null) return null;
    const path = join(this.dir, variantName(card.id, target, 'onnx'));
    const problem = await variantProblem(text, path, card);
    if (problem === null) return path;
    this.#log.warn(
      { model: card.id, path, problem },
      'the optimised model is not used; run faced model fetch',
    );
    return null;
  }

  #load(): Promise<Map<string, PlacedCard>> {
    this.#cards ??= loadCards(this.dir, this.#options.shippedCards);
    return this.#cards;
  }
}

export function variantName(id: string, target: Target, extension: 'onnx' | 'json'): string {
  return `${id}.${target}.${extension}`;
}

export function targetOf(arch: string): Target | undefined {
  return arch === 'x64' || arch === 'arm64' ? arch : undefined;
}

/** Size and hash against the card: throws `model.missing` or `model.mismatch` with both values. */
export async function checkFile({ card, path, origin }: PlacedCard): Promise<void> {
  const there = await hashFile(path).catch((cause: NodeJS.ErrnoException) => {
    const fix = origin === 'shipped' ? 'Run `faced model fetch`.' : 'Put the file where the card says.';
    throw new FacedError('model.missing', `the model ${card.id} is not at ${path}`, { fix, cause });
  });
  if (there.sha256 === card.sha256) return;
  const what =
    there.bytes === card.bytes
      ? `its SHA-256 is ${there.sha256} and the card says ${card.sha256}`
      : `it has ${there.bytes} bytes and the card says ${card.bytes}`;
  throw new FacedError('model.mismatch', `${path} is not the file of the card ${card.id}: ${what}`, {
    fix:
      origin === 'shipped'
        ? 'Run `faced model fetch`.'
        : 'Correct the card, or bring the file that it describes.',
  });
}

async function variantProblem(text: string, path: string, card: ModelCard): Promise<string | null> {
  let note: unknown;
  try {
    note = JSON.parse(text);
  } catch {
    return 'its note is not JSON';
  }
  if (!isVariantNote(note)) return 'its note lacks fields';
  if (note.derivedFrom !== card.sha256) return 'it was made from another file';
  const there = await hashFile(path).catch(() => null);
  if (there === null) return 'the file is missing';
  return there.sha256 === note.sha256 ? null : 'its hash is not the one in its note';
}

/** By hand: a schema compiler would cost the worker a quarter of its start. */
function isVariantNote(value: unknown): value is VariantNote {
  if (typeof value !== 'object' || value === null) return false;
  const note = value as Record<string, unknown>;
  const texts = [note.file, note.sha256, note.derivedFrom].every((one) => typeof one === 'string');
  return texts && Number.isInteger(note.bytes) && (note.target === 'x64' || note.target === 'arm64');
}
