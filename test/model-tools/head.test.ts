import assert from 'node:assert/strict';
import { test } from 'node:test';
import { floatTensor, type Model, makeNode, runModel } from '../../src/model-tools/graph/index.js';
import { appendHead, classify, crossValidate, type Example, trainHead } from '../../src/model-tools/head.js';
import { noise } from './nets.js';

/** Two classes that differ in one direction, with noise in all. */
function examples(): Example[] {
  return Array.from({ length: 40 }, (_, at) => {
    const vector = noise(16, 50 + at).map((value) => value * 0.5);
    vector[0] = (vector[0] ?? 0) + (at % 2 === 0 ? 1 : -1);
    const norm = Math.hypot(...vector);
    return { vector: vector.map((value) => value / norm), label: at % 2 };
  });
}

test('a head learns two classes and is judged on what it has not seen', () => {
  const { accuracy, confusion } = crossValidate(examples(), ['a', 'b']);
  assert.ok(accuracy > 0.9, `${accuracy}`);
  assert.equal(
    confusion.flat().reduce((sum, count) => sum + count, 0),
    40,
  );
  const shuffled = examples().map((example, at) => ({ ...example, label: (at >> 1) % 2 }));
  assert.ok(crossValidate(shuffled, ['a', 'b']).accuracy < 0.75);
});

test('an appended head answers in the graph as outside of it, and leaves the embedding alone', async () => {
  const head = trainHead(examples(), ['a', 'b']);
  const identity = new Float32Array(256).map((_, at) => (at % 17 === 0 ? 1 : 0));
  const model: Model = {
    irVersion: 7,
    opsets: new Map([['', 13]]),
    metadata: new Map(),
    graph: {
      name: 'pass',
      inputs: [{ name: 'input', type: 'float32', dims: ['batch', 16] }],
      outputs: [{ name: 'embedding', type: 'float32', dims: ['batch', 16] }],
      initializers: new Map([['eye', floatTensor([16, 16], identity)]]),
      nodes: [makeNode('MatMul', { inputs: ['input', 'eye'], outputs: ['embedding'] })],
    },
  };
  const [example] = examples();
  assert.ok(example);
  const data = example.vector.map((value) => value * 3);
  const answer = await runModel(appendHead(model, head, 'mask'), {
    input: { type: 'float32', dims: [1, 16], data },
  });
  assert.deepEqual(answer.embedding?.data, data);
  const expected = classify(head, example.vector);
  expected.forEach((share, at) => {
    assert.ok(Math.abs(share - Number(answer.mask?.data[at])) < 1e-5);
  });
});
