import assert from 'node:assert/strict';
import { copyFile, mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { dataPath, withoutData } from '../helpers/data.js';
import { facedIn } from '../helpers/faced.js';
import { demoPhotos, testModels } from '../helpers/models.js';

interface Verdict {
  parity: { mean: number; least: number };
  images: number;
  pairs: { own: { accuracy: number } } | null;
  own: {
    impostorPairs: number;
    genuinePairs: number;
    points: { fmr: number; threshold: number; fnmr: number }[];
  };
  joinsSpace: boolean;
  written: string | null;
  svg: string | null;
}

test('a model is compared with the one it was made from without any pictures of the user', async (t) => {
  await testModels();
  await demoPhotos();
  const faced = await facedIn(t);
  const made = join(faced.stateDir, 'o.onnx');
  assert.equal((await faced.json('model', 'optimize', '--target', 'x64', '--out', made)).code, 0);
  const { code, answer } = await faced.json('model', 'verify', made, '--against', 'mobilefacenet');
  assert.equal(code, 0);
  const { parity, images } = answer as Verdict;
  assert.ok(images >= 10 && parity.least > 1 - 1e-6);
});

describe('on pictures of people', { skip: withoutData('lfw') }, () => {
  test('thresholds by false match rate go into the note, and the ROC beside it; no variant joins a space on few pairs', async (t) => {
    const faced = await facedIn(t);
    const images = join(faced.stateDir, 'images');
    const people = (await readdir(dataPath('lfw', 'images'))).sort();
    const several: string[] = [];
    for (const person of people) {
      const files = (await readdir(dataPath('lfw', 'images', person))).sort().slice(0, 2);
      if (files.length < 2) continue;
      await mkdir(join(images, person), { recursive: true });
      for (const file of files)
        await copyFile(dataPath('lfw', 'images', person, file), join(images, person, file));
      several.push(person);
      if (several.length === 12) break;
    }
    const [first = '', second = ''] = several;
    const pairs = join(faced.stateDir, 'pairs.txt');
    await writeFile(pairs, `${first}\t1\t2\n${first}\t1\t${second}\t1\n`);
    const made = join(faced.stateDir, 'o.onnx');
    await faced.json('model', 'optimize', '--target', 'x64', '--out', made);
    const { code, answer, stderr } = await faced.json(
      ...['model', 'verify', made, '--images', images, '--pairs', pairs],
    );
    assert.equal(code, 0, stderr);
    const { parity, own, joinsSpace, written, svg, pairs: right } = answer as Verdict;
    assert.ok(parity.least > 1 - 1e-6);
    assert.deepEqual([own.impostorPairs, own.genuinePairs], [(24 * 22) / 2, 12]);
    assert.equal(right?.own.accuracy, 1);
    assert.equal(joinsSpace, false);
    // 264 impostor pairs say nothing of rates for which fewer than five of them stand.
    assert.ok(own.points.length > 3 && own.points.every(({ fmr }) => fmr * 264 >= 5));
    own.points.reduce((before, { threshold }) => {
      assert.ok(threshold >= before);
      return threshold;
    }, -1);
    const note = JSON.parse(await readFile(written ?? '', 'utf8')) as {
      verified: Verdict;
      derivedFrom: string;
    };
    assert.equal(note.verified.own.points.length, own.points.length);
    assert.equal(note.derivedFrom.length, 64);
    assert.match(
      await readFile(svg ?? '', 'utf8'),
      /^<svg[\s\S]*<polyline[\s\S]*false match rate[\s\S]*<\/svg>/,
    );

    const before = await stat(written ?? '');
    const dry = await faced.json('model', 'verify', made, '--images', images, '--dry');
    assert.equal((dry.answer as Verdict).written, null);
    assert.equal((await stat(written ?? '')).mtimeMs, before.mtimeMs);
  });
});
