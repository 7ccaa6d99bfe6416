import assert from 'node:assert/strict';
import { copyFile, readFile, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { loadCards, type ModelCard } from '../../src/inference/card.js';
import { hashFile } from '../../src/inference/hash.js';
import { ModelStore } from '../../src/inference/store.js';
import { WORKSHOP } from '../../src/inference/variants.js';
import { temporaryDir } from '../helpers/dirs.js';
import { testModels, testStore } from '../helpers/models.js';

/** A folder with the real landmark model (1.2 MB) and a card for it that says something else. */
async function lying(t: TestContext, change: (card: ModelCard) => object): Promise<ModelStore> {
  const dir = await temporaryDir(t);
  await copyFile(join(await testModels(), 'landmarks68.onnx'), join(dir, 'mine.onnx'));
  const stock = (await loadCards(dir)).get('landmarks68')?.card;
  assert.ok(stock);
  const { source, ...own } = stock;
  assert.ok(source);
  const card = { ...own, id: 'mine', file: 'mine.onnx', ...change(stock) };
  await writeFile(join(dir, 'mine.json'), JSON.stringify(card));
  const store = new ModelStore({ dir });
  t.after(() => store.releaseAll());
  return store;
}

test('a model is loaded once, on first use, and released', async (t) => {
  const store = await testStore(t);
  assert.deepEqual(store.loaded, []);
  const [one, other] = await Promise.all([store.runner('landmarks68'), store.runner('landmarks68')]);
  assert.equal(one, other);
  assert.deepEqual(store.loaded, ['landmarks68']);
  assert.equal((await one.run(1)).get('output')?.length, 136);
  await store.release('landmarks68');
  assert.deepEqual(store.loaded, []);
});

test('the answers are written into the same memory at each run, one run after the other', async (t) => {
  const runner = await (await testStore(t, { variants: false })).runner('landmarks68');
  runner.input.fill(0.5);
  const first = (await runner.run(1)).get('output');
  const before = first?.slice();
  runner.input.fill(0.1);
  const [second, third] = await Promise.all([runner.run(1), runner.run(1)]);
  assert.equal(second.get('output'), first);
  assert.equal(third.get('output'), first);
  assert.notDeepEqual(first, before);
  await assert.rejects(async () => runner.run(2), RangeError);
});

test('the list says what is there without loading anything', async (t) => {
  const dir = await temporaryDir(t);
  await copyFile(join(await testModels(), 'ultraface.onnx'), join(dir, 'ultraface.onnx'));
  await writeFile(join(dir, 'minifasnet.onnx'), 'half a model');
  const store = new ModelStore({ dir });
  const present = (await store.list()).filter((one) => one.present).map(({ card }) => card.id);
  assert.deepEqual(present, ['ultraface']);
  assert.deepEqual(store.loaded, []);
});

test('a missing model, and an id that no card has', async (t) => {
  const store = new ModelStore({ dir: await temporaryDir(t) });
  await assert.rejects(store.runner('ultraface'), { code: 'model.missing', fix: /faced model fetch/ });
  await assert.rejects(store.runner('nobody'), { code: 'model.unknown', message: /mobilefacenet/ });
});

test('a model that was missing is found when it has come', async (t) => {
  const dir = await temporaryDir(t);
  const store = new ModelStore({ dir });
  t.after(() => store.releaseAll());
  await assert.rejects(store.runner('landmarks68'), { code: 'model.missing' });
  await copyFile(join(await testModels(), 'landmarks68.onnx'), join(dir, 'landmarks68.onnx'));
  assert.equal((await store.runner('landmarks68')).maxBatch, 1);
});

const lies: readonly { name: string; change: (card: ModelCard) => object; message: RegExp }[] = [
  { name: 'the hash', change: () => ({ sha256: 'b'.repeat(64) }), message: /SHA-256 is f10b.* says b{64}/ },
  {
    name: 'the size',
    change: () => ({ sha256: 'b'.repeat(64), bytes: 5 }),
    message: /has 1163742 bytes and the card says 5/,
  },
  {
    name: "the input's name",
    change: (card) => ({ input: { ...card.input, name: 'data' } }),
    message: /input is input in the file and data in the card/,
  },
  {
    name: "the input's shape",
    change: (card) => ({ input: { ...card.input, shape: [1, 1, 64, 48] } }),
    message: /\[1,1,64,64\] in the file and \[1,1,64,48\] in the card/,
  },
  {
    name: "the output's name",
    change: () => ({ output: { form: 'landmarks68', name: 'points' } }),
    message: /outputs are output in the file, the card names points/,
  },
  {
    name: "the output's width",
    change: () => ({
      role: 'recogniser',
      space: 's',
      output: { form: 'embedding', name: 'output', size: 128 },
    }),
    message: /output output ends with 136 in the file and 128 in the card/,
  },
];
for (const { name, change, message } of lies) {
  test(`a card that lies about ${name} is found out, with both values`, async (t) => {
    await assert.rejects((await lying(t, change)).runner('mine'), { code: 'model.mismatch', message });
  });
}

test('a model file that is cut off is refused, even by a card that has its hash', async (t) => {
  const store = await lying(t, () => ({}));
  const path = join(store.dir, 'mine.onnx');
  await truncate(path, 500_000);
  await assert.rejects(store.runner('mine'), {
    code: 'model.mismatch',
    message: /has 500000 bytes and the card says 1163742/,
  });
  const { sha256, bytes } = await hashFile(path);
  const card = JSON.parse(await readFile(join(store.dir, 'mine.json'), 'utf8'));
  await writeFile(join(store.dir, 'mine.json'), JSON.stringify({ ...card, sha256, bytes }));
  const again = new ModelStore({ dir: store.dir });
  await assert.rejects(again.runner('mine'), { code: 'model.mismatch', message: /cannot be loaded/ });
});

test('an optimised variant is used when it was made from this very file and is whole', async (t) => {
  const dir = await temporaryDir(t);
  const stock = join(dir, 'landmarks68.onnx');
  const variant = join(dir, 'landmarks68.arm64.onnx');
  for (const path of [stock, variant]) await copyFile(join(await testModels(), 'landmarks68.onnx'), path);
  const { sha256, bytes } = await hashFile(variant);
  const warnings: string[] = [];
  const logger = {
    debug: () => {},
    info: () => {},
    warn: (details: object) => void warnings.push('problem' in details ? String(details.problem) : ''),
    error: () => {},
    child: () => logger,
  };
  const used = async (note: object) => {
    await writeFile(join(dir, 'landmarks68.arm64.json'), JSON.stringify(note));
    const list = await new ModelStore({ dir, target: 'arm64', logger }).list();
    return list.find(({ card }) => card.id === 'landmarks68')?.variant;
  };
  const note = {
    file: 'landmarks68.arm64.onnx',
    sha256,
    bytes,
    target: 'arm64',
    derivedFrom: sha256,
    workshop: WORKSHOP,
  };
  assert.equal(await used(note), variant);
  assert.deepEqual(warnings, []);
  assert.equal(await used({ ...note, derivedFrom: 'c'.repeat(64) }), null);
  assert.equal(await used({ ...note, sha256: 'c'.repeat(64) }), null);
  assert.equal(await used({ ...note, workshop: WORKSHOP - 1 }), null);
  assert.deepEqual(warnings, [
    `${variant}: it was made from another file`,
    `${variant}: its hash is not the one in its note`,
    `${variant}: another release of faced made it`,
  ]);
  const here = await new ModelStore({ dir, target: 'x64' }).list();
  assert.ok(
    here.every((one) => one.variant === null),
    'of another processor',
  );
});
