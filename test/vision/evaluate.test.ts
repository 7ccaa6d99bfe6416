import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Embedding } from '../../src/domain/embedding.js';
import {
  bestThreshold,
  evaluatePairs,
  evaluateScores,
  type PairScore,
  parsePairs,
  trueAcceptRate,
} from '../../src/vision/evaluate.js';

const same = (similarity: number | null): PairScore => ({ same: true, similarity });
const other = (similarity: number | null): PairScore => ({ same: false, similarity });

test("LFW's pair lines, with and without the full list's first line", () => {
  const expected = [
    { a: 'Ann_Lee/Ann_Lee_0001.jpg', b: 'Ann_Lee/Ann_Lee_0012.jpg', same: true },
    { a: 'Ann_Lee/Ann_Lee_0002.jpg', b: 'Bo_Ek/Bo_Ek_0003.jpg', same: false },
  ];
  const lines = 'Ann_Lee\t1\t12\nAnn_Lee\t2\tBo_Ek\t3\n';
  assert.deepEqual(parsePairs(lines), expected);
  assert.deepEqual(parsePairs(`10\t300\n${lines.replaceAll('\n', '\r\n')}`), expected);
});

test('lines that are not pairs are refused by their number', () => {
  const cases: [string, RegExp][] = [
    ['Ann\t1\t2\nAnn\t1\n', /line 2/],
    ['Ann 1 2', /line 1/],
    ['Ann\tx\t2', /line 1/],
    ['Ann\t1\tBo\t3\t4', /line 1/],
    ['../x\t1\t2', /leaves the folder/],
    ['a\t1\t..\t2', /leaves the folder/],
    ['\n', /empty/],
  ];
  for (const [text, message] of cases)
    assert.throws(() => parsePairs(text), { code: 'usage.invalid', message });
});

test('the best threshold lies in the middle of the gap', () => {
  assert.equal(bestThreshold([same(0.75), other(0.25), same(0.5), other(0)]), 0.375);
  // One impostor above one genuine pair: one mistake is the least, at any of two cuts.
  const threshold = bestThreshold([same(0.75), other(0.5), same(0.25), other(0)]);
  assert.ok(threshold === 0.625 || threshold === 0.125);
});

test('a threshold cannot part equal similarities', () => {
  assert.equal(bestThreshold([same(0.5), other(0.5), same(0.5), other(0.25)]), 0.375);
});

test('true accepts at the lowest threshold with at most floor(rate x impostors) false ones', () => {
  const impostors = Array.from({ length: 200 }, (_, index) => other(index / 1000));
  // floor(0.01 * 200) = 2 may pass: 0.199 and 0.198; so 0.197 must not, and what is just above it does.
  const scores = [...impostors, same(0.1975), same(0.197), same(0.5), same(null)];
  assert.equal(trueAcceptRate(scores, 1e-2), 0.5);
  // floor(0.001 * 200) = 0: above 0.199.
  assert.equal(trueAcceptRate(scores, 1e-3), 0.25);
  assert.equal(trueAcceptRate([same(1)], 1e-2), null);
});

test("a fold's threshold comes from the other folds only", () => {
  const fold = (genuine: number, impostor: number) => [
    ...Array.from({ length: 300 }, () => same(genuine)),
    ...Array.from({ length: 300 }, () => other(impostor)),
  ];
  // Two folds whose own thresholds would be 0.8 and 0.2: with each other's they are half right.
  const scores = [...fold(0.9, 0.7), ...fold(0.3, 0.1)];
  const { accuracy, std, pairs } = evaluateScores(scores);
  assert.deepEqual({ accuracy, std, pairs }, { accuracy: 0.5, std: 0, pairs: 1200 });
});

test('with one fold its own threshold is used, and the deviation is nought', () => {
  const scores = [
    ...Array.from({ length: 299 }, () => same(0.9)),
    same(null),
    ...Array.from({ length: 300 }, () => other(0.1)),
  ];
  const { accuracy, std } = evaluateScores(scores);
  assert.deepEqual({ accuracy, std }, { accuracy: 599 / 600, std: 0 });
});

test('the whole evaluation asks for each picture once and counts those without a face', async () => {
  const vectors: Record<string, Embedding | null> = {
    'A/A_0001.jpg': { space: 's', vector: Float32Array.of(1, 0) },
    'A/A_0002.jpg': { space: 's', vector: Float32Array.of(0.8, 0.6) },
    'A/A_0003.jpg': null,
    'B/B_0001.jpg': { space: 's', vector: Float32Array.of(0, 1) },
  };
  const asked: string[] = [];
  const progress: number[] = [];
  const result = await evaluatePairs({
    pairs: parsePairs('A\t1\t2\nA\t1\tB\t1\nA\t1\t3\nA\t3\tB\t1'),
    embedImage: async (path) => {
      asked.push(path);
      return vectors[path] ?? null;
    },
    concurrency: 3,
    onProgress: (done, total) => progress.push(done / total),
  });
  assert.deepEqual(asked.sort(), Object.keys(vectors).sort());
  assert.equal(progress.at(-1), 1);
  assert.deepEqual(result, {
    pairs: 4,
    accuracy: 0.75,
    std: 0,
    misses: 1,
    tar: { '1e-2': 0.5, '1e-3': 0.5 },
  });
});

test('a picture that cannot be read ends the evaluation', async () => {
  const pairs = parsePairs('A\t1\t2');
  await assert.rejects(evaluatePairs({ pairs, embedImage: () => Promise.reject(new Error('gone')) }), /gone/);
});
