import assert from 'node:assert/strict';
import { copyFile, mkdir, readFile, stat, symlink, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { FacedError } from '../../src/domain/errors.js';
import { createImage, decode, encodeJpeg, resizeInto } from '../../src/image/index.js';
import { parseDevices } from '../../src/inference/device.js';
import { openDetector } from '../../src/inference/index.js';
import { embedAll, type PictureOutcome } from '../../src/model-tools/bulk/embed-all.js';
import { NpyFile, npyHeader } from '../../src/model-tools/bulk/npy-file.js';
import { temporaryDir } from '../helpers/dirs.js';
import { facedIn } from '../helpers/faced.js';
import { demoPhotos, testModels, testStore } from '../helpers/models.js';

const quality = { size: 100, sharpness: 1, yaw: 0, pitch: 0, roll: 0, brightness: 1, score: 1 };
const row = (...values: number[]): PictureOutcome => ({ vector: Float32Array.from(values), quality });
const none: PictureOutcome = { vector: null, code: 'enroll.no-face', reason: 'no face was found' };

describe('an array file', () => {
  test('is in the form that NumPy reads', () => {
    const header = npyHeader(3, 512);
    assert.equal(header.toString('latin1', 1, 6), 'NUMPY');
    assert.equal((10 + header.readUInt16LE(8)) % 64, 0);
    assert.match(
      header.toString('latin1'),
      /'descr': '<f4', 'fortran_order': False, 'shape': \(3, 512\), \} *\n$/,
    );
    assert.equal(npyHeader(10 ** 9, 512).length, header.length);
  });

  test('is not there before it is whole, and goes on where it was interrupted, to the same bytes', async (t) => {
    const dir = await temporaryDir(t);
    const batches = [
      [row(1, 2), none],
      [row(3, 4), row(5, 6)],
      [none, row(7, 8)],
    ];
    const whole = await NpyFile.open(join(dir, 'whole.npy'), { key: 'k', dimensions: 2 });
    for (const batch of batches) await whole.append(batch);
    await whole.finish({ rows: 4 });
    await whole.close();

    const path = join(dir, 'cut.npy');
    const first = await NpyFile.open(path, { key: 'k', dimensions: 2 });
    for (const batch of batches.slice(0, 2)) await first.append(batch);
    await first.close();
    await assert.rejects(stat(path));
    // A power cut in the middle of a line and of a row.
    await writeFile(`${path}.part.log`, '{"batch":2,"co', { flag: 'a' });
    await writeFile(`${path}.part`, 'xyz', { flag: 'a' });
    const second = await NpyFile.open(path, { key: 'k', dimensions: 2 });
    assert.equal(second.batches, 2);
    assert.deepEqual(second.codes, [null, 'enroll.no-face', null, null]);
    for (const batch of batches.slice(2)) await second.append(batch);
    await second.finish({ rows: 4 });
    await second.close();
    assert.deepEqual(await readFile(path), await readFile(join(dir, 'whole.npy')));
    await assert.rejects(stat(`${path}.part.log`));
  });

  test('of other work is begun anew', async (t) => {
    const path = join(await temporaryDir(t), 'a.npy');
    const first = await NpyFile.open(path, { key: 'old', dimensions: 2 });
    await first.append([row(1, 2)]);
    await first.close();
    const second = await NpyFile.open(path, { key: 'new', dimensions: 2 });
    t.after(() => second.close());
    assert.equal(second.batches, 0);
  });
});

test('devices are named one by one, and nonsense is wrong use', async () => {
  assert.deepEqual(await parseDevices('cpu, cuda:1'), [{ kind: 'cpu' }, { kind: 'cuda', id: 1 }]);
  assert.equal((await parseDevices('0,1')).length, 2);
  for (const wrong of ['', 'cpu,', 'tpu', 'cuda:x', '-1'])
    await assert.rejects(
      parseDevices(wrong),
      (error) => error instanceof FacedError && error.code === 'usage.invalid',
    );
});

describe('many pictures', () => {
  test('are the same rows in the same order, however many threads there are', async (t) => {
    const dir = await manyPictures(await temporaryDir(t));
    const results: PictureOutcome[][] = [];
    for (const [workers, devices] of [
      [1, 'cpu'],
      [3, 'cpu,cpu'],
    ] as const) {
      const outcomes: PictureOutcome[] = [];
      const batches: number[] = [];
      await embedAll(
        {
          files: dir,
          batch: 2,
          workers,
          devices: await parseDevices(devices),
          modelsDir: await testModels(),
          rule: 'main',
          signal: new AbortController().signal,
        },
        async (batch, more) => {
          batches.push(batch);
          outcomes.push(...more);
        },
      );
      assert.deepEqual(
        batches,
        [...batches].sort((a, b) => a - b),
      );
      results.push(outcomes);
    }
    const [one, many] = results;
    assert.equal(one?.length, dir.length);
    assert.deepEqual(one, many);
    assert.ok(one.filter(({ vector }) => vector !== null).length >= 3);
    const broken = one[dir.findIndex((file) => basename(file) === 'broken.jpg')];
    assert.ok(broken?.vector === null && broken.code === 'image.unreadable');
  });

  test('end with the first failure that is not about a picture, and with a signal', async (t) => {
    const files = await manyPictures(await temporaryDir(t));
    const work = (options: { devices?: string; signal?: AbortSignal; modelsDir: string }) =>
      parseDevices(options.devices ?? 'cpu').then((devices) =>
        embedAll(
          {
            files,
            batch: 1,
            workers: 1,
            rule: 'main',
            signal: new AbortController().signal,
            ...options,
            devices,
          },
          async () => {},
        ),
      );
    const modelsDir = await testModels();
    await assert.rejects(work({ devices: 'cuda:7', modelsDir }), /cuda:7 cannot be used/);
    await assert.rejects(work({ modelsDir, signal: AbortSignal.abort() }));
  });

  test('embedded by the command go on after an interruption, to the same bytes', async (t) => {
    const dir = join(await temporaryDir(t), 'pictures');
    await mkdir(dir);
    await manyPictures(dir);
    await symlink('nothing', join(dir, 'gone.jpg'));
    const faced = await facedIn(t);
    const [a, b] = [join(faced.stateDir, 'a.npy'), join(faced.stateDir, 'b.npy')];
    const whole = await faced.json('embed', dir, '--out', a, '--batch', '2');
    assert.equal(whole.code, 0);
    const running = faced.spawn('embed', dir, '--out', b, '--batch', '2', '--workers', '2');
    const begun = await logLine(`${b}.part.log`);
    running.child.kill('SIGKILL');
    await running.ended;
    const again = await faced.json('embed', dir, '--out', b, '--batch', '2');
    assert.equal(again.code, 0);
    const { resumed, rows, pictures } = again.answer as { resumed: number; rows: number; pictures: number };
    assert.ok(begun && resumed >= 2 && resumed <= pictures && rows >= 3);
    for (const extension of ['npy', 'json'])
      assert.deepEqual(
        await readFile(b.replace('npy', extension)),
        await readFile(a.replace('npy', extension)),
      );
  });

  test('of many people are enrolled by their folders, as one by one, and nobody twice', async (t) => {
    const dir = join(await temporaryDir(t), 'people');
    const portraits = await cutPortraits(t);
    for (const [at, portrait] of portraits.entries()) {
      await mkdir(join(dir, `Person ${at}`), { recursive: true });
      await writeFile(join(dir, `Person ${at}`, 'a.jpg'), portrait);
      await writeFile(join(dir, `Person ${at}`, 'b.jpg'), 'not a picture');
    }
    const [photo] = await demoPhotos();
    assert.ok(photo);
    await copyFile(photo, join(dir, 'Person 0', 'c.jpg'));
    // Every face once more under another name: what the first name has, the second may not get.
    for (const [at, portrait] of portraits.entries()) {
      await mkdir(join(dir, `Second ${at}`));
      await writeFile(join(dir, `Second ${at}`, 'd.jpg'), portrait);
    }
    const faced = await facedIn(t);
    const first = (await faced.json('people', 'import', dir)).answer as Enrolled;
    const accepted = portraits.length - first.refused.filter(({ path }) => path.endsWith('a.jpg')).length;
    assert.ok(accepted >= 2, `${accepted} of ${portraits.length}`);
    assert.deepEqual([first.people, first.samples], [accepted, accepted]);
    const refused = first.refused.filter(({ path }) => path.endsWith('b.jpg'));
    assert.deepEqual([...new Set(refused.map(({ code }) => code))], ['image.unreadable']);
    assert.deepEqual(
      first.refused.filter(({ path }) => path.endsWith('c.jpg')).map(({ code }) => code),
      ['enroll.several-faces'],
    );
    const twice = first.refused.filter(
      ({ path, code }) => path.endsWith('d.jpg') && code === 'enroll.duplicate',
    );
    assert.equal(twice.length, accepted);
    for (const at of portraits.keys()) {
      const path = join(`Person ${at}`, 'a.jpg');
      // In a gallery of its own: who is known already is not enrolled under another name.
      const { answer } = await (await facedIn(t)).json('enroll', `Alone ${at}`, join(dir, path));
      const alone = (answer as { samples: { accepted: boolean }[] }).samples[0]?.accepted;
      assert.equal(!first.refused.some((one) => one.path === path), alone);
    }
    const second = (await faced.json('people', 'import', dir)).answer as Enrolled;
    assert.deepEqual([second.people, second.known], [0, first.people]);
  });
});

interface Enrolled {
  people: number;
  samples: number;
  known: number;
  refused: { path: string; code: string }[];
}

/** Pictures of one person each, cut out of the demo's group photographs, largest faces first. */
async function cutPortraits(t: TestContext): Promise<Uint8Array[]> {
  const detector = await openDetector({ store: await testStore(t) });
  const cuts: { side: number; jpeg: Uint8Array }[] = [];
  for (const photo of await demoPhotos()) {
    const image = decode(await readFile(photo));
    for (const { box } of await detector.detect(image, { minSize: 60 })) {
      const side = 1.7 * Math.max(box.width, box.height);
      const target = createImage(224, 224, image.format);
      const [x, y] = [box.x + (box.width - side) / 2, box.y + (box.height - side) / 2];
      resizeInto(image, target, { roi: { x, y, width: side, height: side } });
      cuts.push({ side, jpeg: encodeJpeg(target) });
    }
  }
  return cuts
    .sort((a, b) => b.side - a.side)
    .slice(0, 4)
    .map(({ jpeg }) => jpeg);
}

/** The demo's photographs, some twice, and one file that is no picture. */
async function manyPictures(dir: string): Promise<string[]> {
  const photos = await demoPhotos();
  const files: string[] = [];
  for (const [at, photo] of [...photos, ...photos.slice(0, 3)].entries()) {
    const file = join(dir, `${String(at).padStart(2, '0')}.jpg`);
    await copyFile(photo, file);
    files.push(file);
  }
  await writeFile(join(dir, 'broken.jpg'), 'not a picture');
  return [...files, join(dir, 'broken.jpg')].sort();
}

/** Resolves when the first batch is in the log. */
async function logLine(path: string): Promise<boolean> {
  for (;;) {
    const text = await readFile(path, 'utf8').catch(() => '');
    if (text.split('\n').length > 2) return true;
    await new Promise((resolve) => setImmediate(resolve));
  }
}
