import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FacedError } from '../../src/domain/errors.js';
import { normalise, similarity, softmax } from '../../src/vision/similarity.js';

const embedding = (space: string, ...values: number[]) => ({ space, vector: Float32Array.from(values) });

test('cosine of unit vectors', () => {
  const right = embedding('a', 1, 0);
  assert.equal(similarity(right, embedding('a', 1, 0)), 1);
  assert.equal(similarity(right, embedding('a', 0, 1)), 0);
  assert.equal(similarity(right, embedding('a', -1, 0)), -1);
  assert.ok(Math.abs(similarity(embedding('a', 0.6, 0.8), embedding('a', 0.8, 0.6)) - 0.96) < 1e-6);
});

test('embeddings of two spaces, or of two lengths, are never compared', () => {
  const mismatch = (thrown: unknown) =>
    thrown instanceof FacedError &&
    thrown.code === 'space.mismatch' &&
    /\ba\b.*\bb\b|2.*3/.test(thrown.message);
  assert.throws(() => similarity(embedding('a', 1, 0), embedding('b', 1, 0)), mismatch);
  assert.throws(() => similarity(embedding('a', 1, 0), embedding('a', 1, 0, 0)), mismatch);
});

test('a vector without direction is not normalised', () => {
  const vector = Float32Array.of(3, 4);
  assert.equal(normalise(vector), true);
  assert.deepEqual([...vector], [...Float32Array.of(0.6, 0.8)]);
  assert.equal(normalise(Float32Array.of(0, 0)), false);
  assert.equal(normalise(Float32Array.of(Number.NaN, 1)), false);
  assert.equal(normalise(Float32Array.of(Number.POSITIVE_INFINITY, 1)), false);
});

test('softmax does not overflow', () => {
  const [a = 0, b = 0] = softmax(Float32Array.of(1000, 1000));
  assert.equal(a, 0.5);
  assert.equal(b, 0.5);
  const [c = 0] = softmax(Float32Array.of(Math.log(3), 0));
  assert.ok(Math.abs(c - 0.75) < 1e-6);
});
