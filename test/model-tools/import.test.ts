import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { FacedError } from '../../src/domain/errors.js';
import { readCheckpoint, withoutPrefixes } from '../../src/model-tools/checkpoint/torch.js';
import { encodeModel, floatTensor, type Model, runModel } from '../../src/model-tools/graph/index.js';
import { importModel, importOnnx } from '../../src/model-tools/import.js';
import { buildMobileFaceNet } from '../../src/model-tools/mobilefacenet/index.js';
import { dataPath, withoutData } from '../helpers/data.js';
import { temporaryDir } from '../helpers/dirs.js';
import { noise, preluNet } from './nets.js';

const skip = withoutData('checkpoints');
const ZIP = 'mobilefacenet-128-zip.pt';
const STREAM = 'mobilefacenet-128-legacy.ckpt';
const code = (expected: string) => (error: unknown) => error instanceof FacedError && error.code === expected;

describe('a real checkpoint', { skip }, () => {
  for (const file of [ZIP, STREAM]) {
    test(`${file} answers like PyTorch`, async () => {
      const { model, input, dimensions } = await importModel(dataPath('checkpoints', file));
      assert.deepEqual({ ...input, dimensions }, { width: 96, height: 112, dimensions: 128 });
      const data = await floatsOf('input-2x3x112x96.f32');
      const expected = await floatsOf('embedding-2x128.f32');
      const answer = await runModel(model, { input: { type: 'float32', dims: [2, 3, 112, 96], data } });
      for (const row of [0, 1]) {
        const mine = [...(answer.embedding?.data.subarray(row * 128, row * 128 + 128) ?? [])].map(Number);
        assert.ok(distance(mine, [...expected.subarray(row * 128, row * 128 + 128)]) < 1e-6);
      }
    });
  }

  test('gives the same bytes in both forms, twice', async () => {
    const files = [ZIP, STREAM, ZIP].map((file) => importModel(dataPath('checkpoints', file)));
    const [a, b, c] = (await Promise.all(files)).map(({ model }) => Buffer.from(encodeModel(model)));
    assert.ok(a?.equals(b ?? Buffer.alloc(0)) && a.equals(c ?? Buffer.alloc(0)));
  });

  test('cut off anywhere is said to be so', async () => {
    for (const file of [ZIP, STREAM]) {
      const bytes = await readFile(dataPath('checkpoints', file));
      for (const share of [0.999, 0.5, 0.01]) {
        const cut = bytes.subarray(0, Math.floor(bytes.length * share));
        assert.throws(() => readCheckpoint(cut), code('model.unreadable'), `${file} ${share}`);
      }
    }
  });

  test('in the naming of other authors is the same network', async () => {
    const state = readCheckpoint(await readFile(dataPath('checkpoints', ZIP)));
    const renamed = new Map<string, { dims: readonly number[]; values: Float32Array }>(
      [...state].map(([name, tensor]) => {
        const other = name
          .replace('dw_conv1', 'conv2_dw')
          .replace(/^blocks\.(\d+)\.conv/, 'stages.model.$1.layers')
          .replace('linear7', 'conv_6_dw')
          .replace('linear1', 'linear');
        return [`module.backbone.${other}`, tensor] as const;
      }),
    );
    // A margin head for the training classes lies outside the network and is left behind.
    renamed.set('module.head.weight', { dims: [10, 128], values: new Float32Array(1280) });
    const [one, two] = [buildMobileFaceNet(state), buildMobileFaceNet(withoutPrefixes(renamed))];
    assert.equal(two.blocks, 15);
    const data = noise(3 * 112 * 96);
    const feeds = { input: { type: 'float32' as const, dims: [1, 3, 112, 96], data } };
    const [a, b] = [await runModel(one.model, feeds), await runModel(two.model, feeds)];
    assert.deepEqual(a.embedding?.data, b.embedding?.data);
  });

  test('with a head of another kernel size reads pictures of another size', async () => {
    const state = new Map(readCheckpoint(await readFile(dataPath('checkpoints', ZIP))));
    state.set('linear7.conv.weight', { dims: [512, 1, 7, 7], values: noise(512 * 49) });
    state.set('linear1.conv.weight', { dims: [512, 512, 1, 1], values: noise(512 * 512) });
    for (const name of ['weight', 'bias', 'running_mean', 'running_var'])
      state.set(`linear1.bn.${name}`, { dims: [512], values: new Float32Array(512).fill(1) });
    const { input, dimensions } = buildMobileFaceNet(state);
    assert.deepEqual({ ...input, dimensions }, { width: 112, height: 112, dimensions: 512 });
  });

  test('of another network is refused with the shapes that did not fit', async () => {
    const state = new Map(readCheckpoint(await readFile(dataPath('checkpoints', ZIP))));
    const resnet = new Map(state);
    resnet.delete('dw_conv1.conv.weight');
    assert.throws(() => buildMobileFaceNet(resnet), code('checkpoint.mismatch'));
    state.set('blocks.3.conv.0.weight', { dims: [128, 32, 1, 1], values: noise(4096) });
    assert.throws(() => buildMobileFaceNet(state), /blocks\.3\.conv\.0 of shape \[128, 32, 1, 1\] where 64/);
  });
});

describe('a pickle', () => {
  const bytes = (...parts: (string | number[])[]): Uint8Array =>
    Buffer.concat(
      parts.map((part) => (typeof part === 'string' ? Buffer.from(part, 'latin1') : Buffer.from(part))),
    );
  const cases: [string, Uint8Array, RegExp][] = [
    [
      'os.system by REDUCE',
      bytes([0x80, 2], 'cposix\nsystem\nX', [2, 0, 0, 0], 'id', [0x85], 'R.'),
      /posix\.system/,
    ],
    [
      'os.system by name',
      bytes([0x80, 4], [0x8c, 2], 'os', [0x8c, 6], 'system', [0x93], ')R.'),
      /os\.system/,
    ],
    ['eval', bytes([0x80, 2], 'c__builtin__\neval\nX', [1, 0, 0, 0], '1', [0x85], 'R.'), /__builtin__\.eval/],
    ['an unknown function', bytes([0x80, 2], 'cacme.models\nload\n)R.'), /acme\.models\.load/],
    [
      'a class made with arguments',
      bytes([0x80, 2], 'cacme\nThing\nK', [1], [0x85], [0x81], '.'),
      /acme\.Thing/,
    ],
    ['a class made by INST with arguments', bytes([0x80, 2], '(K', [1], 'iacme\nThing\n.'), /acme\.Thing/],
    ['an extension code', bytes([0x80, 2, 0x82, 1], '.'), /0x82/],
  ];
  for (const [name, pickle, expected] of cases) {
    test(`with ${name} is refused by name`, () => {
      assert.throws(
        () => readCheckpoint(pickle),
        (error) =>
          error instanceof FacedError && error.code === 'checkpoint.refused' && expected.test(error.message),
      );
    });
  }

  test('that is damaged is said to be so', () => {
    for (const wrong of [
      bytes([0x80, 2], 'R.'),
      bytes([0x80, 2], 'X', [255, 255, 255, 127]),
      bytes([0x80, 2], 'h', [9], '.'),
    ])
      assert.throws(() => readCheckpoint(wrong), code('model.unreadable'));
  });
});

describe('an ONNX recogniser', () => {
  test('of opset 9, fixed to one picture, gets the standard names and any batch', async () => {
    const { model, dimensions } = await importOnnx(tinyRecogniser());
    assert.equal(dimensions, 16);
    assert.equal(model.opsets.get(''), 13);
    const data = noise(3 * 3 * 8 * 8);
    const answer = await runModel(model, { input: { type: 'float32', dims: [3, 3, 8, 8], data } });
    assert.deepEqual(answer.embedding?.dims, [3, 16]);
  });

  test('of a foreign domain, an old opset, or another shape is refused', async () => {
    const foreign = tinyRecogniser();
    for (const node of foreign.graph.nodes) if (node.op === 'PRelu') node.domain = 'com.acme';
    await assert.rejects(importOnnx(foreign), /com\.acme\.PRelu/);
    const old = tinyRecogniser();
    old.opsets.set('', 8);
    await assert.rejects(importOnnx(old), code('model.unsupported'));
    const newer = tinyRecogniser();
    newer.opsets.set('', 22);
    await assert.rejects(importOnnx(newer), code('model.unsupported'));
    await assert.rejects(importOnnx(preluNet()), /its output has the shape/);
  });

  test('with an operator that nobody knows is refused', async () => {
    const model = tinyRecogniser();
    for (const node of model.graph.nodes) if (node.op === 'PRelu') node.op = 'Telepathy';
    await assert.rejects(importOnnx(model), code('model.run-failed'));
  });

  test('that is missing is said to be so', async (t) => {
    const dir = await temporaryDir(t);
    await assert.rejects(importModel(join(dir, 'none.onnx')), code('usage.not-found'));
    await writeFile(join(dir, 'text.onnx'), 'not a model');
    await assert.rejects(importModel(join(dir, 'text.onnx')), code('model.unreadable'));
  });
});

/** 8x8 pictures to 16 numbers, with a map of one pixel at the end as some exporters leave it. */
function tinyRecogniser(): Model {
  const model = preluNet();
  model.opsets.set('', 9);
  model.graph.inputs = [{ name: 'data', type: 'float32', dims: [1, 3, 8, 8] }];
  for (const node of model.graph.nodes)
    node.inputs = node.inputs.map((name) => (name === 'input' ? 'data' : name));
  model.graph.initializers.set('w2', floatTensor([16, 8, 8, 8], noise(16 * 512)));
  model.graph.outputs = [{ name: 'output', type: 'float32', dims: [1, 16, 1, 1] }];
  return model;
}

async function floatsOf(file: string): Promise<Float32Array> {
  const bytes = await readFile(dataPath('checkpoints', file));
  return new Float32Array(new Uint8Array(bytes).buffer);
}

function distance(a: readonly number[], b: readonly number[]): number {
  const dot = (x: readonly number[], y: readonly number[]): number =>
    x.reduce((sum, value, i) => sum + value * (y[i] ?? 0), 0);
  return 1 - dot(a, b) / Math.sqrt(dot(a, a) * dot(b, b));
}
