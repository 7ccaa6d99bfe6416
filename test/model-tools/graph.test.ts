import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { FacedError } from '../../src/domain/errors.js';
import {
  decodeModel,
  encodeModel,
  floats,
  floatTensor,
  loadModel,
  makeNode,
  numbers,
  runModel,
  sortTopologically,
} from '../../src/model-tools/graph/index.js';
import { temporaryDir } from '../helpers/dirs.js';
import { withExternal } from './external.js';
import { preluNet } from './nets.js';

const code = (expected: string) => (error: unknown) => error instanceof FacedError && error.code === expected;

describe('an ONNX file', () => {
  test('is read and written without loss, and twice to the same bytes', () => {
    const bytes = encodeModel(preluNet());
    const again = encodeModel(decodeModel(bytes));
    assert.deepEqual(Buffer.from(again), Buffer.from(bytes));
    const conv = decodeModel(bytes).graph.nodes[0];
    assert.deepEqual(conv?.attributes.get('pads'), { kind: 'ints', value: [1, 1, 1, 1] });
  });

  test('is refused when it is cut off', () => {
    const bytes = encodeModel(preluNet());
    assert.throws(() => decodeModel(bytes.subarray(0, bytes.length / 2)), code('model.unreadable'));
    assert.throws(() => decodeModel(new Uint8Array(0)), code('model.unreadable'));
  });

  test('is refused when a tensor claims more than it holds', () => {
    const model = preluNet();
    model.graph.initializers.set('w1', {
      type: 'float32',
      dims: [2 ** 20, 2 ** 20],
      data: new Uint8Array(4),
    });
    assert.throws(() => decodeModel(encodeModel(model)), code('model.unreadable'));
    model.graph.initializers.set('w1', { type: 'float32', dims: [8, 3, 3, 3], data: new Uint8Array(4) });
    assert.throws(() => decodeModel(encodeModel(model)), /needs 864 bytes and holds 4/);
  });

  test('is refused when it runs in a circle, reads what is not there, or computes twice', () => {
    const circle = preluNet();
    circle.graph.nodes.push(
      makeNode('Relu', { inputs: ['a'], outputs: ['b'] }),
      makeNode('Relu', { inputs: ['b'], outputs: ['a'] }),
    );
    assert.throws(() => decodeModel(encodeModel(circle)), /runs in a circle/);
    const missing = preluNet();
    missing.graph.nodes.push(makeNode('Relu', { inputs: ['nobody'], outputs: ['b'] }));
    assert.throws(() => decodeModel(encodeModel(missing)), /reads nobody/);
    const twice = preluNet();
    twice.graph.nodes.push(makeNode('Relu', { inputs: ['input'], outputs: ['conv1'] }));
    assert.throws(() => decodeModel(encodeModel(twice)), /computes conv1 twice/);
  });

  test('is put in order when its nodes are not', () => {
    const model = preluNet();
    model.graph.nodes.reverse();
    const sorted = sortTopologically(model.graph).map((node) => node.op);
    assert.deepEqual(
      sorted,
      preluNet().graph.nodes.map((node) => node.op),
    );
  });
});

describe('external data', () => {
  test('outside the folder, or missing, is refused', async (t) => {
    const dir = await temporaryDir(t);
    await writeFile(join(dir, 'secret.bin'), new Uint8Array(64));
    for (const location of ['../secret.bin', '/etc/passwd', 'missing.bin', '']) {
      const path = join(dir, 'm.onnx');
      await writeFile(path, withExternal(preluNet(), location));
      await assert.rejects(loadModel(path), code('model.unreadable'), location);
    }
  });

  test('inside the folder is read', async (t) => {
    const dir = await temporaryDir(t);
    const model = preluNet();
    const slopes = model.graph.initializers.get('slope');
    assert.ok(slopes);
    await writeFile(join(dir, 'slopes.bin'), slopes.data);
    await writeFile(join(dir, 'm.onnx'), withExternal(model, 'slopes.bin'));
    const read = (await loadModel(join(dir, 'm.onnx'))).graph.initializers.get('slope');
    assert.ok(read);
    assert.deepEqual(numbers(read), numbers(slopes));
  });
});

test('a graph runs and answers what arithmetic says', async () => {
  const model = preluNet();
  const slope = model.graph.initializers.get('slope');
  assert.ok(slope);
  model.graph.initializers.set('slope', floatTensor(slope.dims, floats(slope).fill(0)));
  const answer = await runModel(model, {
    input: { type: 'float32', dims: [1, 3, 8, 8], data: new Float32Array(192) },
  });
  // The bias alone, through a PRelu of slope 0 and a 1x1 convolution of ones.
  const bias = model.graph.initializers.get('b1');
  assert.ok(bias);
  const expected = floats(bias).reduce((sum, value) => sum + Math.max(value, 0), 0);
  assert.ok(Math.abs(Number(answer.output?.data[0]) - expected) < 1e-5);
});
