import { stat } from 'node:fs/promises';
import { basename } from 'node:path';
import { type ErrorCode, FacedError } from '../domain/errors.js';
import { type Logger, silentLogger } from '../lib/log.js';
import type { BackendState, ModelCounts } from '../pipeline/ports.js';
import { loadCards, type ModelCard, type PlacedCard } from './card.js';
import { hashFile } from './hash.js';
import { LazyRunner } from './lazy-runner.js';
import { placedFile } from './model-file.js';
import { type ModelRunner, OrtRunner, type RunnerOptions } from './session.js';
import type { ShardedModel } from './sharded.js';
import { ShardedRunner } from './sharded-runner.js';
import { StandbyRunner } from './standby-runner.js';
import {
  type Choice,
  chooseVariant,
  curveOf,
  formFile,
  type Target,
  targetOf,
  type VariantWish,
} from './variants.js';

/**
 * What a process takes for each byte of a model's file while it is loaded and first run: its constants, and those of them
 * again that are laid out anew for this processor. A file of 174 MB took 445 MB (docs/models.md), and one of 175 MB that is
 * all 3x3 convolutions 544; what it is wrong by, the kernel ends the daemon for.
 */
const MEMORY_PER_BYTE = 3.3;

export interface ModelStatus {
  readonly card: ModelCard;
  readonly origin: 'shipped' | 'user';
  /** Where the stock file is or would be. */
  readonly path: string;
  readonly present: boolean;
  /** The file that is used instead; null when it is the stock file. */
  readonly variant: string | null;
  /** Which form is used, and why. */
  readonly kind: Choice['kind'];
  readonly why: string;
}

export interface ModelStoreOptions {
  readonly dir: string;
  readonly logger?: Logger;
  /** The processor that variants are looked for; this one's when left out. */
  readonly target?: Target;
  /** False: always the stock file. */
  readonly variants?: boolean;
  /** Which form of each model is wanted; `auto` when left out. */
  readonly wish?: VariantWish;
  /** What `auto` begins with, by the board's profile; left out: by the processor. */
  readonly first?: 'float' | 'int8';
  /** An engine process runs the recogniser while it is well. */
  readonly engine?: {
    readonly socket: string;
    readonly onState: (state: BackendState) => void;
  };
  /** Bytes that can still be taken; null: nobody knows. Asked before each load. */
  readonly room?: () => number | null;
  /** Bytes that are left of what the configuration would have used; null: it says nothing. A form that fits is chosen by it, nothing is refused for it. */
  readonly budgetLeft?: () => number | null;
  /** Before and after each load, which can hold up this thread for seconds. */
  readonly onLoading?: (on: boolean) => void;
  /** Where the shipped cards are, for tests. */
  readonly shippedCards?: string;
  /** How models are run; as a camera needs it when left out. */
  readonly runner?: Pick<RunnerOptions, 'device' | 'maxBatch' | 'threads'>;
}

/**
 * The models of this machine: loaded on first use, checked against their cards, let go on demand. Whoever holds a runner
 * may go on using it: its next run loads the model again.
 */
export class ModelStore {
  readonly dir: string;
  readonly #options: ModelStoreOptions;
  readonly #log: Logger;
  readonly #runners = new Map<string, Promise<ModelRunner>>();
  /** Those of them that run here. */
  readonly #lazy = new Map<string, LazyRunner>();
  #counts = new Map<string, { loads: number; evictions: number }>();
  readonly #refused = new Map<string, { code: ErrorCode; message: string }>();
  #inShards = false;
  readonly #choices = new Map<string, Promise<Choice>>();
  #cards: Promise<Map<string, PlacedCard>> | undefined;
  /** Models that were named by their file. */
  readonly #files = new Map<string, PlacedCard>();

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

  /** The card of an id, of a form (`id:int8`), or of a model file that something is known of. Throws `model.unknown` with the ids there are. */
  async card(id: string): Promise<PlacedCard> {
    const cards = await this.#load();
    const found = cards.get(id) ?? this.#files.get(id) ?? (await this.#file(id, cards));
    if (found !== undefined) return found;
    throw new FacedError(
      'model.unknown',
      `no model card with the id ${id}; there are ${[...cards.keys()].join(', ')}`,
      {
        fix: `Use one of these, put a card and its file into ${this.dir}, or name a file that has a card or note beside it.`,
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
    return [...this.#lazy].filter(([, runner]) => runner.loaded).map(([id]) => id);
  }

  /** Lets a model go, after the runs that were asked for. */
  async release(id: string): Promise<void> {
    const runner = this.#lazy.get(id);
    if (runner?.loaded !== true) return;
    await runner.release();
    this.#count(id).evictions++;
    this.#log.debug({ model: id }, 'model let go');
  }

  /** Lets go what nobody has used for so long; answers which. Never in the middle of a run. */
  async releaseIdle(idleMs: number): Promise<string[]> {
    const gone: string[] = [];
    for (const [id, runner] of this.#lazy) {
      if (!(await runner.releaseIdle(idleMs))) continue;
      this.#count(id).evictions++;
      gone.push(id);
    }
    if (gone.length > 0) this.#log.debug({ models: gone }, 'idle models let go');
    return gone;
  }

  /**
   * From now on recognisers run shard by shard where a folder of shards lies beside the model (`NAME.shards` beside
   * `NAME.onnx`, of `faced model split`), one shard in memory at a time; or whole again.
   */
  async setInShards(on: boolean): Promise<void> {
    if (this.#inShards === on) return;
    this.#inShards = on;
    for (const [id, runner] of this.#lazy) {
      if (!runner.loaded || (await this.#shards(await this.card(id))) === null) continue;
      await this.release(id);
    }
  }

  /** Models that were wanted and would not have fitted, until they do. */
  get refused(): readonly { code: ErrorCode; message: string }[] {
    return [...this.#refused.values()];
  }

  /** Loads what was let go, so that no face has to wait for it. */
  async reload(id: string): Promise<void> {
    await this.#lazy.get(id)?.load();
  }

  /** Ids of the models that were loaded once and are not in memory. */
  get absent(): string[] {
    return [...this.#lazy].filter(([, runner]) => !runner.loaded).map(([id]) => id);
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
    const runners = [...this.#runners.values()];
    this.#runners.clear();
    this.#lazy.clear();
    // One that could not be opened holds nothing.
    await Promise.all(runners.map((runner) => runner.then((one) => one.release()).catch(() => undefined)));
  }

  async #open(id: string): Promise<ModelRunner> {
    const placed = await this.card(id);
    const { engine } = this.#options;
    const here = () => this.#openHere(placed);
    if (engine === undefined || placed.card.role !== 'recogniser') return here();
    return StandbyRunner.open({ ...engine, card: placed.card, log: this.#log, openFallback: here });
  }

  /**
   * The form of a model that is run here, and its card with the curve that holds for this form. Reads the file of a
   * variant, to check it, and of the stock file nothing.
   */
  async inUse(id: string): Promise<Choice & { readonly card: ModelCard }> {
    const placed = await this.card(id);
    const choice = await this.#choose(placed);
    const curve = curveOf(placed.card, choice.verified);
    return { ...choice, card: curve === undefined ? placed.card : { ...placed.card, curve } };
  }

  async #openHere(placed: PlacedCard): Promise<ModelRunner> {
    const { id } = placed.card;
    const runner = await LazyRunner.open({ open: (input) => this.#openNow(placed, input) });
    this.#lazy.set(id, runner);
    return runner;
  }

  async #openNow(placed: PlacedCard, input: Float32Array | Uint8Array | null): Promise<ModelRunner> {
    const { card } = placed;
    const choice = await this.#choose(placed);
    const started = performance.now();
    const path = choice.path ?? placed.path;
    const bytes = (await stat(path).catch(() => null))?.size ?? 0;
    const shards = await this.#shards(placed);
    const { room, budgetLeft } = this.#options;
    const inShards = shards !== null && (this.#inShards || !fits(bytes, room) || !fits(bytes, budgetLeft));
    const heaviest = inShards ? shards.heaviestBytes : bytes;
    if (!fits(heaviest, room)) throw this.#refuse(card, heaviest);
    if (!inShards && choice.path === null) await checkFile(placed);
    const runner = await this.#saying(() =>
      inShards
        ? ShardedRunner.open(shards, card)
        : OrtRunner.open(path, card, { ...this.#options.runner, input }),
    );
    this.#refused.delete(card.id);
    this.#count(card.id).loads++;
    const ms = Math.round(performance.now() - started);
    this.#log.debug({ model: card.id, path: inShards ? shards.dir : path, ms }, 'model loaded');
    return runner;
  }

  async #saying(load: () => Promise<ModelRunner>): Promise<ModelRunner> {
    const { onLoading } = this.#options;
    onLoading?.(true);
    try {
      return await load();
    } finally {
      onLoading?.(false);
    }
  }

  #refuse(card: ModelCard, bytes: number): FacedError {
    const [needs, has] = [bytes * MEMORY_PER_BYTE, this.#options.room?.() ?? 0].map(megabytes);
    const split = `faced model split ${card.id} --shards 8 --out ${basename(shardsDir(card.file))} in the models folder`;
    const error = new FacedError(
      'model.no-memory',
      `${card.id} needs about ${needs} MB of memory to be loaded, and ${has} MB are left`,
      {
        fix:
          card.role === 'recogniser'
            ? `End other programs, or cut it into shards that fit: ${split}.`
            : 'End other programs, or give the service more memory.',
      },
    );
    this.#refused.set(card.id, { code: error.code, message: error.message });
    return error;
  }

  /** The shards of a recogniser that runs in floats; they are made of the stock file, and an 8-bit form is light whole. */
  async #shards(placed: PlacedCard): Promise<ShardedModel | null> {
    if (placed.card.role !== 'recogniser') return null;
    const { kind } = await this.#choose(placed);
    if (kind !== 'stock' && kind !== 'float') return null;
    const dir = shardsDir(placed.path);
    if ((await stat(dir).catch(() => null)) === null) return null;
    const { threads } = this.#options.runner ?? {};
    try {
      return await ShardedRunner.plan(dir, placed.card, threads);
    } catch (error) {
      const { code, message, fix } = FacedError.from(error);
      this.#log.warn({ model: placed.card.id, code, reason: message, fix }, 'shards that cannot be used');
      return null;
    }
  }

  async #status(placed: PlacedCard): Promise<ModelStatus> {
    const { card, origin, path } = placed;
    const there = await stat(path).catch(() => null);
    const { path: variant, kind, why } = await this.#choose(placed);
    return { card, origin, path, present: there?.size === card.bytes, variant, kind, why };
  }

  #choose({ card }: PlacedCard): Promise<Choice> {
    const known = this.#choices.get(card.id);
    if (known !== undefined) return known;
    const choosing = this.#chooseNow(card);
    this.#choices.set(card.id, choosing);
    return choosing;
  }

  async #chooseNow(card: ModelCard): Promise<Choice> {
    const { target = targetOf(process.arch), variants, wish = 'auto', first, engine } = this.#options;
    if (target === undefined || variants === false)
      return { kind: 'stock', path: null, why: 'no other form is made for this processor', problems: [] };
    // What stands by for an engine takes what the engine takes, which is floats.
    const standsBy = engine !== undefined && card.role === 'recogniser';
    const choice = await chooseVariant({
      ...{ dir: this.dir, card, target, wish: standsBy ? 'float' : wish },
      ...(first === undefined ? {} : { first }),
    });
    for (const problem of choice.problems)
      this.#log.warn({ model: card.id, problem }, 'a form of a model is not used; run faced model fetch');
    return choice;
  }

  /** No other form is looked for of a model that is named by its file. */
  async #file(name: string, cards: ReadonlyMap<string, PlacedCard>): Promise<PlacedCard | undefined> {
    const placed = await placedFile(formFile(name, this.dir)?.path ?? name, cards);
    if (placed === null) return undefined;
    const { verified } = placed;
    const choice = { kind: 'stock', path: null, why: 'named by its file', problems: [] } as const;
    this.#choices.set(
      placed.card.id,
      Promise.resolve(verified === undefined ? choice : { ...choice, verified }),
    );
    for (const key of [name, placed.card.id]) this.#files.set(key, placed);
    return placed;
  }

  #load(): Promise<Map<string, PlacedCard>> {
    this.#cards ??= loadCards(this.dir, this.#options.shippedCards);
    return this.#cards;
  }
}

/** Where the shards of a model are looked for. */
export function shardsDir(path: string): string {
  return path.replace(/(\.onnx)?$/, '.shards');
}

/** Whether a model of so many bytes can be loaded into what is left; into what nobody knows it can. */
function fits(bytes: number, left: (() => number | null) | undefined): boolean {
  const room = left?.() ?? null;
  return room === null || bytes * MEMORY_PER_BYTE <= room;
}

function megabytes(bytes: number): number {
  return Math.ceil(bytes / 2 ** 20);
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
