import { FacedError } from '../domain/errors.js';
import { Serial } from '../lib/serial.js';
import type { ModelCard } from './card.js';
import type { ModelRunner } from './session.js';
import { ShardedModel } from './sharded.js';

/** A recogniser of which one shard is in memory at a time: slow, and it takes what its heaviest shard takes. */
export class ShardedRunner implements ModelRunner {
  readonly maxBatch = 1;
  readonly holdsNothing = true;
  readonly stride: number;
  readonly input: Float32Array;
  readonly #model: ShardedModel;
  readonly #card: ModelCard;
  readonly #turns = new Serial();

  private constructor(model: ShardedModel, card: ModelCard) {
    this.#model = model;
    this.#card = card;
    this.stride = card.input.shape.reduce((a, b) => a * b, 1);
    this.input = new Float32Array(this.stride);
  }

  /** Reads the plan and checks it against the card; loads nothing. Throws `model.missing` or `model.mismatch`. */
  static async plan(dir: string, card: ModelCard, threads = 1): Promise<ShardedModel> {
    const model = await ShardedModel.open(dir, { threads });
    const wrong = mismatch(model, card);
    if (wrong !== null) throw refused(dir, card, wrong);
    return model;
  }

  /** Runs it once, which loads every shard. Throws `model.*` errors. */
  static async open(model: ShardedModel, card: ModelCard): Promise<ShardedRunner> {
    const runner = new ShardedRunner(model, card);
    await runner.run(1);
    return runner;
  }

  run(count: number): Promise<ReadonlyMap<string, Float32Array>> {
    return this.#turns.run(() => this.#run(count));
  }

  /** Between runs nothing is in memory. */
  async release(): Promise<void> {
    await this.#turns.idle();
  }

  async #run(count: number): Promise<ReadonlyMap<string, Float32Array>> {
    if (count !== 1) throw new RangeError(`1 picture (is ${count})`);
    const { input, output } = this.#card;
    const { data } = await this.#model.run({ type: 'float32', dims: input.shape, data: this.input });
    if (output.form !== 'embedding' || !(data instanceof Float32Array) || data.length !== output.size)
      throw refused('the answer of the shards', this.#card, `it has ${data.length} values`);
    return new Map([[output.name, data]]);
  }
}

/** What is wrong, as the end of a sentence. */
function mismatch(model: ShardedModel, card: ModelCard): string | null {
  const { input, output } = card;
  if (model.derivedFrom !== card.sha256)
    return `it was made from ${model.derivedFrom ?? 'nobody knows what'}`;
  if (output.form !== 'embedding') return 'only a recogniser runs in shards';
  if (model.inputShape.join() !== input.shape.join()) return `its input is [${model.inputShape}]`;
  return model.output === output.name ? null : `its output is ${model.output}`;
}

function refused(what: string, card: ModelCard, why: string): FacedError {
  return new FacedError('model.mismatch', `${what} does not fit the card ${card.id}: ${why}`, {
    fix: `Make the shards anew from the card's own file: faced model split ${card.id}`,
  });
}
