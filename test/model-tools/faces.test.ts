import assert from 'node:assert/strict';
import { mkdir, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { FacedError } from '../../src/domain/errors.js';
import { operatingPoints } from '../../src/model-tools/accuracy.js';
import { evenly, pictureFiles } from '../../src/model-tools/faces.js';
import { writeOutput } from '../../src/model-tools/variant.js';
import { temporaryDir } from '../helpers/dirs.js';

test('pictures are found below a folder, in the order of their paths, and nothing else', async (t) => {
  const dir = await temporaryDir(t);
  await mkdir(join(dir, 'b'));
  for (const name of ['b/2.JPG', 'a.png', 'note.txt', 'b/1.jpeg']) await writeFile(join(dir, name), '');
  await mkdir(join(dir, 'folder.jpg'));
  await symlink('nothing', join(dir, 'gone.jpg'));
  assert.deepEqual(
    await pictureFiles(dir),
    ['a.png', 'b/1.jpeg', 'b/2.JPG', 'gone.jpg'].map((name) => join(dir, name)),
  );
  await assert.rejects(
    pictureFiles(join(dir, 'none')),
    (error) => error instanceof FacedError && error.code === 'usage.not-found',
  );
});

test('of ten thousand the wanted number is taken, evenly', () => {
  const list = Array.from({ length: 10_000 }, (_, at) => at);
  const taken = evenly(list, 256);
  assert.equal(taken.length, 256);
  assert.ok(taken.every((value, at) => Math.abs(value - (at * 10_000) / 256) <= 40));
});

test('thresholds keep the rate that they promise', () => {
  const people = ['a', 'a', 'b', 'b'];
  const vectors = Float32Array.from([1, 0, 0.8, 0.6, 0, 1, -0.6, 0.8]);
  const set = { paths: people, people, dimensions: 2, vectors };
  const { impostorPairs, genuinePairs, points } = operatingPoints(set, set, [0, 0.25]);
  assert.deepEqual([impostorPairs, genuinePairs], [4, 2]);
  // Impostors at 0, -0.6, 0.6 and 0; both genuine pairs at 0.8.
  const [none, quarter] = points;
  assert.ok(none && quarter && none.threshold > 0.6 && none.threshold < 0.6001 && none.fnmr === 0);
  assert.ok(quarter.threshold > 0 && quarter.threshold < 0.0001);
});

test('what cannot be written leaves no half file', async (t) => {
  const dir = await temporaryDir(t);
  const code = (error: unknown) => error instanceof FacedError && error.code === 'model.write-failed';
  await assert.rejects(writeOutput(join(dir, 'none', 'm.onnx'), 'x'), code);
  // /dev/full answers "no space left on device" to every write; a file cannot be made beside it.
  await assert.rejects(writeOutput('/dev/full/m.onnx', 'x'), code);
});
