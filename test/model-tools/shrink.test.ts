import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { ShardedModel } from '../../src/inference/sharded.js';
import { halfToFloat } from '../../src/model-tools/checkpoint/torch.js';
import { removeDeadChannels } from '../../src/model-tools/dead.js';
import {
  cloneModel,
  decodeModel,
  encodeModel,
  floats,
  floatTensor,
  type Model,
  makeNode,
  noiseFeeds,
  runModel,
  traceShapes,
} from '../../src/model-tools/graph/index.js';
import { floatToHalf, halveModel } from '../../src/model-tools/half.js';
import { inspectModel, macsOf } from '../../src/model-tools/inspect.js';
import { cosineDistance } from '../../src/model-tools/optimize.js';
import {
  chooseByBudget,
  chooseByLayer,
  chooseByMacs,
  pruneChannels,
  rankChannels,
} from '../../src/model-tools/prune.js';
import { detectorFloat } from '../../src/model-tools/quantize/detector.js';
import { quantizeDynamic } from '../../src/model-tools/quantize/dynamic.js';
import { gemmToPointwise } from '../../src/model-tools/quantize/gemm.js';
import { compare, type QuantizeOptions, quantizeModel } from '../../src/model-tools/quantize/index.js';
import { findStem, widenStem } from '../../src/model-tools/quantize/stem.js';
import { pruneWeights } from '../../src/model-tools/sparse.js';
import { splitModel } from '../../src/model-tools/split.js';
import { temporaryDir } from '../helpers/dirs.js';
import { noise } from './nets.js';

/** Expand to 32 channels, depthwise, project, flatten, product: what a MobileFaceNet block and head are made of. */
function blockNet(dead = 0): Model {
  const expand = noise(32 * 3, 3);
  const bias = noise(32, 4);
  const project = noise(8 * 32, 6);
  for (let channel = 0; channel < dead; channel += 1) {
    expand.fill(0, channel * 3, channel * 3 + 3);
    bias[channel] = 0;
  }
  return {
    irVersion: 7,
    opsets: new Map([['', 13]]),
    metadata: new Map(),
    graph: {
      name: 'block',
      inputs: [{ name: 'input', type: 'float32', dims: ['batch', 3, 8, 8] }],
      outputs: [{ name: 'embedding', type: 'float32', dims: ['batch', 64] }],
      initializers: new Map([
        ['we', floatTensor([32, 3, 1, 1], expand)],
        ['be', floatTensor([32], bias)],
        ['s1', floatTensor([32, 1, 1], noise(32, 7))],
        ['wd', floatTensor([32, 1, 3, 3], noise(288, 5))],
        ['bd', floatTensor([32], noise(32, 8))],
        ['s2', floatTensor([32, 1, 1], noise(32, 9))],
        ['wp', floatTensor([8, 32, 1, 1], project)],
        ['bp', floatTensor([8], noise(8, 10))],
        ['wg', floatTensor([64, 512], noise(64 * 512, 11))],
        ['bg', floatTensor([64], noise(64, 12))],
      ]),
      nodes: [
        makeNode('Conv', { name: 'expand', inputs: ['input', 'we', 'be'], outputs: ['e'] }),
        makeNode('PRelu', { inputs: ['e', 's1'], outputs: ['ea'] }),
        makeNode('Conv', {
          name: 'depthwise',
          inputs: ['ea', 'wd', 'bd'],
          outputs: ['d'],
          attributes: { group: { kind: 'int', value: 32 }, pads: { kind: 'ints', value: [1, 1, 1, 1] } },
        }),
        makeNode('PRelu', { inputs: ['d', 's2'], outputs: ['da'] }),
        makeNode('Conv', { name: 'project', inputs: ['da', 'wp', 'bp'], outputs: ['p'] }),
        makeNode('Flatten', { inputs: ['p'], outputs: ['flat'] }),
        makeNode('Gemm', {
          name: 'product',
          inputs: ['flat', 'wg', 'bg'],
          outputs: ['embedding'],
          attributes: { transB: { kind: 'int', value: 1 } },
        }),
      ],
    },
  };
}

/** A convolution over a picture, and one after it. */
function stemNet(stride: number, kernel: number, size = 16): Model {
  const pad = (kernel - 1) / 2;
  return {
    irVersion: 7,
    opsets: new Map([['', 13]]),
    metadata: new Map(),
    graph: {
      name: 'stem',
      inputs: [{ name: 'input', type: 'float32', dims: ['batch', 3, size, size] }],
      outputs: [{ name: 'output', type: 'float32', dims: ['batch', 4, size / stride, size / stride] }],
      initializers: new Map([
        ['w', floatTensor([8, 3, kernel, kernel], noise(24 * kernel * kernel))],
        ['b', floatTensor([8], noise(8, 2))],
        ['w2', floatTensor([4, 8, 1, 1], noise(32, 3))],
      ]),
      nodes: [
        makeNode('Conv', {
          inputs: ['input', 'w', 'b'],
          outputs: ['first'],
          attributes: {
            pads: { kind: 'ints', value: [pad, pad, pad, pad] },
            strides: { kind: 'ints', value: [stride, stride] },
          },
        }),
        makeNode('Conv', { inputs: ['first', 'w2'], outputs: ['output'] }),
      ],
    },
  };
}

const inputs = Array.from({ length: 16 }, (_, index) => noise(192, 100 + index));
const OPTIONS: QuantizeOptions = {
  inputs,
  method: 'mse',
  equalise: true,
  prelu: 'convMax',
  wideStem: true,
  weightMax: 127,
  block: 16,
  float: new Set(),
  floatBudget: null,
  correct: false,
  image: null,
};

describe('dead channels', () => {
  test('leave in whole blocks, with what they always said kept in the bias', async () => {
    const model = blockNet(20);
    const smaller = cloneModel(model);
    assert.equal(removeDeadChannels(smaller), 16);
    assert.deepEqual(smaller.graph.initializers.get('wp')?.dims, [8, 16, 1, 1]);
    const feeds = noiseFeeds(model.graph.inputs, { batch: 2, scale: 1 });
    const [a, b] = [await runModel(model, feeds), await runModel(smaller, feeds)];
    assert.ok(a.embedding && b.embedding);
    assert.ok(cosineDistance(a.embedding, b.embedding) < 1e-9);
  });

  test('are none where all channels speak', () => {
    assert.equal(removeDeadChannels(blockNet()), 0);
  });
});

describe('8 bits', () => {
  for (const method of ['mse', 'minmax', 'percentile', 'entropy'] as const) {
    test(`calibrated by ${method} answer like float, in a quarter of the bytes`, async () => {
      const { model } = await quantizeModel(blockNet(), { ...OPTIONS, method });
      const { mean } = await compare(blockNet(), model, inputs);
      assert.ok(mean > 0.99, `${mean}`);
      assert.ok(encodeModel(model).length < 0.45 * encodeModel(blockNet()).length);
      assert.ok(model.graph.nodes.some((node) => node.op === 'DequantizeLinear'));
    });
  }

  test('are the same bytes twice', async () => {
    const [a, b] = [await quantizeModel(blockNet(), OPTIONS), await quantizeModel(blockNet(), OPTIONS)];
    assert.deepEqual(Buffer.from(encodeModel(a.model)), Buffer.from(encodeModel(b.model)));
  });

  for (const order of ['bgr', 'rgb'] as const) {
    test(`read ${order === 'rgb' ? 'an RGB' : 'a BGR'} network's pictures as bytes`, async () => {
      const image = { order, mean: 127.5, scale: 1 / 128 };
      const pictures = inputs.map((input) =>
        input.map((value) => (Math.round(value * 127.5 + 127.5) - 127.5) / 128),
      );
      const { model } = await quantizeModel(blockNet(), { ...OPTIONS, inputs: pictures, image });
      assert.deepEqual(model.graph.inputs[0]?.dims, ['batch', 8, 8, 3]);
      assert.ok((await compare(blockNet(), model, pictures, image)).mean > 0.99);

      const float = new Set(['expand']);
      const mixed = await quantizeModel(blockNet(), { ...OPTIONS, inputs: pictures, image, float });
      assert.equal(mixed.model.graph.inputs[0]?.type, 'uint8');
      assert.ok((await compare(blockNet(), mixed.model, pictures, image)).mean > 0.99);
    });
  }

  for (const [stride, kernel] of [
    [2, 3],
    [1, 3],
    [2, 5],
  ] as const) {
    test(`take four pixels as one before a ${kernel}x${kernel} convolution of stride ${stride}, and sum the same`, async () => {
      const model = stemNet(stride, kernel);
      const wide = cloneModel(model);
      const stem = await findStem(wide);
      assert.ok(stem);
      widenStem(wide.graph, stem);
      for (const batch of [1, 2]) {
        const feeds = noiseFeeds(model.graph.inputs, { batch, scale: 1 });
        const [a, b] = [await runModel(model, feeds), await runModel(wide, feeds)];
        assert.ok(a.output && b.output);
        assert.deepEqual(a.output.dims, b.output.dims);
        assert.ok(cosineDistance(a.output, b.output) < 1e-9);
      }
    });
  }

  test('leave a picture alone whose rows do not divide by four', async () => {
    assert.equal(await findStem(stemNet(2, 3, 10)), null);
  });

  test('leave named layers in float', async () => {
    const { model } = await quantizeModel(blockNet(), { ...OPTIONS, float: new Set(['product']) });
    assert.equal(model.graph.initializers.get('wg')?.type, 'float32');
  });

  test('leave a detector its way in until the map is an eighth of the picture, and heads with a kernel', () => {
    const conv = (name: string, input: string, stride: number, kernel = 1) =>
      makeNode('Conv', {
        name,
        inputs: [input, `${name}/w`],
        outputs: [name],
        attributes: {
          strides: { kind: 'ints', value: [stride, stride] },
          kernel_shape: { kind: 'ints', value: [kernel, kernel] },
        },
      });
    const { graph } = blockNet();
    graph.inputs = [{ name: 'picture', type: 'float32', dims: [1, 3, 32, 32] }];
    graph.nodes = [
      conv('stem', 'picture', 2),
      makeNode('Relu', { inputs: ['stem'], outputs: ['positive'] }),
      conv('second', 'positive', 1),
      conv('third', 'second', 4),
      conv('later', 'third', 1),
      conv('score', 'later', 1),
      makeNode('Transpose', { inputs: ['score'], outputs: ['rows'] }),
      conv('box', 'later', 1, 3),
      makeNode('Transpose', { inputs: ['box'], outputs: ['others'] }),
    ];
    assert.deepEqual([...detectorFloat(graph)], ['stem', 'second', 'third', 'box']);
  });

  test('leave the layers in float that hurt most, until the answer is within the budget', async () => {
    const plain = (await quantizeModel(blockNet(), OPTIONS)).chosen;
    assert.equal(plain, null);
    const wide = await quantizeModel(blockNet(), { ...OPTIONS, floatBudget: 0.5 });
    assert.deepEqual([...(wide.chosen?.float ?? ['?'])], []);
    const before = wide.chosen?.before ?? 0;
    const narrow = await quantizeModel(blockNet(), { ...OPTIONS, floatBudget: before / 2 });
    assert.ok(narrow.chosen && narrow.chosen.float.size > 0);
    assert.ok(narrow.chosen.after <= before / 2);
    const said = 1 - (await compare(blockNet(), narrow.model, inputs)).mean;
    assert.ok(Math.abs(said - narrow.chosen.after) < before / 4, `${said}, not ${narrow.chosen.after}`);
    assert.ok(narrow.chosen.sensitivities.every(({ macs }) => macs > 0));
  });

  test('with biases corrected are wrong by nothing in the mean', async () => {
    const meanError = async (correct: boolean): Promise<number> => {
      const { model } = await quantizeModel(blockNet(), { ...OPTIONS, wideStem: false, correct });
      const error = new Float64Array(64);
      for (const data of inputs) {
        const feeds = { input: { type: 'float32' as const, dims: [1, 3, 8, 8], data } };
        const [a, b] = [await runModel(blockNet(), feeds), await runModel(model, feeds)];
        for (let at = 0; at < 64; at += 1)
          error[at] = (error[at] ?? 0) + Number(b.embedding?.data[at]) - Number(a.embedding?.data[at]);
      }
      return error.reduce((sum, value) => sum + Math.abs(value), 0);
    };
    assert.ok((await meanError(true)) < 0.1 * (await meanError(false)));
  });

  test('found anew for every picture answer like float', async () => {
    assert.ok((await compare(blockNet(), quantizeDynamic(blockNet()), inputs)).mean > 0.99);
  });
});

describe('half precision', () => {
  test('rounds to nearest, ties to even, and back', () => {
    for (const value of [0, 1, -2, 65504, 2 ** -24, 2 ** -14, 0.333251953125])
      assert.equal(halfToFloat(floatToHalf(value)), value);
    assert.equal(halfToFloat(floatToHalf(1 + 2 ** -11)), 1);
    assert.equal(halfToFloat(floatToHalf(1 + 3 * 2 ** -11)), 1 + 2 ** -9);
    assert.equal(halfToFloat(floatToHalf(70000)), Number.POSITIVE_INFINITY);
  });

  test('keeps float at both ends and refuses what overflows', async () => {
    const { model } = await halveModel(blockNet(), inputs);
    assert.ok((await compare(blockNet(), model, inputs)).mean > 0.9999);
    const loud = blockNet();
    const weight = loud.graph.initializers.get('we');
    assert.ok(weight);
    loud.graph.initializers.set(
      'we',
      floatTensor(
        weight.dims,
        floats(weight).map((value) => value * 1e6),
      ),
    );
    await assert.rejects(halveModel(loud, inputs), /does not fit half precision/);
  });
});

describe('pruning', () => {
  test('takes channels out of the graph, least important first, and refits the reader', async () => {
    const model = blockNet();
    const before = await inspectModel(model);
    const pruned = await pruneChannels(model, {
      inputs,
      choose: (ranked) => chooseByLayer(ranked, new Map([['expand', 0.5]])),
    });
    assert.deepEqual(pruned.layers, [{ name: 'expand', channels: 32, removed: 16 }]);
    const after = await inspectModel(decodeModel(encodeModel(pruned.model)));
    assert.ok(after.macs < before.macs);
    const refitted = (await compare(model, pruned.model, inputs)).mean;
    assert.ok(refitted > 0.8, `${refitted}`);
  });

  test('by budget takes nothing when the budget is nothing, and refuses a layer that is not there', async () => {
    const ranked = await rankChannels(blockNet(), inputs);
    assert.deepEqual([...chooseByBudget(ranked, 0).values()], [0]);
    assert.throws(() => chooseByLayer(ranked, new Map([['conv9', 0.5]])), /fits no layer/);
  });
});

describe('pruning a network with a product at its end', () => {
  /** A block whose map has one pixel when the product reads it. */
  function headNet(): Model {
    const model = blockNet();
    const { graph } = model;
    graph.initializers.set('wg', floatTensor([8, 32], noise(256, 21)));
    graph.initializers.set('bg', floatTensor([8], noise(8, 22)));
    graph.outputs = [{ name: 'embedding', type: 'float32', dims: ['batch', 8] }];
    graph.nodes = [
      ...graph.nodes.filter(({ name, op }) => name !== 'project' && op !== 'Flatten' && op !== 'Gemm'),
      makeNode('GlobalAveragePool', { inputs: ['da'], outputs: ['pixel'] }),
      makeNode('Flatten', { inputs: ['pixel'], outputs: ['flat'] }),
      makeNode('Gemm', {
        name: 'product',
        inputs: ['flat', 'wg', 'bg'],
        outputs: ['embedding'],
        attributes: { transB: { kind: 'int', value: 1 } },
      }),
    ];
    return model;
  }

  test('makes the product a 1x1 convolution first, which answers the same', async () => {
    const model = headNet();
    const other = cloneModel(model);
    await gemmToPointwise(other);
    assert.ok(!other.graph.nodes.some(({ op }) => op === 'Gemm'));
    assert.ok((await compare(model, other, inputs)).least > 1 - 1e-9);
  });

  test('takes exactly the share of the layer, with photographs and without', async () => {
    const model = headNet();
    await gemmToPointwise(model);
    for (const fed of [inputs, []]) {
      const { model: pruned, layers } = await pruneChannels(model, {
        inputs: fed,
        block: 1,
        choose: (ranked) => chooseByLayer(ranked, new Map([['conv1', 0.2]])),
      });
      assert.deepEqual(layers, [{ name: 'expand', channels: 32, removed: 6 }]);
      const read = decodeModel(encodeModel(pruned));
      assert.ok((await inspectModel(read)).layers.some(({ output }) => output[1] === 26));
    }
  });

  test('saves the multiply-accumulates that were asked for, whatever left before', async () => {
    const model = blockNet();
    const { macs } = await inspectModel(model);
    const shapes = await traceShapes(model);
    const saved = async (share: number, already = 0): Promise<number> => {
      const { model: pruned } = await pruneChannels(model, {
        inputs,
        choose: (ranked) =>
          chooseByMacs(ranked, { macs, already, share, macsOf: (node) => macsOf(node, shapes) }),
      });
      return 1 - (await inspectModel(pruned)).macs / macs;
    };
    assert.ok((await saved(0.1)) >= 0.1);
    assert.equal(await saved(0.1, 0.1 * macs), 0);
    await assert.rejects(saved(0.9), /no choice of channels saves that much/);
  });

  test('unstructured makes the smallest weights zero and counts them', () => {
    const model = blockNet();
    const { model: sparse, layers, sparsity } = pruneWeights(model, new Map([['project', 0.25]]));
    assert.deepEqual(layers[2], { name: 'project', weights: 256, zeros: 64 });
    assert.ok(Math.abs(sparsity - 64 / (96 + 288 + 256 + 64 * 512)) < 1e-12);
    const [before, after] = [model, sparse].map(({ graph }) => graph.initializers.get('wp'));
    assert.ok(before && after);
    const kept = floats(after)
      .filter((value) => value !== 0)
      .map(Math.abs);
    const gone = floats(before)
      .filter((_, at) => floats(after)[at] === 0)
      .map(Math.abs);
    assert.ok(Math.max(...gone) <= Math.min(...kept));
  });
});

describe('inspection', () => {
  test('of a depthwise pair counts what arithmetic says, and what one standard convolution would cost', async () => {
    const { layers } = await inspectModel(blockNet());
    const costs = new Map(layers.map((layer) => [layer.name, layer]));
    const figures = (name: string) => {
      const { macs = -1, standardMacs = -1, parameters = -1, bytes = -1 } = costs.get(name) ?? {};
      return { macs, standardMacs, parameters, bytes };
    };
    // 8x8 pixels, 3 to 32 channels by 1x1.
    const expand = { macs: 64 * 3 * 32, standardMacs: 64 * 3 * 32, parameters: 128, bytes: 512 };
    assert.deepEqual(figures('expand'), expand);
    // 3x3 on each of 32 channels; in its place and that of the 1x1 behind it one 3x3 from 32 to 8.
    const depthwise = { macs: 64 * 9 * 32, standardMacs: 64 * 9 * 32 * 8, parameters: 320, bytes: 1280 };
    assert.deepEqual(figures('depthwise'), depthwise);
    const project = { macs: 64 * 32 * 8, standardMacs: 0, parameters: 264, bytes: 1056 };
    assert.deepEqual(figures('project'), project);
  });
});

describe('shards', () => {
  test('run one after another and answer bit for bit like the whole, with a heavy product cut by its rows', async (t) => {
    const dir = await temporaryDir(t);
    const model = blockNet();
    const { plan, files } = await splitModel(model, 4);
    for (const [name, bytes] of files) await writeFile(join(dir, name), bytes);
    await writeFile(join(dir, 'shards.json'), JSON.stringify(plan));
    const heaviest = Math.max(...plan.shards.map(({ bytes }) => bytes));
    assert.ok(plan.shards.length >= 3 && heaviest < 0.5 * encodeModel(model).length);
    const feeds = noiseFeeds(model.graph.inputs, { batch: 1, scale: 1 });
    assert.ok(feeds.input);
    const whole = await runModel(model, feeds, { optimisation: 'extended' });
    const cut = await (await ShardedModel.open(dir, { optimisation: 'extended' })).run(feeds.input);
    assert.deepEqual(cut.data, whole.embedding?.data);
  });
});
