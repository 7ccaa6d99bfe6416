import assert from 'node:assert/strict';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { iresnet } from '../../bench/iresnet.js';
import { FacedError } from '../../src/domain/errors.js';
import { ShardedModel } from '../../src/inference/sharded.js';
import {
  encodeModel,
  floatTensor,
  loadModel,
  type Model,
  makeNode,
  noiseFeeds,
  runModel,
} from '../../src/model-tools/graph/index.js';
import { measureMemory } from '../../src/model-tools/memory.js';
import { cosineDistance } from '../../src/model-tools/optimize.js';
import { type ShardPlan, splitModel } from '../../src/model-tools/split.js';
import { temporaryDir } from '../helpers/dirs.js';
import { facedIn } from '../helpers/faced.js';
import { testModels } from '../helpers/models.js';
import { netOf, noise } from './nets.js';

/** An IResNet with few channels whose product at the end weighs nearly half of all, as in the real one. */
const SMALL = iresnet({
  stem: 16,
  stages: [
    [16, 2],
    [32, 2],
    [64, 3],
  ],
  side: 64,
  dimensions: 128,
});

async function writeShards(
  dir: string,
  { plan, files }: { plan: ShardPlan; files: Map<string, Uint8Array> },
) {
  for (const [name, bytes] of files) await writeFile(join(dir, name), bytes);
  await writeFile(join(dir, 'shards.json'), JSON.stringify(plan));
}

async function answersLikeWhole(model: Model, dir: string): Promise<void> {
  const feeds = noiseFeeds(model.graph.inputs, { batch: 1, scale: 1 });
  const input = Object.values(feeds)[0];
  const name = model.graph.outputs[0]?.name ?? '';
  assert.ok(input);
  for (const optimisation of ['extended', 'all'] as const) {
    const whole = (await runModel(model, feeds, { optimisation }))[name];
    const cut = await (await ShardedModel.open(dir, { optimisation })).run(input);
    assert.ok(whole);
    if (optimisation === 'extended') assert.deepEqual(cut.data, whole.data);
    assert.ok(cosineDistance(whole, cut) < 1e-6);
  }
}

describe('shards', () => {
  for (const count of [2, 3, 5, 8]) {
    test(`of MobileFaceNet, ${count}, answer bit for bit like the whole at level extended`, async (t) => {
      const dir = await temporaryDir(t);
      const model = await loadModel(join(await testModels(), 'mobilefacenet.onnx'));
      const split = await splitModel(model, count);
      assert.equal(split.plan.shards.length, count);
      await writeShards(dir, split);
      await answersLikeWhole(model, dir);
    });

    test(`of a residual network, ${count}, share its weight about evenly, its one heavy layer cut by rows`, async (t) => {
      const dir = await temporaryDir(t);
      const split = await splitModel(SMALL, count);
      await writeShards(dir, split);
      await answersLikeWhole(SMALL, dir);
      const bytes = split.plan.shards.map((shard) => shard.bytes);
      const total = bytes.reduce((sum, one) => sum + one, 0);
      // Convolutions inside a residual block stay together, so that shards cannot be quite even.
      assert.ok(Math.max(...bytes) < (1.7 * total) / count, `${bytes}`);
    });
  }

  test('of MobileFaceNet, as many as can be, answer bit for bit like the whole', async (t) => {
    const dir = await temporaryDir(t);
    const model = await loadModel(join(await testModels(), 'mobilefacenet.onnx'));
    const split = await splitModel(model, 100);
    assert.ok(split.plan.shards.length > 50, `${split.plan.shards.length}`);
    await writeShards(dir, split);
    await answersLikeWhole(model, dir);
  });

  test('with whole layers keep the heavy one in one file', async () => {
    const whole = (await splitModel(SMALL, 8, { rows: false })).plan.shards.map(({ bytes }) => bytes);
    const parts = (await splitModel(SMALL, 8)).plan.shards.map(({ bytes }) => bytes);
    assert.ok(Math.max(...parts) < 0.6 * Math.max(...whole));
  });

  for (const [name, make] of Object.entries({ MatMul: matMulNet, Gemm: gemmNet, Conv: convNet })) {
    test(`cut a dominating ${name} by its output rows`, async (t) => {
      const dir = await temporaryDir(t);
      const model = make();
      const split = await splitModel(model, 4);
      assert.ok(split.plan.shards.length >= 3, `${split.plan.shards.length}`);
      await writeShards(dir, split);
      await answersLikeWhole(model, dir);
    });
  }

  test('leave a convolution with the batch norm that ONNX Runtime multiplies into it', async (t) => {
    const dir = await temporaryDir(t);
    const model = normNet();
    const split = await splitModel(model, 20);
    assert.equal(split.plan.shards.length, 8);
    await writeShards(dir, split);
    await answersLikeWhole(model, dir);
  });

  test('are refused where no value crosses alone', async () => {
    const model = gemmNet();
    model.graph.outputs.push({ name: 'flat', type: 'float32', dims: ['batch', 192] });
    await assert.rejects(
      splitModel(model, 2),
      (error) => error instanceof FacedError && error.code === 'model.unsupported',
    );
  });

  test('by the command are checked and measured, and take the place of older ones', async (t) => {
    const faced = await facedIn(t);
    const file = join(faced.stateDir, 'net.onnx');
    const out = join(faced.stateDir, 'made', 'shards');
    await writeFile(file, encodeModel(SMALL));
    const first = await faced.json('model', 'split', file, '--shards', '5', '--out', out);
    assert.equal(first.code, 0, first.stderr);
    await writeFile(join(out, 'mine.txt'), 'stays');
    const second = await faced.json('model', 'split', file, '--shards', '3', '--out', out);
    const answer = second.answer as {
      bitEqual: boolean;
      shards: { file: string }[];
      memory: { wholePeakBytes: number; shardsPeakBytes: number; each: number[] };
    };
    assert.equal(answer.bitEqual, true);
    assert.equal(answer.memory.each.length, answer.shards.length);
    assert.ok(answer.memory.wholePeakBytes > 2 ** 20 && answer.memory.shardsPeakBytes > 2 ** 20);
    assert.deepEqual(
      (await readdir(out)).sort(),
      ['mine.txt', ...answer.shards.map((shard) => shard.file), 'shards.json'].sort(),
    );
    const note = JSON.parse(await readFile(join(out, 'shards.json'), 'utf8')) as {
      made: { bitEqualAt: string };
    };
    assert.equal(note.made.bitEqualAt, 'extended');
    assert.deepEqual((await readdir(join(out, '..'))).sort(), ['shards']);
  });
});

test('a larger model needs more memory, and the measurement sees it', async (t) => {
  const dir = await temporaryDir(t);
  const heavy = gemmNet(8192);
  await writeFile(join(dir, 'small.onnx'), encodeModel(gemmNet()));
  await writeFile(join(dir, 'heavy.onnx'), encodeModel(heavy));
  const small = (await measureMemory({ model: join(dir, 'small.onnx') })).peakBytes;
  const large = (await measureMemory({ model: join(dir, 'heavy.onnx') })).peakBytes;
  assert.ok(large - small > 0.8 * 192 * 8192 * 4, `${small} ${large}`);
  await assert.rejects(measureMemory({ model: join(dir, 'none.onnx') }), /could not be measured/);
});

function gemmNet(rows = 64): Model {
  return netOf({
    initializers: new Map([
      ['w', floatTensor([192, rows], noise(192 * rows))],
      ['b', floatTensor([1, rows], noise(rows, 2))],
    ]),
    nodes: [
      makeNode('Flatten', { inputs: ['input'], outputs: ['flat'] }),
      makeNode('Gemm', { inputs: ['flat', 'w', 'b'], outputs: ['output'] }),
    ],
    output: ['batch', rows],
  });
}

function matMulNet(): Model {
  return netOf({
    initializers: new Map([
      ['w', floatTensor([192, 64], noise(192 * 64))],
      ['b', floatTensor([64], noise(64, 2))],
    ]),
    nodes: [
      makeNode('Flatten', { inputs: ['input'], outputs: ['flat'] }),
      makeNode('MatMul', { inputs: ['flat', 'w'], outputs: ['product'] }),
      makeNode('Add', { inputs: ['product', 'b'], outputs: ['output'] }),
    ],
    output: ['batch', 64],
  });
}

function convNet(): Model {
  return netOf({
    initializers: new Map([
      ['w', floatTensor([64, 3, 3, 3], noise(64 * 27))],
      ['b', floatTensor([64], noise(64, 2))],
    ]),
    nodes: [
      makeNode('Conv', { inputs: ['input', 'w', 'b'], outputs: ['map'] }),
      makeNode('Relu', { inputs: ['map'], outputs: ['output'] }),
    ],
    output: ['batch', 64, 6, 6],
  });
}

/** Four times convolution, batch norm, PRelu, as they are exported in training form. */
function normNet(): Model {
  const initializers: Model['graph']['initializers'] = new Map();
  let at = 'input';
  const nodes = [0, 1, 2, 3].flatMap((stage) => {
    const vector = (name: string, positive = false): string => {
      const values = noise(8, stage + name.length).map((value) => (positive ? 0.5 + value * value : value));
      initializers.set(`${name}${stage}`, floatTensor([8], values));
      return `${name}${stage}`;
    };
    const channels = stage === 0 ? 3 : 8;
    initializers.set(`w${stage}`, floatTensor([8, channels, 1, 1], noise(8 * channels, stage + 9)));
    initializers.set(`slope${stage}`, floatTensor([8, 1, 1], noise(8, stage + 20)));
    const output = stage === 3 ? 'output' : `act${stage}`;
    const made = [
      makeNode('Conv', { inputs: [at, `w${stage}`], outputs: [`conv${stage}`] }),
      makeNode('BatchNormalization', {
        inputs: [
          `conv${stage}`,
          vector('gamma', true),
          vector('beta'),
          vector('mean'),
          vector('variance', true),
        ],
        outputs: [`norm${stage}`],
      }),
      makeNode('PRelu', { inputs: [`norm${stage}`, `slope${stage}`], outputs: [output] }),
    ];
    at = output;
    return made;
  });
  return netOf({ initializers, nodes, output: ['batch', 8, 8, 8] });
}
