import assert from 'node:assert/strict';
import { readdirSync, readFileSync, rmSync, statfsSync, writeFileSync } from 'node:fs';
import { copyFile, mkdir, readFile, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import Database from 'better-sqlite3';
import type { Image } from '../../src/domain/frame.js';
import { createImage, decode, encodeJpeg, resizeInto } from '../../src/image/index.js';
import { remount, smallDisk, withoutMounts } from '../gallery/support.js';
import { portraitOf, writeFaceClip } from '../helpers/clips.js';
import { temporaryDir } from '../helpers/dirs.js';
import { type Faced, facedIn } from '../helpers/faced.js';
import { testModels } from '../helpers/models.js';
import { cmykJpeg, gif, png, withOrientation } from '../image/encoded.js';

interface Identified {
  readonly images: readonly {
    readonly path: string;
    readonly faces: readonly { readonly decision: string }[];
    readonly error?: { readonly code: string };
  }[];
}

/** As a camera that lies on its left side stores it; orientation 6 of EXIF turns it upright. */
function onItsSide(image: Image): Image {
  const turned = createImage(image.height, image.width, 'bgr24');
  for (let y = 0; y < turned.height; y++) {
    for (let x = 0; x < turned.width; x++) {
      const from = (x * image.width + image.width - 1 - y) * 3;
      turned.data.set(image.data.subarray(from, from + 3), (y * turned.width + x) * 3);
    }
  }
  return turned;
}

function grey(image: Image): Image {
  const made = createImage(image.width, image.height, 'gray8');
  for (let i = 0; i < made.data.length; i++) made.data[i] = image.data[i * 3 + 1] ?? 0;
  return made;
}

/** An animation: the picture for one frame, black for the next. */
function animated(image: Image): Uint8Array {
  const small = createImage(160, Math.round((160 * image.height) / image.width), 'bgr24');
  resizeInto(image, small);
  const { width, height } = small;
  const palette = Array.from({ length: 256 }, (_, level) => [level, level, level]);
  const frame = (indices: number[]) => ({ x: 0, y: 0, width, height, indices });
  const black = new Array<number>(width * height).fill(0);
  return gif(width, height, palette, [frame([...grey(small).data]), frame(black)]);
}

test('pictures of every kind: what shows a face is recognised, the rest is named by its code, one by one', async (t) => {
  const dir = await temporaryDir(t);
  const faced = await facedIn(t);
  const jpeg = await portraitOf('Ada');
  const image = decode(jpeg);
  const huge = png({ width: 2, height: 2, type: 2, depth: 8, samples: new Array<number>(12).fill(0) });
  new DataView(huge.buffer).setUint32(16, 10_000);
  new DataView(huge.buffer).setUint32(20, 10_000);
  const pictures: Record<string, { bytes: Uint8Array; answer: string }> = {
    'grey.jpg': { bytes: encodeJpeg(grey(image), 95), answer: 'known' },
    'side.jpg': { bytes: withOrientation(encodeJpeg(onItsSide(image), 95), 6), answer: 'known' },
    'animated.gif': { bytes: animated(image), answer: 'known' },
    'cmyk.jpg': { bytes: cmykJpeg([255, 0, 0, 255]), answer: '' },
    'text.jpg': { bytes: Buffer.from('no picture'), answer: 'image.unreadable' },
    'empty.jpg': { bytes: Buffer.alloc(0), answer: 'image.unreadable' },
    'half.jpg': { bytes: jpeg.subarray(0, jpeg.length / 2), answer: 'image.unreadable' },
    '100-megapixels.png': { bytes: huge, answer: 'image.too-large' },
    'ada.jpg': { bytes: jpeg, answer: 'known' },
  };
  for (const [name, { bytes }] of Object.entries(pictures)) await writeFile(join(dir, name), bytes);
  assert.equal((await faced.run('enroll', 'Ada', join(dir, 'ada.jpg'))).code, 0);
  const paths = Object.keys(pictures).map((name) => join(dir, name));
  const { code, answer } = await faced.json('identify', ...paths);
  assert.equal(code, 1, 'some could not be read');
  assert.deepEqual(
    (answer as Identified).images.map(({ path, faces, error }) => [
      path.slice(dir.length + 1),
      error?.code ?? faces.map(({ decision }) => decision).join(),
    ]),
    Object.entries(pictures).map(([name, { answer }]) => [name, answer]),
  );
});

test('a clip that is cut off is looked at as far as it goes', async (t) => {
  const dir = await temporaryDir(t);
  const faced = await facedIn(t, { FACED_MQTT_EMBEDDED_PORT: '0' });
  const clip = join(dir, 'ada.avi');
  const jpeg = await portraitOf('Ada');
  await writeFile(join(dir, 'ada.jpg'), jpeg);
  writeFaceClip(clip, { jpeg, seconds: 4 });
  await truncate(clip, Math.round((await readFile(clip)).length / 2));
  assert.equal((await faced.run('enroll', 'Ada', join(dir, 'ada.jpg'))).code, 0);
  const { code, stdout, stderr } = await faced.run('run', '--source', `file:${clip}`, '--once', '--json');
  assert.equal(code, 0, stderr);
  assert.match(stdout, /"decision":"known"/);
  assert.equal(stdout.trim().split('\n').length, 1);
});

/** Copies of the models that a test may damage. */
async function ownModels(dir: string): Promise<string> {
  const models = join(dir, 'models');
  await mkdir(models);
  for (const name of ['ultraface', 'landmarks68', 'mobilefacenet', 'minifasnet'])
    await copyFile(join(await testModels(), `${name}.onnx`), join(models, `${name}.onnx`));
  return models;
}

async function codeOf(faced: Faced, ...argv: string[]): Promise<string> {
  const { answer } = await faced.json(...argv);
  return (answer as { error?: { code: string } }).error?.code ?? 'none';
}

test('a model that is cut off, of another shape, or whose card lies or leaves its folder', async (t) => {
  const dir = await temporaryDir(t);
  const models = await ownModels(dir);
  const faced = await facedIn(t, { FACED_MODELS_DIR: models, FACED_MQTT_EMBEDDED_PORT: '0' });
  const picture = join(dir, 'ada.jpg');
  await writeFile(picture, await portraitOf('Ada'));
  assert.equal((await faced.run('enroll', 'Ada', picture)).code, 0);

  await truncate(join(models, 'mobilefacenet.onnx'), 1_000_000);
  assert.equal(await codeOf(faced, 'identify', picture), 'model.mismatch');
  const daemon = await faced.run('run', '--source', `images:${dir}`, '--once');
  assert.equal(daemon.code, 1);
  assert.match(daemon.stderr, /mobilefacenet.*\(model\.mismatch\)\n.*faced model fetch/s);
  await copyFile(join(models, 'landmarks68.onnx'), join(models, 'mobilefacenet.onnx'));
  assert.equal(await codeOf(faced, 'identify', picture), 'model.mismatch');
  await copyFile(join(await testModels(), 'mobilefacenet.onnx'), join(models, 'mobilefacenet.onnx'));

  const card = JSON.parse(
    await readFile(join(import.meta.dirname, '../../../models/mobilefacenet.json'), 'utf8'),
  );
  const cardPath = join(models, 'mobilefacenet.json');
  await writeFile(cardPath, JSON.stringify({ ...card, output: { ...card.output, size: 128 } }));
  assert.equal(await codeOf(faced, 'identify', picture), 'model.mismatch');
  await writeFile(cardPath, JSON.stringify({ ...card, file: '../../mobilefacenet.onnx' }));
  assert.equal(await codeOf(faced, 'identify', picture), 'model.card-invalid');
  rmSync(cardPath);
  const { answer } = await faced.json('identify', picture);
  assert.equal((answer as Identified).images[0]?.faces[0]?.decision, 'known', 'nothing was lost');
});

test('a model that does not fit into the memory: the daemon lives and says so, and looks as soon as it does', async (t) => {
  const models = await ownModels(await temporaryDir(t));
  const recogniser = join(models, 'mobilefacenet.onnx');
  // No machine has the memory for what it seems to be, and it takes none on the disk.
  await truncate(recogniser, 2 ** 40);
  const faced = await facedIn(t, {
    FACED_MODELS_DIR: models,
    FACED_MQTT_EMBEDDED_PORT: '0',
    FACED_HTTP_PORT: '0',
  });
  const clip = await faced.run('run', '--source', `images:${models}`, '--once');
  assert.match(clip.stderr, /\(model\.no-memory\)/, 'who runs a folder to its end is told at once');
  assert.equal(clip.code, 1);
  const daemon = faced.spawn('run', '--source', 'rtsp://127.0.0.1:1/door');
  await daemon.said(/until there is room for the models.*code=model\.no-memory.*faced model split/);
  await daemon.said(/faced is running/);
  await copyFile(join(await testModels(), 'mobilefacenet.onnx'), recogniser);
  await daemon.said(/the camera is lost.*rtsp/);
  daemon.child.kill('SIGTERM');
  assert.equal(await daemon.ended, 0, daemon.stderr());
});

test('a folder in the place of the socket for commands', async (t) => {
  const faced = await facedIn(t, { FACED_MQTT_EMBEDDED_PORT: '0', FACED_HTTP_PORT: '0' });
  await mkdir(join(faced.stateDir, 'control.sock'));
  const daemon = await faced.run('run');
  assert.equal(daemon.code, 1);
  assert.match(daemon.stderr, /control\.sock.*\(daemon\.no-socket\)/);
});

test('names: emoji and a slash are names; 300 characters, a line break or nothing are not', async (t) => {
  const dir = await temporaryDir(t);
  const faced = await facedIn(t);
  const picture = join(dir, 'ada.jpg');
  await writeFile(picture, await portraitOf('Ada'));
  for (const name of ['x'.repeat(300), 'Ada\nBea', '', '  ', '\u202eada'])
    assert.equal(await codeOf(faced, 'enroll', name, picture), 'gallery.invalid-name', JSON.stringify(name));
  assert.equal(await codeOf(faced, 'enroll', '../Ada 👩‍🚀/#+', picture), 'none');
  const list = await faced.json('people', 'list');
  assert.deepEqual(
    (list.answer as { people: { name: string }[] }).people.map(({ name }) => name),
    ['../Ada 👩‍🚀/#+'],
  );
});

test('settings that are a bomb of aliases are refused, and a running daemon keeps its own', async (t) => {
  const faced = await facedIn(t, { FACED_MQTT_EMBEDDED_PORT: '0' });
  const daemon = faced.spawn('run');
  await daemon.said(/faced is running/);
  const levels = Array.from({ length: 30 }, (_, i) => `l${i + 1}: &l${i + 1} [${`*l${i},`.repeat(9)}]`);
  writeFileSync(join(faced.stateDir, 'faced.yaml'), ['l0: &l0 [a]', ...levels, ''].join('\n'));
  daemon.child.kill('SIGHUP');
  await daemon.said(/config\.(invalid|unreadable)/);
  assert.equal((await faced.json('people', 'list', '--config', join(faced.stateDir, 'faced.yaml'))).code, 1);
  daemon.child.kill('SIGTERM');
  assert.equal(await daemon.ended, 0, daemon.stderr());
});

test('a database from a newer version is left as it is', async (t) => {
  const faced = await facedIn(t, { FACED_MQTT_EMBEDDED_PORT: '0' });
  assert.equal((await faced.run('people', 'list')).code, 0);
  const path = join(faced.stateDir, 'gallery.db');
  const database = new Database(path);
  database.exec('INSERT INTO migrations VALUES (9999, 0)');
  database.close();
  const before = readFileSync(path);
  assert.equal(await codeOf(faced, 'people', 'list'), 'gallery.newer');
  const daemon = await faced.run('run');
  assert.equal(daemon.code, 1);
  assert.match(daemon.stderr, /gallery\.newer/);
  assert.deepEqual(readFileSync(path), before);
});

test('a disk that fills up and one that is read-only: said by code, nothing lost', {
  skip: withoutMounts(),
}, async (t) => {
  const dir = await temporaryDir(t);
  const state = await smallDisk(t, '4m');
  const faced = await facedIn(t, { FACED_STATE_DIR: state, FACED_MQTT_EMBEDDED_PORT: '0' });
  const [ada, bea] = [join(dir, 'ada.jpg'), join(dir, 'bea.jpg')];
  await writeFile(ada, await portraitOf('Ada'));
  await writeFile(bea, await portraitOf('Bea'));
  assert.equal((await faced.run('enroll', 'Ada', ada)).code, 0);
  const { bavail, bsize } = statfsSync(state);
  const filler = join(state, 'filler');
  writeFileSync(filler, Buffer.alloc(bavail * bsize));
  assert.equal(await codeOf(faced, 'enroll', 'Bea', bea), 'gallery.disk-full');
  rmSync(filler);
  assert.equal(await codeOf(faced, 'enroll', 'Bea', bea), 'none');
  remount(state, 'ro');
  assert.equal(await codeOf(faced, 'enroll', 'Bea', bea), 'gallery.read-only');
  const daemon = await faced.run('run');
  assert.match(daemon.stderr, /gallery\.read-only/);
  assert.equal(daemon.code, 1);
  remount(state, 'rw');
  const list = await faced.json('people', 'list');
  assert.deepEqual(
    (list.answer as { people: { name: string; samples: number }[] }).people.map(({ name, samples }) => [
      name,
      samples,
    ]),
    [
      ['Ada', 1],
      ['Bea', 1],
    ],
  );
  assert.deepEqual(
    readdirSync(state).filter((name) => name.endsWith('.tmp')),
    [],
  );
});

test('models on a disk that is read-only: the optimised form is not written, and the stock one runs', {
  skip: withoutMounts(),
}, async (t) => {
  const models = await smallDisk(t, '64m');
  const shipped = await testModels();
  for (const id of ['ultraface', 'landmarks68', 'mobilefacenet', 'minifasnet'])
    await copyFile(join(shipped, `${id}.onnx`), join(models, `${id}.onnx`));
  remount(models, 'ro');
  const faced = await facedIn(t, { FACED_MODELS_DIR: models, FACED_MQTT_EMBEDDED_PORT: '0' });
  const fetched = await faced.run('model', 'fetch');
  assert.equal(fetched.code, 0, fetched.stderr);
  assert.match(fetched.stderr, /mobilefacenet.*the stock one runs|the stock one runs.*mobilefacenet/);
  const daemon = faced.spawn('run');
  await daemon.said(/faced is running/);
  daemon.child.kill('SIGTERM');
  assert.equal(await daemon.ended, 0, daemon.stderr());
});
