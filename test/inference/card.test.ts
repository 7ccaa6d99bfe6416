import assert from 'node:assert/strict';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { loadCardBeside, loadCards, SHIPPED_CARDS } from '../../src/inference/card.js';
import { parseCard } from '../../src/inference/card-schema.js';
import { modelsDir } from '../../src/inference/model-dir.js';
import { temporaryDir } from '../helpers/dirs.js';

const card = {
  id: 'mine',
  title: 'A recogniser of my own',
  role: 'recogniser',
  file: 'mine.onnx',
  sha256: 'a'.repeat(64),
  bytes: 100,
  licence: 'Apache-2.0',
  input: {
    name: 'data',
    shape: [1, 3, 112, 112],
    layout: 'nchw',
    order: 'rgb',
    mean: 127.5,
    scale: 0.0078125,
  },
  output: { form: 'embedding', name: 'fc1', size: 128 },
  space: 'mine-128',
};
const text = (changes: object = {}) => JSON.stringify({ ...card, ...changes });

test('the cards that are shipped are good and have the fixed ids', async (t) => {
  const cards = await loadCards(await temporaryDir(t));
  assert.deepEqual([...cards.keys()].sort(), ['landmarks68', 'minifasnet', 'mobilefacenet', 'ultraface']);
  for (const { card: one, origin } of cards.values()) {
    assert.equal(origin, 'shipped');
    const shipped = await readFile(join(SHIPPED_CARDS, `${one.id}.json`), 'utf8');
    assert.deepEqual(parseCard(shipped, one.id), one);
    assert.match(one.source?.npm ?? '', /@0\.0\.1$/);
  }
  assert.equal(cards.get('mobilefacenet')?.card.input.order, 'bgr');
});

test('all mistakes of a card are said at once, each with its path', () => {
  const wrong = text({ sha256: 'xyz', bytes: 0, input: { ...card.input, shape: [1, 3, 112] } });
  assert.throws(() => parseCard(wrong, 'mine.json'), {
    code: 'model.card-invalid',
    message: /^mine\.json: .*sha256 .*bytes .*input\.shape/s,
  });
});

const contradictions: readonly { name: string; change: object; message: RegExp }[] = [
  { name: 'an unknown field', change: { extra: 1 }, message: /additional properties/ },
  { name: 'an unknown role', change: { role: 'painter' }, message: /role/ },
  { name: 'an unknown output form', change: { output: { form: 'poem', name: 'x' } }, message: /output/ },
  {
    name: 'a recogniser that finds faces',
    change: { role: 'detector' },
    message: /must be ultraface or yunet \(is embedding\)/,
  },
  { name: 'a recogniser without a space', change: { space: undefined }, message: /space is needed/ },
  {
    name: 'grey with three channels',
    change: { input: { ...card.input, order: 'grey' } },
    message: /3 channels, order grey has 1/,
  },
  {
    name: 'planes read as pixels',
    change: { input: { ...card.input, layout: 'nhwc' } },
    message: /112 channels/,
  },
  {
    name: 'a fixed batch of two',
    change: { input: { ...card.input, shape: [2, 3, 112, 112] } },
    message: /begin with 1 \(is 2\)/,
  },
  {
    name: 'a curve that goes back',
    change: {
      curve: {
        data: 'd',
        procedure: 'p',
        people: 2,
        images: 4,
        impostorPairs: 9,
        genuinePairs: 3,
        points: [
          { fmr: 0.01, threshold: 0.3, tmr: 0.9 },
          { fmr: 0.001, threshold: 0.2, tmr: 0.8 },
        ],
      },
    },
    message: /curve\.points\.1/,
  },
];
for (const { name, change, message } of contradictions) {
  test(`a card with ${name} is refused`, () => {
    assert.throws(() => parseCard(text(change), 'x'), { code: 'model.card-invalid', message });
  });
}

test('a card that is not JSON is refused by its name', () => {
  assert.throws(() => parseCard('{"id": ', 'broken.json'), {
    code: 'model.card-invalid',
    message: /broken\.json: not JSON/,
  });
});

test("a user's cards are read beside the models and from cards/, and may replace a shipped one", async (t) => {
  const dir = await temporaryDir(t);
  await mkdir(join(dir, 'cards'));
  await writeFile(join(dir, 'a.json'), text());
  await writeFile(join(dir, 'cards', 'b.json'), text({ id: 'ultraface', file: 'sub/b.onnx' }));
  const cards = await loadCards(dir);
  assert.equal(cards.get('mine')?.path, join(dir, 'mine.onnx'));
  assert.equal(cards.get('mine')?.origin, 'user');
  assert.equal(cards.get('ultraface')?.path, join(dir, 'cards', 'sub', 'b.onnx'));
  await writeFile(join(dir, 'c.json'), text());
  await assert.rejects(loadCards(dir), {
    code: 'model.card-invalid',
    message: /second card has the id mine/,
  });
});

for (const file of ['../mine.onnx', '/etc/passwd', 'a/../../mine.onnx', '.', '..']) {
  test(`a card whose file is ${file} leaves its folder and is refused`, async (t) => {
    const dir = await temporaryDir(t);
    await writeFile(join(dir, 'a.json'), text({ file }));
    await assert.rejects(loadCards(dir), { code: 'model.card-invalid', message: /must stay inside/ });
  });
}

test('a model file is opened by the card beside it', async (t) => {
  const dir = await temporaryDir(t);
  await writeFile(join(dir, 'mine.json'), text());
  assert.equal((await loadCardBeside(join(dir, 'mine.onnx'))).card.id, 'mine');
  await assert.rejects(loadCardBeside(join(dir, 'other.onnx')), { code: 'model.unknown' });
});

test('where models live', () => {
  assert.equal(modelsDir({ FACED_MODELS_DIR: '/m', CACHE_DIRECTORY: '/c' }), '/m');
  assert.equal(
    modelsDir({ CACHE_DIRECTORY: '/var/cache/faced', XDG_CACHE_HOME: '/x' }),
    '/var/cache/faced/models',
  );
  assert.equal(modelsDir({ XDG_CACHE_HOME: '/x' }), '/x/faced/models');
  assert.match(modelsDir({}), /\.cache\/faced\/models$/);
});

test('the folder of shipped cards is found from the compiled code', () => {
  assert.match(SHIPPED_CARDS, /\/models$/);
});

test('a folder of models that cannot be read is said with the mend; one that is not there is empty', async (t) => {
  const dir = await temporaryDir(t);
  const file = join(dir, 'file');
  await writeFile(file, '');
  await assert.rejects(loadCards(file), { code: 'model.missing', fix: /FACED_MODELS_DIR/ });
  assert.ok((await loadCards(join(dir, 'nowhere'))).has('mobilefacenet'));
});
