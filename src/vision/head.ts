import type { Attributes } from '../domain/attribute.js';
import type { Embedding } from '../domain/embedding.js';

/** A softmax layer on an embedding: which of a few classes a face belongs to (glasses or none, staff or visitor). */
export interface Head {
  readonly classes: readonly string[];
  readonly dimensions: number;
  /** Classes by dimensions, row-major. */
  readonly weight: Float32Array;
  readonly bias: Float32Array;
}

/** A head by its name, for one embedding space. */
export interface NamedHead extends Head {
  readonly name: string;
  readonly space: string;
}

/** The share of each class, which sum to 1. */
export function classify(head: Omit<Head, 'classes'>, vector: Float32Array): Float64Array {
  return softmax(head.weight, head.bias, vector);
}

/** Softmax of `weight` (classes by the length of `vector`, row-major) times `vector` plus `bias`. */
export function softmax(
  weight: ArrayLike<number>,
  bias: ArrayLike<number>,
  vector: Float32Array,
): Float64Array {
  const logits = Float64Array.from(bias);
  const dimensions = vector.length;
  for (let index = 0; index < logits.length; index += 1) {
    let sum = logits[index] ?? 0;
    for (let k = 0; k < dimensions; k += 1)
      sum += (weight[index * dimensions + k] as number) * (vector[k] as number);
    logits[index] = sum;
  }
  const most = logits.reduce((high, value) => Math.max(high, value), Number.NEGATIVE_INFINITY);
  const powers = logits.map((value) => Math.exp(value - most));
  const total = powers.reduce((sum, value) => sum + value, 0);
  return powers.map((value) => value / total);
}

/** What every head of the embedding's space says of it. */
export function attributesOf(heads: readonly NamedHead[], { space, vector }: Embedding): Attributes {
  const answers = heads
    .filter((head) => head.space === space)
    .map((head) => {
      const shares = classify(head, vector);
      const best = shares.indexOf(shares.reduce((high, share) => Math.max(high, share), 0));
      const answer = { value: head.classes[best] ?? '', share: Number((shares[best] ?? 0).toFixed(4)) };
      return [head.name, answer] as const;
    });
  return Object.fromEntries(answers);
}
