import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { copyFile, mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import type { CommandIo } from '../../src/cli/command.js';
import { run as prune } from '../../src/cli/model/prune.js';
import { encodeJpeg } from '../../src/image/index.js';
import { hashBytes } from '../../src/inference/hash.js';
import { silentLogger } from '../../src/lib/log.js';
import {
  encodeModel,
  floatTensor,
  loadModel,
  type Model,
  makeNode,
} from '../../src/model-tools/graph/index.js';
import { dataPath, withoutData } from '../helpers/data.js';
import { temporaryDir } from '../helpers/dirs.js';
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

describe('every command of the workshop', () => {
  const refused = [
    { name: 'elsewhere.onnx', bytes: withExternal(preluNet(), '../secret.bin'), code: 'model.unreadable' },
    { name: 'cut.onnx', bytes: encodeModel(preluNet()).subarray(0, 400), code: 'model.unreadable' },
    {
      name: 'unknown.onnx',
      bytes: edited((model) => {
        for (const node of model.graph.nodes) if (node.op === 'PRelu') node.op = 'Telepathy';
      }),
      code: 'model.run-failed',
    },
  ];
  const commands = [
    ['inspect', '--svg', 'out.svg'],
    ['optimize', '--out', 'out.onnx'],
    ['quantize', '--dynamic', '--out', 'out.onnx'],
    ['prune', '--unstructured', '--share', '0.2', '--out', 'out.onnx'],
    ['half', '--out', 'out.onnx'],
    ['split', '--shards', '2', '--out', 'out'],
    ['verify', '--svg', 'out.svg'],
    ['bench', '--runs', '1'],
  ];
  for (const { name, bytes, code } of refused) {
    test(`refuses ${name} with ${code}, and writes nothing`, async (t) => {
      await testModels();
      await demoPhotos();
      const faced = await facedIn(t);
      const dir = join(faced.stateDir, 'in');
      await mkdir(dir);
      await writeFile(join(dir, name), bytes);
      for (const [verb = '', ...rest] of commands) {
        const argv = rest.map((word) => (word.startsWith('out') ? join(dir, word) : word));
        const failed = await failure(faced, 'model', verb, join(dir, name), ...argv);
        assert.deepEqual(
          { exit: failed.exit, code: failed.code },
          { exit: 1, code },
          `${verb}: ${failed.message}`,
        );
        assert.deepEqual(await readdir(dir), [name], verb);
      }
    });
  }

  test('refuses to write over the file that it reads, whose card would be lost, before it reads it', async (t) => {
    const faced = await facedIn(t);
    const file = join(faced.stateDir, 'm.onnx');
    await writeFile(file, 'no model');
    await writeFile(join(faced.stateDir, 'm.json'), '{}');
    const makers = [['import'], ...commands.filter((argv) => argv.includes('out.onnx'))];
    assert.equal(makers.length, 5);
    for (const [verb = '', ...rest] of makers) {
      const argv = rest.slice(0, -2);
      const { code } = await failure(faced, 'model', verb, file, ...argv, '--out', file);
      assert.equal(code, 'usage.invalid', verb);
    }
    assert.equal(await readFile(file, 'utf8'), 'no model');
    assert.equal(await readFile(join(faced.stateDir, 'm.json'), 'utf8'), '{}');
  });

  test('notes the file that it has read, whatever lies there when it is done', async (t) => {
    const dir = await temporaryDir(t);
    const [file, out] = [join(dir, 'm.onnx'), join(dir, 'out.onnx')];
    const bytes = edited(() => {});
    await writeFile(file, bytes);
    const io: CommandIo = {
      json: false,
      env: { FACED_MODELS_DIR: dir },
      log: silentLogger,
      setLogLevel: () => {},
      signal: t.signal,
      // The table comes when all is computed, and before anything is written.
      print: () => writeFileSync(file, 'something else'),
      line: () => {},
      progress: () => ({ advance: () => {}, grow: () => {}, stop: () => {} }),
    };
    assert.equal(await prune([file, '--layer', '0=0.5', '--out', out], io), 0);
    assert.equal(await readFile(file, 'utf8'), 'something else');
    const note = JSON.parse(await readFile(join(dir, 'out.json'), 'utf8')) as { derivedFrom: string };
    assert.equal(note.derivedFrom, hashBytes(bytes));
  });

  test('refuses a folder in place of a file, and says to make one that is missing', async (t) => {
    await testModels();
    const faced = await facedIn(t);
    assert.equal((await failure(faced, 'model', 'inspect', faced.stateDir)).code, 'usage.not-found');
    const out = join(faced.stateDir, 'none', 'i.svg');
    const { answer } = await faced.json('model', 'inspect', '--svg', out);
    const { error } = answer as { error: { code: string; fix: string } };
    assert.equal(error.code, 'model.write-failed');
    assert.match(error.fix, /make the folder/);
  });

  test('refuses an input that claims terabytes before memory is taken', async (t) => {
    const faced = await facedIn(t);
    const file = join(faced.stateDir, 'large.onnx');
    const bytes = edited((model) => {
      model.graph.inputs = [{ name: 'input', type: 'float32', dims: [1, 3, 2 ** 20, 2 ** 20] }];
    });
    await writeFile(file, bytes);
    const failed = await failure(faced, 'model', 'inspect', file);
    assert.equal(failed.code, 'model.unsupported');
    assert.match(failed.message, /claims the shape \[1,3,1048576,1048576\]/);
  });
});

describe('a folder of pictures', () => {
  test('that is missing, or shows no faces, is refused by each command that learns from it', async (t) => {
    await testModels();
    const faced = await facedIn(t);
    const [dir, out] = [join(faced.stateDir, 'grey'), join(faced.stateDir, 'out')];
    for (const folder of [dir, out]) await mkdir(folder);
    const grey = encodeJpeg(paint(320, 240, (x, y) => [x % 256, y % 256, 128]));
    for (let at = 0; at < 9; at += 1) await writeFile(join(dir, `${at}.jpg`), grey);
    for (const name of ['a', 'b']) {
      await mkdir(join(faced.stateDir, 'classes', name), { recursive: true });
      await writeFile(join(faced.stateDir, 'classes', name, 'grey.jpg'), grey);
    }
    const commands = (folder: string): string[][] => [
      ['model', 'quantize', '--calibration', folder, '--out', join(out, 'o.onnx')],
      ['model', 'prune', '--budget', '0.01', '--calibration', folder, '--out', join(out, 'o.onnx')],
      ['model', 'half', '--calibration', folder, '--out', join(out, 'o.onnx')],
      ['model', 'head', 'train', folder, '--out', join(out, 'o.onnx')],
    ];
    const nowhere = join(faced.stateDir, 'nowhere');
    for (const command of [...commands(nowhere), ['embed', nowhere, '--out', join(out, 'o.npy')]])
      assert.equal((await failure(faced, ...command)).code, 'usage.not-found', command.join(' '));
    for (const command of commands(dir))
      assert.equal((await failure(faced, ...command)).code, 'calibration.invalid', command.join(' '));
    const head = ['model', 'head', 'train', join(faced.stateDir, 'classes'), '--out', join(out, 'h.json')];
    assert.match((await failure(faced, ...head)).message, /the classes a, b have 0, 0 faces/);
    assert.deepEqual(await readdir(out), []);
    // A data set without a face is no mistake: the array has no rows, and its list says why.
    const { code, answer } = await faced.json('embed', dir, '--out', join(out, 'o.npy'));
    const { rows, failed } = answer as { rows: number; failed: number };
    assert.deepEqual({ code, rows, failed }, { code: 0, rows: 0, failed: 9 });
  });
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
    await writeFile(join(disk, 'here before'), Buffer.alloc(1_900_000));
    const dir = join(faced.stateDir, 'in');
    await mkdir(dir);
    const stock = join(await testModels(), 'mobilefacenet.onnx');
    const commands = [
      ['model', 'optimize', '--target', 'x64', '--out', join(disk, 'o.onnx')],
      ['model', 'import', stock, '--out', join(disk, 'i.onnx')],
      ['model', 'split', '--shards', '3', '--out', join(disk, 'shards')],
      ['model', 'half', '--out', join(disk, 'h.onnx')],
      ['model', 'prune', '--layer', 'conv1=0.2', '--out', join(disk, 'p.onnx')],
      ['model', 'prune', '--unstructured', '--share', '0.2', '--out', join(disk, 'u.onnx')],
      ['model', 'quantize', '--dynamic', '--out', join(disk, 'q.onnx')],
    ];
    for (const command of commands) {
      const failed = await failure(faced, ...command);
      assert.deepEqual({ exit: failed.exit, code: failed.code }, { exit: 1, code: 'model.write-failed' });
      assert.match(failed.message, /ENOSPC|no space left/i);
      assert.deepEqual(await readdir(disk), ['here before'], command.join(' '));
    }
  });

  test('leaves neither a head nor its model', { skip: withoutData('lfw') }, async (t) => {
    const faced = await facedIn(t);
    const disk = await smallDisk(t, '1m');
    if (disk === null) return;
    const classes = join(faced.stateDir, 'classes');
    for (const person of ['Tony_Blair', 'Pete_Sampras']) {
      await mkdir(join(classes, person), { recursive: true });
      for (const file of (await readdir(dataPath('lfw', 'images', person))).sort().slice(0, 5))
        await copyFile(dataPath('lfw', 'images', person, file), join(classes, person, file));
    }
    const failed = await failure(faced, 'model', 'head', 'train', classes, '--out', join(disk, 'm.onnx'));
    assert.equal(failed.code, 'model.write-failed');
    assert.deepEqual(await readdir(disk), []);
  });

  test('stops an array of embeddings, which goes on to the same bytes when there is room', {
    skip: withoutData('lfw'),
  }, async (t) => {
    const faced = await facedIn(t);
    const disk = await smallDisk(t, '24k');
    if (disk === null) return;
    const dir = join(faced.stateDir, 'pictures');
    await mkdir(dir);
    for (const file of (await readdir(dataPath('lfw', 'calibration'))).sort().slice(0, 16))
      await copyFile(dataPath('lfw', 'calibration', file), join(dir, file));
    const command = (out: string): string[] => ['embed', dir, '--batch', '4', '--out', out];
    const failed = await failure(faced, ...command(join(disk, 'a.npy')));
    assert.deepEqual({ exit: failed.exit, code: failed.code }, { exit: 1, code: 'model.write-failed' });
    assert.ok(!(await readdir(disk)).includes('a.npy'));
    execFileSync('mount', ['-o', 'remount,size=1m', disk]);
    const { code, answer } = await faced.json(...command(join(disk, 'a.npy')));
    assert.equal(code, 0);
    const { resumed } = answer as { resumed: number };
    assert.ok(resumed >= 4 && resumed < 16, `${resumed}`);
    await faced.json(...command(join(faced.stateDir, 'b.npy')));
    assert.deepEqual((await readdir(disk)).sort(), ['a.json', 'a.npy']);
    assert.deepEqual(await readFile(join(disk, 'a.npy')), await readFile(join(faced.stateDir, 'b.npy')));
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
