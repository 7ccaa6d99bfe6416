import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { FacedError } from '../../src/domain/errors.js';
import {
  cloneModel,
  floatTensor,
  type Model,
  makeNode,
  noiseFeeds,
  runModel,
} from '../../src/model-tools/graph/index.js';
import { layerByKey } from '../../src/model-tools/layer-key.js';
import { cosineDistance } from '../../src/model-tools/optimize.js';
import { plainForm } from '../../src/model-tools/plain.js';
import { netOf, noise } from './nets.js';

/** Convolution, norm, Flatten, a product and a norm, as an export without folding writes them. */
function net(product: 'MatMul' | 'Gemm' | 'Gemm with bias'): Model {
  const norm = (channels: number, name: string) =>
    ['gamma', 'beta', 'mean', 'variance'].map((part, at): [string, ReturnType<typeof floatTensor>] => [
      `${name}.${part}`,
      floatTensor(
        [channels],
        noise(channels, at + channels).map((value) => (at === 3 ? 0.3 + value * value : 1 + value)),
      ),
    ]);
  const [norm1, norm2] = [norm(4, 'norm1'), norm(6, 'norm2')];
  return netOf({
    input: ['batch', 3, 5, 5],
    output: ['batch', 6],
    initializers: new Map([
      ['w', floatTensor([4, 3, 3, 3], noise(108))],
      ['m', floatTensor([36, 6], noise(216, 2))],
      ['c', floatTensor([6], noise(6, 3))],
      ...norm1,
      ...norm2,
    ]),
    nodes: [
      makeNode('Conv', { inputs: ['input', 'w'], outputs: ['conv'] }),
      makeNode('BatchNormalization', {
        inputs: ['conv', ...norm1.map(([name]) => name)],
        outputs: ['map'],
        attributes: { epsilon: { kind: 'float', value: 0.01 } },
      }),
      makeNode('Flatten', { inputs: ['map'], outputs: ['flat'] }),
      makeNode(product === 'MatMul' ? 'MatMul' : 'Gemm', {
        inputs: ['flat', 'm', ...(product === 'Gemm with bias' ? ['c'] : [])],
        outputs: ['product'],
      }),
      makeNode('BatchNormalization', {
        inputs: ['product', ...norm2.map(([name]) => name)],
        outputs: ['output'],
      }),
    ],
  });
}

describe('batch norms', () => {
  for (const product of ['MatMul', 'Gemm', 'Gemm with bias'] as const)
    test(`go into the convolution and into a ${product}, and the answer stays`, async () => {
      const original = net(product);
      const plain = cloneModel(original);
      await plainForm(plain);
      assert.deepEqual(
        plain.graph.nodes.map(({ op }) => op),
        ['Conv', 'Flatten', 'Gemm'],
      );
      assert.equal(plain.graph.initializers.size, 4);
      const feeds = noiseFeeds(original.graph.inputs, { batch: 2, scale: 1 });
      const [before, after] = [await runModel(original, feeds), await runModel(plain, feeds)];
      assert.ok(before.output && after.output);
      assert.ok(cosineDistance(before.output, after.output) < 1e-10);
    });

  test('stay where something else reads what they read, or nothing of weight stands before', async () => {
    const original = net('Gemm');
    original.graph.outputs.push({ name: 'conv', type: 'float32', dims: ['batch', 4, 3, 3] });
    const plain = cloneModel(original);
    await plainForm(plain);
    assert.equal(plain.graph.nodes.filter(({ op }) => op === 'BatchNormalization').length, 1);
    const feeds = noiseFeeds(original.graph.inputs, { batch: 1, scale: 1 });
    const [before, after] = [await runModel(original, feeds), await runModel(plain, feeds)];
    assert.ok(before.output && after.output);
    assert.ok(cosineDistance(before.output, after.output) < 1e-10);
  });
});

test('a layer is found by its name as exporters write it, or by its place', () => {
  const names = ['/conv1/conv/Conv', 'conv_6_sep.conv', '/conv10/Conv', 'Conv_91'];
  const at = (key: string) => layerByKey(names, { key, share: 0.2 }, 3);
  assert.deepEqual(
    ['conv1', 'conv_1', 'conv6_sep', 'conv_6_sep', '/conv10/Conv', 'Conv_91', '2'].map(at),
    [0, 0, 1, 1, 2, 3, 2],
  );
  assert.equal(layerByKey(['Conv_0', 'Conv_9'], { key: 'conv6_sep', share: 0.2 }, 1), 1);
  for (const [key, share] of [
    ['conv9', 0.2],
    ['7', 0.2],
    ['conv1', 1],
    ['conv1', -0.1],
  ] as const)
    assert.throws(
      () => layerByKey(names, { key, share }, 3),
      (error) => error instanceof FacedError && error.code === 'usage.invalid',
    );
});
