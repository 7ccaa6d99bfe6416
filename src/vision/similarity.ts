import type { Embedding } from '../domain/embedding.js';
import { FacedError } from '../domain/errors.js';

/** Sum of products. For unit vectors this is the cosine of the angle between them. */
export function dot(a: Float32Array, b: Float32Array): number {
  let sum = 0;
  for (let index = 0; index < a.length; index++) sum += (a[index] ?? 0) * (b[index] ?? 0);
  return sum;
}

/** Cosine of two embeddings, -1 to 1. Throws `space.mismatch` when they cannot be compared. */
export function similarity(a: Embedding, b: Embedding): number {
  if (a.space !== b.space || a.vector.length !== b.vector.length) {
    throw new FacedError(
      'space.mismatch',
      `an embedding of ${a.space} (${a.vector.length}) cannot be compared with one of ${b.space} (${b.vector.length})`,
      { fix: 'Embed both pictures with the same model.' },
    );
  }
  return Math.min(1, Math.max(-1, dot(a.vector, b.vector)));
}

/** Scale to length 1 in place. False, and unchanged, when the length is zero or not finite. */
export function normalise(vector: Float32Array): boolean {
  const length = Math.sqrt(dot(vector, vector));
  if (!(length > 0) || !Number.isFinite(length)) return false;
  for (let index = 0; index < vector.length; index++) vector[index] = (vector[index] ?? 0) / length;
  return true;
}

/** Probabilities from a network's raw answers (Bridle 1990), shifted by the largest so that nothing overflows. */
export function softmax(raw: Float32Array): Float32Array {
  const largest = raw.reduce((a, b) => Math.max(a, b), -Infinity);
  const powers = raw.map((value) => Math.exp(value - largest));
  const sum = powers.reduce((a, b) => a + b, 0);
  return powers.map((value) => value / sum);
}
