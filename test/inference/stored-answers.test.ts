import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import {
  answersOf,
  encodeAnswers,
  fillProbes,
  leastCosine,
  PROBES,
  storedAnswers,
} from '../../src/inference/stored-answers.js';
import { ROOT } from '../helpers/data.js';
import { testStore } from '../helpers/models.js';

test('the stored answers are those of ONNX Runtime in FP32', async (t) => {
  const store = await testStore(t, { variants: false });
  const { card } = await store.card('mobilefacenet');
  const runner = await store.runner('mobilefacenet');
  const probes = new Float32Array(PROBES * runner.stride);
  fillProbes(probes, card);
  const answers: Float32Array[] = [];
  for (let at = 0; at < PROBES; at++) {
    runner.input.set(probes.subarray(at * runner.stride, (at + 1) * runner.stride));
    answers.push(...answersOf(card, await runner.run(1), 1));
  }
  if (process.env.FACED_UPDATE_ANSWERS !== undefined) {
    const text = `${JSON.stringify(encodeAnswers(card, answers), null, 2)}\n`;
    writeFileSync(join(ROOT, 'models', 'answers', 'mobilefacenet.json'), text);
  }
  const stored = await storedAnswers(card);
  assert.ok(stored !== null, 'run again with FACED_UPDATE_ANSWERS=1');
  assert.ok(leastCosine(stored, answers) > 0.999999);
  // Pictures that a wrong engine would answer alike show nothing.
  for (const [at, one] of answers.entries())
    for (const other of answers.slice(at + 1)) assert.ok(leastCosine([one], [other]) < 0.9);
});

test('answers of another file are not taken', async (t) => {
  const store = await testStore(t);
  const { card } = await store.card('mobilefacenet');
  assert.equal(await storedAnswers({ ...card, sha256: '0'.repeat(64) }), null);
  assert.equal(await storedAnswers({ ...card, id: 'no-such-model' }), null);
});
