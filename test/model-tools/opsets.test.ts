import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { FacedError } from '../../src/domain/errors.js';
import {
  type Attribute,
  decodeModel,
  encodeModel,
  floatTensor,
  int64Tensor,
  type Model,
  makeNode,
  type Node,
  noiseFeeds,
  runModel,
  type Tensor,
} from '../../src/model-tools/graph/index.js';
import { importOnnx } from '../../src/model-tools/import.js';
import { cosineDistance } from '../../src/model-tools/optimize.js';
import { noise } from './nets.js';

/** The IR version that came with an opset (ONNX, "Versioning"). */
const IR: Readonly<Record<number, number>> = {
  9: 4,
  10: 5,
  11: 6,
  12: 7,
  13: 7,
  14: 7,
  15: 8,
  16: 8,
  17: 8,
  18: 8,
  19: 9,
  20: 9,
  21: 10,
};

const ints = (...value: number[]): Attribute => ({ kind: 'ints', value });
const float = (value: number): Attribute => ({ kind: 'float', value });

/** A recogniser of 8x8 pictures in which every operator stands whose form changed between opset 9 and 21. */
function recogniser(opset: number, batch: number | string, softmaxAxis = 1): Model {
  const initializers = new Map<string, Tensor>([
    ['w1', floatTensor([8, 3, 3, 3], noise(216))],
    ['gamma', floatTensor([8], noise(8, 3))],
    ['beta', floatTensor([8], noise(8, 4))],
    ['mean', floatTensor([8], noise(8, 5))],
    [
      'variance',
      floatTensor(
        [8],
        noise(8, 6).map((value) => 1 + value * value),
      ),
    ],
    ['wg', floatTensor([16, 288], noise(16 * 288, 7))],
    ['bg', floatTensor([16], noise(16, 8))],
  ]);
  const nodes: Node[] = [];
  let at = 'picture';
  /** An operator whose `name` was an attribute before opset `since` and is an input from it on. */
  const step = (
    op: string,
    values: Readonly<Record<string, Attribute>> = {},
    since = Number.POSITIVE_INFINITY,
    more: { inputs?: string[]; outputs?: number } = {},
  ): void => {
    const output = `${op.toLowerCase()}${nodes.length}`;
    const inputs = [at, ...(more.inputs ?? [])];
    if (opset >= since) {
      for (const [name, value] of Object.entries(values)) {
        initializers.set(
          `${output}.${name}`,
          value.kind === 'ints'
            ? int64Tensor([value.value.length], value.value)
            : floatTensor([], [Number(value.value)]),
        );
        inputs.push(`${output}.${name}`);
      }
    }
    const outputs = [
      output,
      ...Array.from({ length: (more.outputs ?? 1) - 1 }, (_, index) => `${output}.${index}`),
    ];
    nodes.push(makeNode(op, { inputs, outputs, ...(opset >= since ? {} : { attributes: { ...values } }) }));
    at = output;
  };
  step('Conv', {}, 99, { inputs: ['w1'] });
  step('BatchNormalization', { epsilon: float(1e-5) }, 99, { inputs: ['gamma', 'beta', 'mean', 'variance'] });
  step('Clip', { min: float(-0.5), max: float(2) }, 11);
  step('Pad', { pads: ints(0, 0, 1, 1, 0, 0, 1, 1), value: float(0.25) }, 11);
  step('Slice', { starts: ints(0, 1), ends: ints(8, 7), axes: ints(2, 3) }, 10);
  step('Split', { split: ints(4, 4) }, 13, { outputs: 2 });
  nodes.push(
    makeNode('Concat', {
      inputs: [`${at}.0`, at],
      outputs: ['joined'],
      attributes: { axis: { kind: 'int', value: 1 } },
    }),
  );
  const split = nodes.at(-2);
  split?.attributes.set('axis', { kind: 'int', value: 1 });
  at = 'joined';
  step('Dropout');
  step('Unsqueeze', { axes: ints(4) }, 13);
  step('Squeeze', { axes: ints(4) }, 13);
  step('Softmax');
  nodes.at(-1)?.attributes.set('axis', { kind: 'int', value: softmaxAxis });
  step('ReduceSum', { axes: ints(2) }, 13);
  nodes.at(-1)?.attributes.set('keepdims', { kind: 'int', value: 1 });
  const summed = at;
  at = 'joined';
  step('ReduceMean', { axes: ints(3) }, 18);
  nodes.at(-1)?.attributes.set('keepdims', { kind: 'int', value: 1 });
  nodes.push(makeNode('Add', { inputs: [summed, at], outputs: ['both'] }));
  at = 'both';
  step('Flatten');
  initializers.set('wg', floatTensor([16, 8 * 48], noise(16 * 384, 7)));
  nodes.push(
    makeNode('Gemm', {
      inputs: [at, 'wg', 'bg'],
      outputs: ['feature'],
      attributes: { transB: { kind: 'int', value: 1 } },
    }),
  );
  return {
    irVersion: IR[opset] ?? 7,
    opsets: new Map([['', opset]]),
    metadata: new Map(),
    graph: {
      name: 'every-form',
      inputs: [{ name: 'picture', type: 'float32', dims: [batch, 3, 8, 8] }],
      outputs: [{ name: 'feature', type: 'float32', dims: [batch, 16] }],
      initializers,
      nodes,
    },
  };
}

describe('a recogniser in ONNX', () => {
  for (let opset = 9; opset <= 21; opset += 1) {
    for (const batch of [1, 'n']) {
      test(`of opset ${opset}, ${batch === 1 ? 'for one picture' : 'of any batch'}, is imported and answers as before`, async () => {
        const original = recogniser(opset, batch);
        const { model, input, dimensions } = await importOnnx(decodeModel(encodeModel(original)));
        assert.deepEqual({ ...input, dimensions }, { width: 8, height: 8, dimensions: 16 });
        assert.deepEqual([model.graph.inputs[0]?.name, model.graph.outputs[0]?.name], ['input', 'embedding']);
        assert.equal(model.opsets.get(''), Math.max(13, opset));
        assert.equal(typeof model.graph.inputs[0]?.dims[0], 'string');
        assert.ok(model.graph.nodes.every(({ op }) => op !== 'BatchNormalization'));
        for (const seed of [1, 2, 3]) {
          const data = noise(192, 40 + seed);
          const before = await runModel(original, { picture: { type: 'float32', dims: [1, 3, 8, 8], data } });
          const after = await runModel(model, { input: { type: 'float32', dims: [1, 3, 8, 8], data } });
          assert.ok(before.feature && after.embedding);
          assert.ok(cosineDistance(before.feature, after.embedding) < 1e-9);
        }
        const many = await runModel(model, noiseFeeds(model.graph.inputs, { batch: 4, scale: 1 }));
        assert.deepEqual(many.embedding?.dims, [4, 16]);
      });
    }
  }

  for (const axis of [1, 2, 3])
    test(`of opset 11 with a softmax from dimension ${axis} on keeps its meaning`, async () => {
      const original = recogniser(11, 1, axis);
      const { model } = await importOnnx(original);
      const data = noise(192, 9);
      const before = await runModel(original, { picture: { type: 'float32', dims: [1, 3, 8, 8], data } });
      const after = await runModel(model, { input: { type: 'float32', dims: [1, 3, 8, 8], data } });
      assert.ok(before.feature && after.embedding);
      assert.ok(cosineDistance(before.feature, after.embedding) < 1e-9);
    });

  test('with an input or output of another shape is refused with the shape', async () => {
    const refused = (expected: RegExp) => (error: unknown) =>
      error instanceof FacedError && error.code === 'model.unsupported' && expected.test(error.message);
    const grey = recogniser(13, 1);
    grey.graph.inputs = [{ name: 'picture', type: 'float32', dims: [1, 1, 8, 8] }];
    await assert.rejects(importOnnx(grey), refused(/\[1,1,8,8\]/));
    const free = recogniser(13, 1);
    free.graph.inputs = [{ name: 'picture', type: 'float32', dims: [1, 3, 'height', 'width'] }];
    await assert.rejects(importOnnx(free), refused(/height,width/));
    const map = recogniser(13, 1);
    map.graph.outputs = [{ name: 'joined', type: 'float32', dims: [1, 8, 8, 6] }];
    await assert.rejects(importOnnx(map), refused(/its output has the shape/));
    const two = recogniser(13, 1);
    two.graph.inputs.push({ name: 'other', type: 'float32', dims: [1] });
    await assert.rejects(importOnnx(two), refused(/2 inputs/));
  });
});
