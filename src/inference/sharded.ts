import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { FacedError } from '../domain/errors.js';
import { createSession, type SessionOptions, type SessionTensor } from './raw-session.js';

interface Plan {
  readonly input: string;
  readonly inputShape: readonly number[];
  readonly output: string;
  /** SHA-256 of the file that was cut. */
  readonly derivedFrom?: string;
  readonly shards: readonly {
    file: string;
    bytes: number;
    inputs: readonly string[];
    outputs: readonly string[];
  }[];
}

/**
 * Runs a network that was cut into shards (`shards.json` and its files), one after another: each is loaded, run and
 * released, so that only one is in memory at a time. Slow; for memory that the whole does not fit into.
 */
export class ShardedModel {
  readonly dir: string;
  readonly #plan: Plan;
  readonly #options: SessionOptions;

  private constructor(dir: string, plan: Plan, options: SessionOptions) {
    this.dir = dir;
    this.#plan = plan;
    this.#options = options;
  }

  /** Reads the plan. Throws `model.missing` when there is none. */
  static async open(dir: string, options: SessionOptions = {}): Promise<ShardedModel> {
    const text = await readFile(join(dir, 'shards.json'), 'utf8').catch((cause: unknown) => {
      throw new FacedError('model.missing', `${dir} holds no shards.json`, {
        fix: 'make it with `faced model split`',
        cause,
      });
    });
    // Without its arena ONNX Runtime gives memory back with each shard.
    return new ShardedModel(dir, planOf(text, dir), { arena: false, ...options });
  }

  /** Of the input, for one picture. */
  get inputShape(): readonly number[] {
    return this.#plan.inputShape;
  }

  get output(): string {
    return this.#plan.output;
  }

  get derivedFrom(): string | undefined {
    return this.#plan.derivedFrom;
  }

  /** Constants of the heaviest shard, which is what is in memory at a time beside activations. */
  get heaviestBytes(): number {
    return Math.max(...this.#plan.shards.map(({ bytes }) => bytes));
  }

  /** The answer of the whole to one input. */
  async run(input: SessionTensor): Promise<SessionTensor> {
    const { shards } = this.#plan;
    let values: Record<string, SessionTensor> = { [this.#plan.input]: input };
    for (const [index, shard] of shards.entries()) {
      const session = await createSession(join(this.dir, shard.file), this.#options);
      try {
        const feeds = Object.fromEntries(
          shard.inputs.map((name) => {
            const value = values[name];
            if (value === undefined) throw new FacedError('model.mismatch', `${shard.file} needs ${name}`);
            return [name, value] as const;
          }),
        );
        values = { ...values, ...(await session.run(feeds)) };
      } finally {
        await session.release();
      }
      const needed = new Set([this.#plan.output, ...shards.slice(index + 1).flatMap(({ inputs }) => inputs)]);
      values = Object.fromEntries(Object.entries(values).filter(([name]) => needed.has(name)));
    }
    const answer = values[this.#plan.output];
    if (answer === undefined) throw new FacedError('model.mismatch', `no shard gives ${this.#plan.output}`);
    return answer;
  }
}

function planOf(text: string, dir: string): Plan {
  try {
    const plan = JSON.parse(text) as Partial<Plan> | null;
    if (Array.isArray(plan?.shards) && plan.shards.length > 0 && Array.isArray(plan.inputShape))
      return plan as Plan;
  } catch {
    // Said below: that it is no JSON helps nobody more than that it is no plan.
  }
  throw new FacedError('model.mismatch', `${dir}/shards.json is not a plan of shards`, {
    fix: 'make it anew with `faced model split`',
  });
}
