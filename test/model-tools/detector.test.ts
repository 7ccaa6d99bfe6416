import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { OrtRunner } from '../../src/inference/session.js';
import { compareStages } from '../../src/model-tools/agreement.js';
import { collectCalibration, evenly, pictureFiles } from '../../src/model-tools/faces.js';
import {
  activations,
  decodeModel,
  encodeModel,
  floatTensor,
  int64Tensor,
  loadModel,
  type Model,
  makeNode,
  type Node,
  noiseFeeds,
  runModel,
  type Tensor,
} from '../../src/model-tools/graph/index.js';
import { cosineDistance, optimizeModel } from '../../src/model-tools/optimize.js';
import { detectorFloat } from '../../src/model-tools/quantize/detector.js';
import { fillChannels } from '../../src/model-tools/quantize/fill.js';
import { headsToGemm } from '../../src/model-tools/quantize/gemm.js';
import { prepareImageInput, readImage } from '../../src/model-tools/quantize/image-input.js';
import { quantizeModel } from '../../src/model-tools/quantize/index.js';
import { insertQdq, quantisedValues } from '../../src/model-tools/quantize/qdq.js';
import { roundRow } from '../../src/model-tools/quantize/rounding.js';
import { rewriteSsdEnd } from '../../src/model-tools/ssd.js';
import { dataPath, withoutData } from '../helpers/data.js';
import { temporaryDir } from '../helpers/dirs.js';
import { testStore } from '../helpers/models.js';
import { noise } from './nets.js';

const ANCHORS = 16;

/** A picture, 12 channels, one head of boxes and one of scores, and the end that UltraFace has; `divisor` is 2 there. */
function ssdNet(divisor = 2): Model {
  const conv = (name: string, input: string, kernel: number): Node =>
    makeNode('Conv', {
      name,
      inputs: [input, `${name}/w`, `${name}/b`],
      outputs: [name],
      attributes: {
        kernel_shape: { kind: 'ints', value: [kernel, kernel] },
        pads: { kind: 'ints', value: Array<number>(4).fill((kernel - 1) / 2) },
      },
    });
  const rows = (name: string, each: number): Node[] => [
    makeNode('Transpose', {
      inputs: [name],
      outputs: [`${name}/t`],
      attributes: { perm: { kind: 'ints', value: [0, 2, 3, 1] } },
    }),
    makeNode('Reshape', { inputs: [`${name}/t`, `to${each}`], outputs: [`${name}/rows`] }),
  ];
  const step = (op: string, output: string, ...inputs: string[]): Node =>
    makeNode(op, { inputs, outputs: [output] });
  const first = (output: string, input: string): Node => step('Slice', output, input, 'zero', 'two', 'two');
  const second = (output: string, input: string): Node => step('Slice', output, input, 'two', 'end', 'two');
  const join = (output: string, ...inputs: string[]): Node =>
    makeNode('Concat', { inputs, outputs: [output], attributes: { axis: { kind: 'int', value: 2 } } });
  const one = (value: number) => int64Tensor([1], [value]);
  return {
    irVersion: 7,
    opsets: new Map([['', 13]]),
    metadata: new Map(),
    graph: {
      name: 'ssd',
      inputs: [{ name: 'input', type: 'float32', dims: ['batch', 3, 4, 4] }],
      outputs: [
        { name: 'scores', type: 'float32', dims: ['batch', ANCHORS, 2] },
        { name: 'boxes', type: 'float32', dims: ['batch', ANCHORS, 4] },
      ],
      initializers: new Map([
        ['stem/w', floatTensor([12, 3, 3, 3], noise(324, 1))],
        ['stem/b', floatTensor([12], noise(12, 2))],
        ['body/w', floatTensor([16, 12, 3, 3], noise(1728, 3))],
        ['body/b', floatTensor([16], noise(16, 4))],
        ['score/w', floatTensor([2, 16, 1, 1], noise(32, 5))],
        ['score/b', floatTensor([2], noise(2, 6))],
        ['box/w', floatTensor([4, 16, 1, 1], noise(64, 7))],
        ['box/b', floatTensor([4], noise(4, 8))],
        ['to2', int64Tensor([3], [0, -1, 2])],
        ['to4', int64Tensor([3], [0, -1, 4])],
        ['zero', one(0)],
        ['two', one(2)],
        ['end', one(2 ** 31)],
        ['tenth', floatTensor([], [0.1])],
        ['fifth', floatTensor([], [0.02])],
        ['divisor', floatTensor([], [divisor])],
        ['size', floatTensor([1, ANCHORS, 2], noise(32, 9))],
        ['middle', floatTensor([1, ANCHORS, 2], noise(32, 10))],
      ]),
      nodes: [
        conv('stem', 'input', 3),
        step('Relu', 'stem/relu', 'stem'),
        conv('body', 'stem/relu', 3),
        step('Relu', 'body/relu', 'body'),
        conv('score', 'body/relu', 1),
        ...rows('score', 2),
        makeNode('Softmax', {
          inputs: ['score/rows'],
          outputs: ['scores'],
          attributes: { axis: { kind: 'int', value: 2 } },
        }),
        conv('box', 'body/relu', 1),
        ...rows('box', 4),
        first('at', 'box/rows'),
        step('Mul', 'at/scaled', 'at', 'tenth'),
        step('Mul', 'at/reach', 'at/scaled', 'size'),
        step('Add', 'centre', 'at/reach', 'middle'),
        second('grow', 'box/rows'),
        step('Mul', 'grow/scaled', 'grow', 'fifth'),
        step('Exp', 'grow/exp', 'grow/scaled'),
        step('Mul', 'extent', 'grow/exp', 'size'),
        join('both', 'centre', 'extent'),
        first('c1', 'both'),
        second('s1', 'both'),
        step('Div', 'h1', 's1', 'divisor'),
        step('Sub', 'low', 'c1', 'h1'),
        first('c2', 'both'),
        second('s2', 'both'),
        step('Div', 'h2', 's2', 'divisor'),
        step('Add', 'high', 'c2', 'h2'),
        join('boxes', 'low', 'high'),
      ],
    },
  };
}

async function assertSame(changed: Model): Promise<void> {
  const feeds = noiseFeeds(ssdNet().graph.inputs, { batch: 2, scale: 1 });
  const [before, after] = [await runModel(ssdNet(), feeds), await runModel(changed, feeds)];
  for (const [name, { data, dims }] of Object.entries(before)) {
    assert.deepEqual(after[name]?.dims, dims);
    data.forEach((value, at) => {
      const other = Number(after[name]?.data[at]);
      assert.ok(Math.abs(Number(value) - other) < 1e-5, `${name}[${at}]: ${other}, not ${value}`);
    });
  }
}

describe('the end of a single-shot detector', () => {
  test('is two products, and answers the same', async () => {
    const model = ssdNet();
    assert.equal(await rewriteSsdEnd(model), 2);
    const ops = new Set(model.graph.nodes.map((node) => node.op));
    for (const op of ['Softmax', 'Slice', 'Div', 'Concat']) assert.ok(!ops.has(op), op);
    await assertSame(model);
    // The difference of two classes is in the head that gives them.
    const sigmoid = model.graph.nodes.find((node) => node.op === 'Sigmoid');
    assert.equal(sigmoid?.inputs[0], 'score/rows');
  });

  test('takes classes apart behind a head that something else reads too', async () => {
    const model = ssdNet();
    model.graph.outputs.push({ name: 'score/t', type: 'float32', dims: ['batch', 4, 4, 2] });
    await rewriteSsdEnd(model);
    const sigmoid = model.graph.nodes.find((node) => node.op === 'Sigmoid');
    assert.notEqual(sigmoid?.inputs[0], 'score/rows');
    await assertSame(model);
  });

  test('stays where boxes are made in another way', async () => {
    const model = ssdNet(3);
    assert.equal(await rewriteSsdEnd(model), 1);
    assert.ok(model.graph.nodes.some((node) => node.op === 'Slice'));
  });

  test('is rewritten in the shipped detector, which still passes the check of its answers', async (t) => {
    const store = await testStore(t);
    const { card } = await store.card('ultraface');
    const { bytes } = await optimizeModel(await loadModel(join(store.dir, card.file)), { target: 'x64' });
    const ops = new Set(decodeModel(bytes).graph.nodes.map((node) => node.op));
    assert.ok(!ops.has('Softmax') && !ops.has('Slice') && ops.has('Sigmoid'));
  });
});

describe('forms that suit a detector in 8 bits', () => {
  test('take heads as matrix products, with the same answers for two pictures', async () => {
    const model = ssdNet();
    await headsToGemm(model);
    const kinds = new Map(model.graph.nodes.map((node) => [node.name, node.op]));
    assert.deepEqual([kinds.get('score'), kinds.get('box')], ['Gemm', 'Gemm']);
    await assertSame(model);
  });

  test('fill twelve channels up to sixteen, with the same answers', async () => {
    const model = ssdNet();
    assert.equal(fillChannels(model.graph), 1);
    const stem = model.graph.nodes.find((node) => node.name === 'stem');
    assert.equal(model.graph.initializers.get(stem?.inputs[1] ?? '')?.dims[0], 16);
    await assertSame(model);
  });

  for (const stride of [1, 2])
    test(`read the picture's bytes in their order, with the same answers; stride ${stride}`, async () => {
      const form = { order: 'rgb', mean: 127, scale: 0.0078125 } as const;
      const width = 4 * stride;
      const strided = (): Model => {
        const model = ssdNet();
        for (const input of model.graph.inputs) input.dims[3] = width;
        const stem = model.graph.nodes.find((node) => node.name === 'stem');
        stem?.attributes.set('strides', { kind: 'ints', value: [1, stride] });
        return model;
      };
      const model = strided();
      prepareImageInput(model, form);
      readImage(model, form);
      assert.ok(!model.graph.nodes.slice(0, 3).some((node) => node.op === 'Transpose'));
      // Rows of blue, green, red; what the float network reads are planes of red, green, blue.
      const pixels = 4 * width;
      const bytes = Uint8Array.from({ length: 3 * pixels }, (_, at) => (at * 37 + 11) % 256);
      const planes = Float32Array.from({ length: 3 * pixels }, (_, at) => {
        const byte = bytes[(at % pixels) * 3 + 2 - Math.floor(at / pixels)] ?? 0;
        return (byte - form.mean) * form.scale;
      });
      const right = await runModel(strided(), {
        input: { type: 'float32', dims: [1, 3, 4, width], data: planes },
      });
      const mine = await runModel(model, { input: { type: 'uint8', dims: [1, 4, width, 3], data: bytes } });
      for (const [name, { data }] of Object.entries(right))
        data.forEach((value, at) => {
          assert.ok(Math.abs(Number(value) - Number(mine[name]?.data[at])) < 1e-5, `${name}[${at}]`);
        });
    });

  /** Two 1x1 convolutions of one picture, a Relu behind some of them and behind what joins them, and a third one. */
  function joiningNet(relus: { readonly second: boolean; readonly after: boolean }): Model {
    const pointwise = (name: string, input: string): Node =>
      makeNode('Conv', { name, inputs: [input, `${name}/w`, `${name}/b`], outputs: [name] });
    const relu = (name: string): Node => makeNode('Relu', { inputs: [name], outputs: [`${name}/relu`] });
    const weights = (name: string, seed: number, inputs: number): [string, Tensor][] => [
      [`${name}/w`, floatTensor([8, inputs, 1, 1], noise(8 * inputs, seed))],
      [`${name}/b`, floatTensor([8], noise(8, seed + 1))],
    ];
    const second = relus.second ? 'b/relu' : 'b';
    return {
      irVersion: 7,
      opsets: new Map([['', 13]]),
      metadata: new Map(),
      graph: {
        name: 'joining',
        inputs: [{ name: 'input', type: 'float32', dims: [1, 3, 8, 8] }],
        outputs: [{ name: 'last', type: 'float32', dims: [1, 8, 8, 8] }],
        initializers: new Map([
          ...[...weights('a', 1, 3), ...weights('b', 3, 3)],
          ...[...weights('c', 5, 16), ...weights('last', 7, 8)],
        ]),
        nodes: [
          pointwise('a', 'input'),
          pointwise('b', 'input'),
          ...(relus.second ? [relu('b')] : []),
          makeNode('Concat', {
            inputs: ['a', second],
            outputs: ['joined'],
            attributes: { axis: { kind: 'int', value: 1 } },
          }),
          ...(relus.after ? [relu('joined')] : []),
          pointwise('c', relus.after ? 'joined/relu' : 'joined'),
          pointwise('last', 'c'),
        ],
      },
    };
  }

  for (const { second, after, onBytes } of [
    { second: false, after: false, onBytes: true },
    { second: true, after: false, onBytes: false },
    { second: false, after: true, onBytes: false },
  ])
    test(`join ${second ? 'a clipped value to one that is not' : 'values alike'}${after ? ', and clip what is joined' : ''}`, async () => {
      const model = joiningNet({ second, after });
      const feeds = noiseFeeds(model.graph.inputs, { batch: 1, scale: 1 });
      const right = await runModel(model, feeds);
      const values = await activations(model, quantisedValues(model.graph, new Set()), feeds);
      insertQdq(model, {
        float: new Set(),
        weightMax: 127,
        stem: null,
        range: (name) => {
          const data = [...(values[name]?.data ?? [])].map(Number);
          return { low: Math.min(0, ...data), high: Math.max(0, ...data) };
        },
      });
      const concat = model.graph.nodes.find((node) => node.op === 'Concat');
      const givers = model.graph.nodes.filter((node) => concat?.inputs.includes(node.outputs[0] ?? ''));
      const op = onBytes ? 'QuantizeLinear' : 'DequantizeLinear';
      assert.deepEqual(new Set(givers.map((node) => node.op)), new Set([op]));
      const mine = await runModel(model, feeds);
      const [one, other] = [right.last, mine.last];
      assert.ok(one !== undefined && other !== undefined);
      assert.ok(cosineDistance(one, other) < 1e-3, `${cosineDistance(one, other)}`);
    });

  test('round weights so that errors cancel where neighbours are alike', () => {
    // Nine values that nearly are one, as the pixels under a kernel.
    const size = 9;
    const covariance = Float64Array.from({ length: size * size }, (_, at) =>
      at % (size + 1) === 0 ? 1 : 0.98,
    );
    const error = (row: Float32Array, values: ArrayLike<number>, scale: number): number => {
      let sum = 0;
      for (let a = 0; a < size; a += 1)
        for (let b = 0; b < size; b += 1)
          sum +=
            (covariance[a * size + b] ?? 0) *
            ((values[a] ?? 0) * scale - (row[a] ?? 0)) *
            ((values[b] ?? 0) * scale - (row[b] ?? 0));
      return sum;
    };
    let [mine, nearest] = [0, 0];
    for (let seed = 1; seed <= 20; seed += 1) {
      const row = noise(size, seed);
      const { values, scale } = roundRow(row, covariance, 127);
      mine += error(row, values, scale);
      const plain = row.map((value) => Math.round(value / scale));
      nearest += error(row, plain, scale);
    }
    assert.ok(mine < 0.5 * nearest, `${mine}, nearest ${nearest}`);
  });

  test('lose no face of photographs that calibration did not see', {
    skip: withoutData('lfw'),
  }, async (t) => {
    const store = await testStore(t);
    const { card } = await store.card('ultraface');
    const path = join(store.dir, card.file);
    const runner = await OrtRunner.open(path, card);
    t.after(() => runner.release());
    const { inputs } = await collectCalibration({
      dir: dataPath('lfw', 'calibration'),
      store,
      stage: { card, runner },
      limit: 32,
    });
    const original = await loadModel(path);
    const { model, shift } = await quantizeModel(original, {
      inputs,
      method: 'minmax',
      equalise: true,
      prelu: 'convMax',
      wideStem: process.arch === 'x64',
      weightMax: 127,
      block: 16,
      float: detectorFloat(original.graph),
      floatBudget: null,
      correct: true,
      byCovariance: true,
      image: null,
      scores: 'scores',
    });
    assert.ok(shift !== null && shift.anchors >= 50 && shift.deviation < 0.3, JSON.stringify(shift));
    // It lies in the heads' biases: nothing is added behind them.
    const giver = new Map(model.graph.nodes.map((node) => [node.outputs[0] ?? '', node]));
    let before = giver.get(model.graph.nodes.find(({ op }) => op === 'Sigmoid')?.inputs[0] ?? '');
    while (before?.op === 'Flatten' || before?.op === 'Reshape') before = giver.get(before.inputs[0] ?? '');
    assert.equal(before?.op, 'Concat');
    const out = join(await temporaryDir(t), 'int8.onnx');
    await writeFile(out, encodeModel(model));
    const agreement = await compareStages({
      store,
      card,
      files: evenly(await pictureFiles(dataPath('lfw', 'images')), 60),
      models: [out, path],
      signal: new AbortController().signal,
      onPicture: () => {},
    });
    assert.ok(agreement.faces >= 60);
    assert.ok(agreement.found >= agreement.faces - 1, JSON.stringify(agreement));
    assert.ok(agreement.meanIou > 0.97, JSON.stringify(agreement));
  });
});
