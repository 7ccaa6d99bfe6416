import assert from 'node:assert/strict';
import { copyFile, mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { FacedError } from '../../src/domain/errors.js';
import { loadHeads, writeHead } from '../../src/inference/heads.js';
import { floatTensor, loadModel, type Model, makeNode, runModel } from '../../src/model-tools/graph/index.js';
import { appendHead, crossValidate, type Example, trainHead } from '../../src/model-tools/head.js';
import { attributesOf, classify } from '../../src/vision/head.js';
import { dataPath, withoutData } from '../helpers/data.js';
import { temporaryDir } from '../helpers/dirs.js';
import { facedIn } from '../helpers/faced.js';
import { noise } from './nets.js';

/** Two classes that differ in one direction, with noise in all. */
function examples(): Example[] {
  return Array.from({ length: 40 }, (_, at) => {
    const vector = noise(16, 50 + at).map((value) => value * 0.5);
    vector[0] = (vector[0] ?? 0) + (at % 2 === 0 ? 1 : -1);
    const norm = Math.hypot(...vector);
    return { vector: vector.map((value) => value / norm), label: at % 2 };
  });
}

test('a head learns two classes and is judged on what it has not seen', () => {
  const { accuracy, balancedAccuracy, baseline, confusion } = crossValidate(examples(), ['a', 'b']);
  assert.ok(accuracy > 0.9 && balancedAccuracy > 0.9, `${accuracy} ${balancedAccuracy}`);
  assert.equal(baseline, 0.5);
  assert.equal(
    confusion.flat().reduce((sum, count) => sum + count, 0),
    40,
  );
  const shuffled = examples().map((example, at) => ({ ...example, label: (at >> 1) % 2 }));
  assert.ok(crossValidate(shuffled, ['a', 'b']).accuracy < 0.75);
});

test('an appended head answers in the graph as outside of it, and leaves the embedding alone', async () => {
  const head = trainHead(examples(), ['a', 'b']);
  const identity = new Float32Array(256).map((_, at) => (at % 17 === 0 ? 1 : 0));
  const model: Model = {
    irVersion: 7,
    opsets: new Map([['', 13]]),
    metadata: new Map(),
    graph: {
      name: 'pass',
      inputs: [{ name: 'input', type: 'float32', dims: ['batch', 16] }],
      outputs: [{ name: 'embedding', type: 'float32', dims: ['batch', 16] }],
      initializers: new Map([['eye', floatTensor([16, 16], identity)]]),
      nodes: [makeNode('MatMul', { inputs: ['input', 'eye'], outputs: ['embedding'] })],
    },
  };
  const [example] = examples();
  assert.ok(example);
  const data = example.vector.map((value) => value * 3);
  const answer = await runModel(appendHead(model, head, 'mask'), {
    input: { type: 'float32', dims: [1, 16], data },
  });
  assert.deepEqual(answer.embedding?.data, data);
  const expected = classify(head, example.vector);
  expected.forEach((share, at) => {
    assert.ok(Math.abs(share - Number(answer.mask?.data[at])) < 1e-5);
  });
});

test('pictures of one person are never on both sides of a test', () => {
  // Ten people whose faces say everything and whose class nothing: knowing the person is all there is to learn.
  const people = Array.from({ length: 40 }, (_, at): Example => {
    const person = Math.floor(at / 4);
    const vector = new Float32Array(16);
    vector[person] = 1;
    return { vector, label: person % 2, group: `person ${person}` };
  });
  const alone = people.map(({ vector, label }) => ({ vector, label }));
  assert.equal(crossValidate(alone, ['a', 'b']).accuracy, 1);
  assert.ok(crossValidate(people, ['a', 'b']).accuracy <= 0.5);
});

test('a head for the configuration is read back, and one that is not whole, or of another space, is refused', async (t) => {
  const dir = await temporaryDir(t);
  const head = { ...trainHead(examples(), ['a', 'b']), name: 'mask', space: 'here' };
  await writeFile(join(dir, 'm.head.json'), JSON.stringify(writeHead(head, {})));
  for (const file of ['m.head.json', 'm.onnx', join(dir, 'm.head.json')])
    assert.deepEqual(await loadHeads([file], { dir, space: 'here' }), [head]);
  const [example] = examples();
  assert.ok(example);
  const attributes = attributesOf([head], { space: 'here', vector: example.vector });
  assert.equal(attributes.mask?.value, 'a');
  assert.ok((attributes.mask?.share ?? 0) > 0.5);
  assert.deepEqual(attributesOf([head], { space: 'there', vector: example.vector }), {});

  const code = (expected: string) => (error: unknown) =>
    error instanceof FacedError && error.code === expected;
  await assert.rejects(loadHeads(['m.onnx'], { dir, space: 'there' }), code('space.mismatch'));
  await assert.rejects(loadHeads(['none.json'], { dir, space: 'here' }), code('model.missing'));
  await assert.rejects(
    loadHeads(['m.onnx', 'm.onnx'], { dir, space: 'here' }),
    /two heads have the name mask/,
  );
  const whole = writeHead(head, {});
  for (const wrong of [
    'no JSON',
    '{}',
    JSON.stringify({ ...whole, weight: whole.weight.slice(8) }),
    JSON.stringify({ ...whole, bias: [0, null] }),
    JSON.stringify({ ...whole, classes: ['a'] }),
    JSON.stringify({ ...whole, name: '../x' }),
  ]) {
    await writeFile(join(dir, 'wrong.json'), wrong);
    await assert.rejects(loadHeads(['wrong.json'], { dir, space: 'here' }), code('model.unreadable'));
  }
});

describe('two people of LFW as classes', { skip: withoutData('lfw') }, () => {
  test('are told apart, and faced run says so in the event', async (t) => {
    const dir = await temporaryDir(t);
    const classes = { blair: 'Tony_Blair', sampras: 'Pete_Sampras' };
    for (const [label, person] of Object.entries(classes)) {
      await mkdir(join(dir, 'faces', label), { recursive: true });
      const files = (await readdir(dataPath('lfw', 'images', person))).sort().slice(0, 9);
      for (const [at, file] of files.entries()) {
        const to = at < 8 ? join('faces', label) : 'seen';
        await mkdir(join(dir, to), { recursive: true });
        await copyFile(dataPath('lfw', 'images', person, file), join(dir, to, `${label}-${file}`));
      }
    }
    const faced = await facedIn(t, { FACED_MQTT_EMBEDDED_PORT: '0' });
    const head = join(dir, 'who.json');
    const trained = await faced.json(
      'model',
      'head',
      'train',
      join(dir, 'faces'),
      '--out',
      head,
      '--name',
      'who',
    );
    const { validation, faces } = trained.answer as { validation: { accuracy: number }; faces: number[] };
    assert.deepEqual(faces, [8, 8]);
    assert.ok(validation.accuracy >= 0.9, `${validation.accuracy}`);

    const whole = await faced.json(
      'model',
      'head',
      'train',
      join(dir, 'faces'),
      '--out',
      join(dir, 'm.onnx'),
      '--name',
      'who',
    );
    assert.equal(whole.code, 0);
    const outputs = (await loadModel(join(dir, 'm.onnx'))).graph.outputs.map(({ name }) => name);
    assert.equal(outputs.length, 2);
    assert.equal(outputs[1], 'who');
    assert.equal(JSON.parse(await readFile(join(dir, 'm.head.json'), 'utf8')).name, 'who');

    await writeFile(join(dir, 'faced.yaml'), `models:\n  heads: [${head}]\n`);
    const { code, stdout, stderr } = await faced.run(
      ...[
        'run',
        '--once',
        '--json',
        '--config',
        join(dir, 'faced.yaml'),
        '--source',
        `images:${join(dir, 'seen')}`,
      ],
    );
    assert.equal(code, 0, stderr);
    const events = stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as { attributes?: { who?: { value: string; share: number } } });
    // The folder is seen in the order of its names: blair, then sampras.
    assert.deepEqual(
      events.map(({ attributes }) => attributes?.who?.value),
      ['blair', 'sampras'],
    );
  });
});
