import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import {
  decodeModel,
  floatTensor,
  int64Tensor,
  makeNode,
  noiseFeeds,
  runModel,
} from '../../src/model-tools/graph/index.js';
import { cosineDistance, optimizeModel } from '../../src/model-tools/optimize.js';
import { preluNet } from './nets.js';

describe('optimise', () => {
  for (const target of ['x64', 'arm64'] as const) {
    test(`PRelu leaves the graph for ${target}, slopes above 1 too, and the answer stays`, async () => {
      const original = preluNet();
      const optimized = decodeModel((await optimizeModel(original, { target })).bytes);
      assert.equal(optimized.graph.nodes.filter((node) => node.op === 'PRelu').length, 0);
      const read = new Set(optimized.graph.nodes.flatMap(({ inputs }) => inputs));
      assert.deepEqual(
        [...optimized.graph.initializers.keys()].filter((name) => !read.has(name)),
        [],
      );
      const feeds = noiseFeeds(original.graph.inputs, { batch: 3, scale: 2 });
      const [before, after] = [await runModel(original, feeds), await runModel(optimized, feeds)];
      assert.ok(before.output && after.output);
      assert.ok(cosineDistance(before.output, after.output) < 1e-9);
    });
  }

  test('a steep PRelu that the graph gives out stays', async () => {
    const model = preluNet();
    model.graph.nodes.pop();
    model.graph.outputs = [{ name: 'act1', type: 'float32', dims: ['batch', 8, 8, 8] }];
    const optimized = decodeModel((await optimizeModel(model, { target: 'x64' })).bytes);
    assert.equal(optimized.graph.nodes.filter((node) => node.op === 'PRelu').length, 1);
  });

  test('a batch that was fixed becomes free, and shape arithmetic is folded', async () => {
    const model = preluNet();
    model.opsets.set('', 9);
    model.graph.inputs = [{ name: 'input', type: 'float32', dims: [1, 3, 8, 8] }];
    model.graph.outputs = [{ name: 'flat', type: 'float32', dims: [1, 64] }];
    model.graph.initializers.set('zero', int64Tensor([], [0])).set('rest', int64Tensor([1], [-1]));
    model.graph.nodes.push(
      makeNode('Shape', { inputs: ['output'], outputs: ['shape'] }),
      makeNode('Gather', { inputs: ['shape', 'zero'], outputs: ['first'] }),
      makeNode('Unsqueeze', {
        inputs: ['first'],
        outputs: ['first1'],
        attributes: { axes: { kind: 'ints', value: [0] } },
      }),
      makeNode('Concat', {
        inputs: ['first1', 'rest'],
        outputs: ['to'],
        attributes: { axis: { kind: 'int', value: 0 } },
      }),
      makeNode('Reshape', { inputs: ['output', 'to'], outputs: ['flat'] }),
    );
    const optimized = decodeModel((await optimizeModel(model, { target: 'arm64' })).bytes);
    const ops = optimized.graph.nodes.map((node) => node.op);
    assert.deepEqual(ops, ['Conv', 'Mul', 'Max', 'Conv', 'Reshape']);
    assert.equal(optimized.opsets.get(''), 13);
    const answer = await runModel(optimized, noiseFeeds(optimized.graph.inputs, { batch: 5, scale: 1 }));
    assert.deepEqual(answer.flat?.dims, [5, 64]);
  });

  test('a network whose first dimension is no batch is not made wrong', async () => {
    const model = preluNet();
    model.graph.inputs = [{ name: 'input', type: 'float32', dims: [1, 3, 8, 8] }];
    model.graph.outputs = [{ name: 'sum', type: 'float32', dims: [1, 64] }];
    // A Gemm that mixes what becomes the batch: right at one picture only.
    model.graph.initializers
      .set('to', int64Tensor([2], [64, -1]))
      .set('ones', floatTensor([1, 64], new Float32Array(64).fill(1)));
    model.graph.nodes.push(
      makeNode('Reshape', { inputs: ['output', 'to'], outputs: ['column'] }),
      makeNode('MatMul', { inputs: ['ones', 'column'], outputs: ['sum'] }),
    );
    await assert.rejects(optimizeModel(model, { target: 'x64' }), /model differs|could not be run/);
  });
});
