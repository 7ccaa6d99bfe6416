import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { copyFile, mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { encodeJpeg } from '../../src/image/index.js';
import {
  encodeModel,
  floatTensor,
  loadModel,
  type Model,
  makeNode,
} from '../../src/model-tools/graph/index.js';
import { dataPath, withoutData } from '../helpers/data.js';
import { type Faced, facedIn } from '../helpers/faced.js';
import { demoPhotos, testModels } from '../helpers/models.js';
import { paint } from '../helpers/pictures.js';
import { call, dict, named, pickle, Storages, string, torchZip, tuple } from '../helpers/torch-files.js';
import { withExternal } from './external.js';
import { preluNet } from './nets.js';

/** What the command answers to a file: its exit code and the code of its error. */
async function failure(faced: Faced, ...argv: string[]) {
  const { code, answer } = await faced.json(...argv);
  const { error } = answer as { error?: { code: string; message: string } };
  return { exit: code, code: error?.code, message: error?.message ?? '' };
}

const edited = (edit: (model: Model) => void): Uint8Array => {
  const model = preluNet();
  edit(model);
  return encodeModel(model);
};

describe('a bad file', () => {
  const system = call(named('os', 'system'), tuple(string('true')));
  const files: { name: string; bytes: Uint8Array; code: string; says: RegExp }[] = [
    {
      name: 'reduce.pt',
      bytes: torchZip(dict(['w', system]), new Storages()),
      code: 'checkpoint.refused',
      says: /os\.system/,
    },
    { name: 'bare.pkl', bytes: pickle(system), code: 'checkpoint.refused', says: /os\.system/ },
    {
      name: 'truncated.pt',
      bytes: torchZip(dict(['w', string('x'.repeat(200))]), new Storages()).subarray(0, 300),
      code: 'model.unreadable',
      says: /cut off/,
    },
    {
      name: 'elsewhere.onnx',
      bytes: withExternal(preluNet(), '../secret.bin'),
      code: 'model.unreadable',
      says: /out of the model's folder/,
    },
    {
      name: 'nowhere.onnx',
      bytes: withExternal(preluNet(), 'missing.bin'),
      code: 'model.unreadable',
      says: /missing\.bin, which cannot be read/,
    },
    {
      name: 'unknown.onnx',
      bytes: edited((model) => {
        model.graph.nodes.push(makeNode('Telepathy', { inputs: ['output'], outputs: ['thought'] }));
        model.graph.outputs = [{ name: 'thought', type: 'float32', dims: ['batch', 1, 8, 8] }];
      }),
      code: 'model.run-failed',
      says: /Telepathy/,
    },
    {
      name: 'vendor.onnx',
      bytes: edited((model) => {
        for (const node of model.graph.nodes) if (node.op === 'PRelu') node.domain = 'com.acme';
      }),
      code: 'model.unsupported',
      says: /com\.acme\.PRelu/,
    },
    {
      name: 'terabytes.onnx',
      bytes: edited((model) => {
        const lie = { type: 'float32' as const, dims: [2 ** 20, 2 ** 20], data: new Uint8Array(4) };
        model.graph.initializers.set('w1', lie);
      }),
      code: 'model.unreadable',
      says: /claims the shape \[1048576,1048576\]/,
    },
    {
      name: 'circle.onnx',
      bytes: edited((model) => {
        model.graph.nodes.push(
          makeNode('Relu', { inputs: ['a'], outputs: ['b'] }),
          makeNode('Relu', { inputs: ['b'], outputs: ['a'] }),
        );
      }),
      code: 'model.unreadable',
      says: /in a circle/,
    },
    {
      name: 'another.onnx',
      bytes: edited(() => {}),
      code: 'model.unsupported',
      says: /its output has the shape/,
    },
    { name: 'empty.onnx', bytes: new Uint8Array(0), code: 'model.unreadable', says: /no graph/ },
  ];
  for (const { name, bytes, code, says } of files) {
    test(`${name} is refused with ${code}, and nothing is written`, async (t) => {
      const faced = await facedIn(t);
      const dir = join(faced.stateDir, 'in');
      await mkdir(dir);
      await writeFile(join(dir, name), bytes);
      const failed = await failure(faced, 'model', 'import', join(dir, name), '--out', join(dir, 'out.onnx'));
      assert.deepEqual({ exit: failed.exit, code: failed.code }, { exit: 1, code });
      assert.match(failed.message, says);
      assert.deepEqual(await readdir(dir), [name]);
    });
  }
});

describe('calibration', () => {
  test('on pictures without faces is refused', async (t) => {
    const faced = await facedIn(t);
    const dir = join(faced.stateDir, 'empty');
    await mkdir(dir);
    const command = ['model', 'half', '--calibration', dir, '--out', join(faced.stateDir, 'h.onnx')];
    assert.equal((await failure(faced, ...command)).code, 'calibration.invalid');
    const grey = encodeJpeg(paint(320, 240, (x, y) => [x % 256, y % 256, 128]));
    for (let at = 0; at < 12; at += 1) await writeFile(join(dir, `${at}.jpg`), grey);
    await writeFile(join(dir, 'broken.jpg'), 'not a picture');
    const failed = await failure(faced, ...command);
    assert.equal(failed.code, 'calibration.invalid');
    assert.match(failed.message, /shows 0 faces in 13 pictures/);
    await testModels();
  });

  test('on very many pictures looks at no more than it needs', async (t) => {
    const faced = await facedIn(t);
    const dir = join(faced.stateDir, 'many');
    await mkdir(dir);
    const [photo] = await demoPhotos();
    assert.ok(photo);
    for (let at = 0; at < 10_000; at += 1) await symlink(photo, join(dir, `${at}.jpg`));
    const out = join(faced.stateDir, 'h.onnx');
    const { code, answer } = await faced.json('model', 'half', '--calibration', dir, '--out', out);
    assert.equal(code, 0);
    assert.equal((answer as { made: { faces: number } }).made.faces, 32);
  });

  test('on ten faces works, and says how few there were', { skip: withoutData('lfw') }, async (t) => {
    const faced = await facedIn(t);
    const dir = join(faced.stateDir, 'ten');
    await mkdir(dir);
    for (const file of (await readdir(dataPath('lfw', 'calibration'))).sort().slice(0, 10))
      await copyFile(dataPath('lfw', 'calibration', file), join(dir, file));
    const out = join(faced.stateDir, 'h.onnx');
    const { code, answer } = await faced.json('model', 'half', '--calibration', dir, '--out', out);
    assert.equal(code, 0);
    const { made } = answer as {
      made: { faces: number; cosine: { least: number }; memory: { before: number; after: number } };
    };
    assert.ok(made.faces >= 9 && made.cosine.least > 0.999);
    assert.ok(made.memory.before > 2 ** 20 && made.memory.after > 2 ** 20);
    // Float at both ends, halves between; and twice the same bytes.
    const model = await loadModel(out);
    assert.deepEqual([model.graph.inputs[0]?.type, model.graph.outputs[0]?.type], ['float32', 'float32']);
    assert.ok(![...model.graph.initializers.values()].some(({ type }) => type === 'float32'));
    const again = join(faced.stateDir, 'again.onnx');
    await faced.json('model', 'half', '--calibration', dir, '--out', again);
    assert.deepEqual(await readFile(again), await readFile(out));
    const narrow = await failure(faced, 'model', 'half', out, '--calibration', dir, '--out', again);
    assert.equal(narrow.code, 'model.unsupported');
  });
});

describe('a disk that is full in the middle', () => {
  test('leaves no half file', async (t) => {
    const faced = await facedIn(t);
    const disk = await smallDisk(t, '2m');
    if (disk === null) return;
    await writeFile(join(disk, 'here before'), Buffer.alloc(1_500_000));
    const dir = join(faced.stateDir, 'in');
    await mkdir(dir);
    const stock = join(await testModels(), 'mobilefacenet.onnx');
    const commands = [
      ['model', 'optimize', '--target', 'x64', '--out', join(disk, 'o.onnx')],
      ['model', 'import', stock, '--out', join(disk, 'i.onnx')],
      ['model', 'split', '--shards', '3', '--out', join(disk, 'shards')],
    ];
    for (const command of commands) {
      const failed = await failure(faced, ...command);
      assert.deepEqual({ exit: failed.exit, code: failed.code }, { exit: 1, code: 'model.write-failed' });
      assert.match(failed.message, /ENOSPC|no space left/i);
      assert.deepEqual(await readdir(disk), ['here before'], command.join(' '));
    }
  });

  test('between a model and its note leaves neither', async (t) => {
    const faced = await facedIn(t);
    const model = preluNet();
    model.graph.initializers.set('w2', floatTensor([1, 8, 1, 1], new Float32Array(8).fill(2)));
    const file = join(faced.stateDir, 'net.onnx');
    await writeFile(file, encodeModel(model));
    const whole = await faced.json('model', 'optimize', file, '--out', join(faced.stateDir, 'o.onnx'));
    assert.ok((whole.answer as { bytes: number }).bytes < 4096);
    const disk = await smallDisk(t, '16k');
    if (disk === null) return;
    // tmpfs gives pages of 4 kB: one is left, which the model takes.
    await writeFile(join(disk, 'here before'), Buffer.alloc(12_288));
    const failed = await failure(faced, 'model', 'optimize', file, '--out', join(disk, 'o.onnx'));
    assert.equal(failed.code, 'model.write-failed');
    assert.deepEqual(await readdir(disk), ['here before']);
  });
});

/** A file system of its own that is soon full; null, and the test skipped, where none can be mounted. */
async function smallDisk(t: TestContext, size: string): Promise<string | null> {
  const dir = await mkdtemp(join(tmpdir(), 'faced-disk-'));
  let mounted = false;
  t.after(async () => {
    if (mounted) execFileSync('umount', ['-l', dir]);
    await rm(dir, { recursive: true, force: true });
  });
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${size}`, 'faced-test', dir], { stdio: 'ignore' });
  } catch {
    t.skip('needs root and the right to mount a tmpfs');
    return null;
  }
  mounted = true;
  return dir;
}
