import assert from 'node:assert/strict';
import { copyFile, mkdir, readdir, readFile, rename, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { dataPath, withoutData } from '../helpers/data.js';
import { temporaryDir } from '../helpers/dirs.js';
import { type Faced, facedIn } from '../helpers/faced.js';
import { demoPhotos, testModels } from '../helpers/models.js';

/** The answer of a command that must succeed. */
async function made<Answer>(faced: Faced, ...argv: string[]): Promise<Answer> {
  const { code, answer, stderr } = await faced.json(...argv);
  assert.equal(code, 0, `${argv.join(' ')}: ${stderr}${JSON.stringify(answer)}`);
  return answer as Answer;
}

/** A few of the photographs for calibration; eight faces are the fewest that it takes. */
async function calibrationIn(dir: string): Promise<string> {
  await mkdir(dir, { recursive: true });
  for (const file of (await readdir(dataPath('lfw', 'calibration'))).sort().slice(0, 12))
    await copyFile(dataPath('lfw', 'calibration', file), join(dir, file));
  return dir;
}

interface Evaluated {
  readonly pairs: number;
  readonly accuracy: number;
  readonly misses: number;
  readonly model: string;
}

describe('from a checkpoint to a judged 8-bit file', {
  skip: withoutData('checkpoints') || withoutData('lfw'),
}, () => {
  test('each step takes what the one before wrote, wherever the folder lies by then', async (t) => {
    await testModels();
    await demoPhotos();
    const faced = await facedIn(t);
    const calibration = await calibrationIn(join(faced.stateDir, 'faces'));
    const first = join(faced.stateDir, 'made');
    await mkdir(first);
    const checkpoint = dataPath('checkpoints', 'mobilefacenet-128-zip.pt');
    await made(faced, 'model', 'import', checkpoint, '--out', join(first, 'm.onnx'));
    const dir = join(faced.stateDir, 'moved');
    await rename(first, dir);
    const path = (name: string): string => join(dir, name);
    const optimised = await made<{ made: { distance: number } }>(
      ...[faced, 'model', 'optimize', path('m.onnx'), '--out', path('o.onnx')],
    );
    assert.ok(optimised.made.distance < 1e-6);
    await made(
      ...[faced, 'model', 'quantize', path('m.onnx'), '--calibration', calibration],
      ...['--out', path('q.onnx')],
    );
    // Without photographs of its own half precision is checked on those of the demo.
    const half = await made<{ made: { overflow: string; cosine: { least: number } } }>(
      ...[faced, 'model', 'half', path('o.onnx'), '--out', path('h.onnx')],
    );
    assert.match(half.made.overflow, /^checked on \d+ faces of the demo/);
    assert.ok(half.made.cosine.least > 0.999);
    for (const [file, least] of [
      ['q.onnx', 0.97],
      ['h.onnx', 0.999],
    ] as const) {
      const verified = await made<{ reference: string; parity: { least: number } }>(
        ...[faced, 'model', 'verify', path(file)],
      );
      // The notes lead back to the file whose card says how all of them are fed.
      assert.equal(verified.reference, 'm.onnx');
      assert.ok(verified.parity.least > least, `${file} ${verified.parity.least}`);
    }

    const lines = (await readFile(dataPath('lfw', 'pairs.txt'), 'utf8')).split('\n');
    const some = lines.filter((_, at) => at % 125 === 0);
    await writeFile(path('pairs.txt'), some.join('\n'));
    const judge = ['--pairs', path('pairs.txt'), '--images', dataPath('lfw', 'images')];
    const answers: Evaluated[] = [];
    for (const model of ['m.onnx', 'q.onnx'])
      answers.push(await made<Evaluated>(faced, 'eval', ...judge, '--model', path(model)));
    const [float, int8] = answers;
    assert.equal(int8?.model, path('q.onnx'));
    assert.deepEqual([int8.pairs, int8.misses], [float?.pairs, float?.misses]);
    assert.ok(int8.accuracy >= (float?.accuracy ?? 1) - 0.1 && int8.accuracy > 0.8, `${int8.accuracy}`);
    const unknown = await faced.json('eval', ...judge, '--model', path('pairs.txt'));
    assert.equal((unknown.answer as { error: { code: string } }).error.code, 'model.unknown');
  });
});

interface Identified {
  readonly images: readonly { readonly faces: readonly { decision: string; person?: { name: string } }[] }[];
}

describe('the 8-bit recogniser', { skip: withoutData('lfw') }, () => {
  test('runs once it is accepted, and knows who was enrolled in FP32', async (t) => {
    const dir = join(await temporaryDir(t), 'models');
    await mkdir(dir);
    const shipped = await testModels();
    for (const file of await readdir(shipped))
      if (!file.includes('int8')) await symlink(join(shipped, file), join(dir, file));
    const faced = await facedIn(t, { FACED_MODELS_DIR: dir, FACED_MQTT_EMBEDDED_PORT: '0' });
    const people = ['Tony_Blair', 'Pete_Sampras', 'Jennifer_Garner'];
    const pictures = new Map<string, string[]>();
    for (const person of people) {
      const files = (await readdir(dataPath('lfw', 'images', person))).sort();
      pictures.set(
        person,
        files.map((file) => dataPath('lfw', 'images', person, file)),
      );
    }
    const picture = (person: string, at: number): string => pictures.get(person)?.[at] ?? '';
    for (const person of people)
      await made(faced, 'enroll', person, ...[0, 1, 2].map((at) => picture(person, at)));

    const calibration = await calibrationIn(join(faced.stateDir, 'faces'));
    const { out } = await made<{ out: string }>(faced, 'model', 'quantize', '--calibration', calibration);
    const form = async () => {
      const { models } = await made<{ models: { id: string; form: string; why: string }[] }>(
        faced,
        'model',
        'list',
      );
      return models.find(({ id }) => id === 'mobilefacenet');
    };
    assert.match((await form())?.why ?? '', /verify has not accepted it/);
    const seen = join(faced.stateDir, 'verified');
    for (const person of people) {
      await mkdir(join(seen, person), { recursive: true });
      for (let at = 0; at < 5; at += 1) await copyFile(picture(person, at), join(seen, person, `${at}.jpg`));
    }
    await made(faced, 'model', 'verify', 'mobilefacenet:int8', '--images', seen);
    assert.match((await form())?.why ?? '', /too few pictures/);

    // What thousands of pictures would have said; the thresholds are those that were measured.
    const note = out.replace(/onnx$/, 'json');
    const content = JSON.parse(await readFile(note, 'utf8'));
    content.verified = { ...content.verified, accepted: true, enough: true };
    await writeFile(note, JSON.stringify(content));
    const config = join(faced.stateDir, 'faced.yaml');
    await writeFile(config, 'models:\n  variant: int8\n');
    const probes = people.map((person) => picture(person, 7));
    const { images } = await made<Identified>(faced, 'identify', ...probes, '--config', config);
    assert.deepEqual(
      images.map(({ faces }) => faces.map(({ decision, person }) => [decision, person?.name])),
      people.map((person) => [['known', person]]),
    );
    const source = join(faced.stateDir, 'door');
    await mkdir(source);
    for (const [at, probe] of probes.entries()) await copyFile(probe, join(source, `${at}.jpg`));
    const run = await faced.run(
      ...['run', '--once', '--json', '--config', config, '--source', `images:${source}`],
    );
    assert.equal(run.code, 0, run.stderr);
    assert.match(run.stderr, /int8/);
    const events = run.stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as { decision: string; person: { name: string } | null });
    assert.deepEqual(
      events.map(({ decision, person }) => [decision, person?.name]),
      people.map((person) => ['known', person]),
    );
  });
});
