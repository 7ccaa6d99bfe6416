import assert from 'node:assert/strict';
import { copyFile, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import type { ModelRunner } from '../../src/inference/session.js';
import { ShardedModel } from '../../src/inference/sharded.js';
import { ModelStore, type ModelStoreOptions, shardsDir } from '../../src/inference/store.js';
import { loadModel } from '../../src/model-tools/graph/index.js';
import { splitModel } from '../../src/model-tools/split.js';
import { temporaryDir } from '../helpers/dirs.js';
import { testModels, testStore } from '../helpers/models.js';

/** MobileFaceNet with its shards beside it. */
async function withShards(
  t: TestContext,
  options: Pick<ModelStoreOptions, 'room' | 'budgetLeft'> & { derivedFrom?: string } = {},
) {
  const dir = await temporaryDir(t);
  const path = join(dir, 'mobilefacenet.onnx');
  await copyFile(join(await testModels(), 'mobilefacenet.onnx'), path);
  const { derivedFrom, ...memory } = options;
  const store = new ModelStore({ dir, ...memory });
  t.after(() => store.releaseAll());
  const { plan, files } = await splitModel(await loadModel(path), 4);
  await mkdir(shardsDir(path));
  for (const [name, bytes] of files) await writeFile(join(shardsDir(path), name), bytes);
  const { card } = await store.card('mobilefacenet');
  const note = { ...plan, derivedFrom: derivedFrom ?? card.sha256 };
  await writeFile(join(shardsDir(path), 'shards.json'), JSON.stringify(note));
  return { store, heaviest: Math.max(...plan.shards.map(({ bytes }) => bytes)), whole: card.bytes };
}

async function answer(runner: ModelRunner, count: number): Promise<Float32Array> {
  for (let at = 0; at < count * runner.stride; at++) runner.input[at] = Math.sin(at * 0.37);
  const [values] = (await runner.run(count)).values();
  assert.ok(values);
  return values.slice();
}

function distance(a: Float32Array, b: Float32Array): number {
  let [ab, aa, bb] = [0, 0, 0];
  for (const [at, x] of a.entries()) {
    const y = b[at] ?? Number.NaN;
    ab += x * y;
    aa += x * x;
    bb += y * y;
  }
  return 1 - ab / Math.sqrt(aa * bb);
}

test('the recogniser goes on shard by shard with the same answers, and whole again', async (t) => {
  const { store } = await withShards(t);
  const runner = await store.runner('mobilefacenet');
  const whole = await answer(runner, runner.maxBatch);
  await store.setInShards(true);
  assert.deepEqual(store.absent, ['mobilefacenet'], 'the whole is let go at once');
  const inShards = await answer(runner, runner.maxBatch);
  assert.notDeepEqual(inShards, whole, 'another way to the same: something else ran');
  assert.ok(distance(inShards, whole) < 1e-6);
  assert.equal(inShards.length, whole.length);
  await store.setInShards(false);
  assert.deepEqual(await answer(runner, runner.maxBatch), whole);
  assert.deepEqual(store.takeCounts().mobilefacenet, { loads: 3, evictions: 2 });
});

test('what would not fit is not loaded: shards where they fit, else an error that says both figures', async (t) => {
  let room = 0;
  const { store, heaviest, whole } = await withShards(t, { room: () => room });
  await assert.rejects(store.runner('mobilefacenet'), {
    code: 'model.no-memory',
    message: /needs about \d+ MB .* and 0 MB are left/,
    fix: /faced model split/,
  });
  assert.deepEqual(
    store.refused.map(({ code }) => code),
    ['model.no-memory'],
  );
  assert.deepEqual(store.loaded, []);
  room = heaviest * 3.4;
  assert.ok(room < whole * 3.3);
  const runner = await store.runner('mobilefacenet');
  assert.deepEqual(store.refused, []);
  const inShards = await answer(runner, 1);
  await store.release('mobilefacenet');
  room = 0;
  await assert.rejects(runner.run(1), { code: 'model.no-memory' });
  assert.equal(store.refused.length, 1);
  room = whole * 3;
  assert.ok(distance(await answer(runner, 1), inShards) < 1e-6);
  assert.deepEqual(store.refused, []);
});

test('what would not fit into the budget runs in shards; a budget refuses nothing', async (t) => {
  let left = 0;
  const { store, whole } = await withShards(t, { budgetLeft: () => left });
  const runner = await store.runner('mobilefacenet');
  assert.deepEqual(store.loaded, ['mobilefacenet'], 'a budget is a wish');
  const inShards = await answer(runner, 1);
  await store.release('mobilefacenet');
  left = whole * 3.4;
  const wholly = await answer(runner, 1);
  assert.notDeepEqual(wholly, inShards, 'something else ran');
  assert.ok(distance(wholly, inShards) < 1e-6);
});

test('shards of another model, or a plan that is none, are not used: the whole runs', async (t) => {
  const { store } = await withShards(t, { derivedFrom: 'b'.repeat(64) });
  await store.setInShards(true);
  const runner = await store.runner('mobilefacenet');
  const whole = await answer(runner, runner.maxBatch);
  const stock = await testStore(t, { variants: false });
  assert.deepEqual(await answer(await stock.runner('mobilefacenet'), runner.maxBatch), whole);
  const dir = shardsDir(join(store.dir, 'mobilefacenet.onnx'));
  await assert.rejects(ShardedModel.open(store.dir), { code: 'model.missing' });
  for (const text of ['{', '{}', 'null']) {
    await writeFile(join(dir, 'shards.json'), text);
    await assert.rejects(ShardedModel.open(dir), { code: 'model.mismatch', message: /not a plan/ });
    await store.release('mobilefacenet');
    assert.deepEqual(await answer(runner, runner.maxBatch), whole);
  }
});
