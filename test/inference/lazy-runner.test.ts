import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { decode } from '../../src/image/index.js';
import { DEFAULT_MODELS, openModels } from '../../src/inference/index.js';
import { LazyRunner } from '../../src/inference/lazy-runner.js';
import { ImageAnalyser } from '../../src/pipeline/analyse.js';
import { demoPhotos, testStore } from '../helpers/models.js';

test('a model that was let go is loaded by the next run, and answers the same', async (t) => {
  const store = await testStore(t);
  const runner = await store.runner('mobilefacenet');
  assert.equal(await store.runner('mobilefacenet'), runner);
  const { input, bytes } = runner;
  (bytes ?? input).fill(1).fill(0, 100, 9000);
  const before = (await answerOf(runner)).slice();
  await store.release('mobilefacenet');
  assert.deepEqual([store.loaded, store.absent], [[], ['mobilefacenet']]);
  const after = await answerOf(runner);
  assert.deepEqual(after, before);
  assert.ok(before.some((value) => value !== 0));
  assert.deepEqual([store.loaded, store.absent], [['mobilefacenet'], []]);
  assert.equal(runner.input, input, 'callers go on writing to the same place');
  const { mobilefacenet } = store.takeCounts();
  assert.deepEqual([mobilefacenet?.loads, mobilefacenet?.evictions], [2, 1]);
});

test('never in the middle of a run: what was asked for is answered first, what is in use is not idle', async (t) => {
  const store = await testStore(t);
  const runner = await store.runner('mobilefacenet');
  const runs = [runner.run(8), runner.run(1)];
  assert.deepEqual(await store.releaseIdle(0), [], 'two runs are under way');
  const released = store.release('mobilefacenet');
  const again = runner.run(1);
  for (const answers of await Promise.all([...runs, again])) assert.ok(answers.size > 0);
  await released;
  assert.deepEqual(store.loaded, ['mobilefacenet']);
  assert.deepEqual(await store.releaseIdle(60_000), []);
  assert.deepEqual(await store.releaseIdle(0), ['mobilefacenet']);
  await store.reload('mobilefacenet');
  assert.deepEqual(store.loaded, ['mobilefacenet']);
});

test('the time of idleness begins anew with each run', async (t) => {
  const store = await testStore(t);
  let now = 0;
  const inner = await store.runner('landmarks68');
  const runner = await LazyRunner.open({ open: async () => inner, now: () => now });
  now = 900;
  await runner.run(1);
  now = 1800;
  assert.equal(await runner.releaseIdle(1000), false);
  now = 1900;
  assert.equal(await runner.releaseIdle(1000), true);
  assert.equal(await runner.releaseIdle(0), false, 'it is gone already');
});

test('a picture gives the same faces and embeddings after every model was let go', async (t) => {
  const store = await testStore(t);
  const models = { ...DEFAULT_MODELS, liveness: 'minifasnet' };
  const { detector, embedder, liveness } = await openModels({ store, models });
  assert.ok(liveness !== null);
  const analyser = new ImageAnalyser({ detector, embedder, liveness });
  const [photo = ''] = await demoPhotos();
  const image = decode(await readFile(photo));
  const before = await analyser.analyse(image);
  assert.ok(before.faces.some(({ embedding }) => embedding !== null));
  // In the middle of another picture.
  const under = analyser.analyse(image);
  const gone = Promise.all(store.loaded.map((id) => store.release(id)));
  assert.deepEqual(await under, before);
  await gone;
  await store.releaseIdle(0);
  assert.deepEqual(store.loaded, []);
  assert.deepEqual(await analyser.analyse(image), before);
  assert.equal(store.loaded.length, 4);
});

async function answerOf(runner: { run(count: number): Promise<ReadonlyMap<string, Float32Array>> }) {
  const [first] = (await runner.run(2)).values();
  assert.ok(first);
  return first;
}
