import assert from 'node:assert/strict';
import { copyFile, mkdir, rm, symlink, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { ModelStore } from '../../src/inference/store.js';
import { loadModel } from '../../src/model-tools/graph/index.js';
import { splitModel } from '../../src/model-tools/split.js';
import type { Vision, VisionEvents } from '../../src/pipeline/ports.js';
import { temporaryDir } from '../helpers/dirs.js';
import { testModels } from '../helpers/models.js';
import { readPhoto } from '../pipeline/clips.js';
import { openVision, withoutModels } from '../pipeline/watch.js';
import { children } from './support.js';

const skip = withoutModels();

/** Resolves with the loads and evictions of all models up to the beat that `enough` is content with. */
function counted(vision: Vision, enough: (sum: { loads: number; evictions: number }) => boolean) {
  return new Promise<{ loads: number; evictions: number }>((resolve) => {
    const sum = { loads: 0, evictions: 0 };
    const off = vision.on('beat', ({ models }) => {
      for (const { loads, evictions } of Object.values(models)) {
        sum.loads += loads;
        sum.evictions += evictions;
      }
      if (!enough(sum)) return;
      off();
      resolve(sum);
    });
  });
}

test('critical memory: idle models are let go, a picture is still answered the same, and they come back', {
  skip,
}, async (t) => {
  const vision = openVision(t, [], { isolation: 'thread' });
  const loaded = counted(vision, ({ loads }) => loads >= 3);
  await vision.start(AbortSignal.timeout(60_000));
  await loaded;
  const before = await vision.analyse(readPhoto('Alec_Baldwin', 2), { embedPoor: true });
  const gone = counted(vision, ({ evictions }) => evictions >= 3);
  vision.memory(2);
  assert.equal((await gone).loads, 0);
  const back = counted(vision, ({ loads }) => loads >= 3);
  const after = await vision.analyse(readPhoto('Alec_Baldwin', 2), { embedPoor: true });
  assert.deepEqual(after.faces[0]?.embedding, before.faces[0]?.embedding);
  assert.ok(after.faces[0]?.embedding);
  await back;
  const goneAgain = counted(vision, ({ evictions }) => evictions >= 3);
  await goneAgain;
  const warm = counted(vision, ({ loads }) => loads >= 3);
  vision.memory(0);
  await warm;
});

/** A folder of models with the small ones in it, and what `add` puts there in place of the recogniser. */
async function modelsWith(t: TestContext, add: (dir: string) => Promise<void>): Promise<string> {
  const dir = await temporaryDir(t);
  for (const name of ['ultraface.onnx', 'landmarks68.onnx'])
    await symlink(join(await testModels(), name), join(dir, name));
  await add(dir);
  return dir;
}

test('memory is critical before the start: the whole is never loaded, nor by the worker that comes after', {
  skip,
}, async (t) => {
  const modelsDir = await modelsWith(t, async (dir) => {
    const { plan, files } = await splitModel(
      await loadModel(join(await testModels(), 'mobilefacenet.onnx')),
      4,
    );
    const shards = join(dir, 'mobilefacenet.shards');
    await mkdir(shards);
    for (const [name, bytes] of files) await writeFile(join(shards, name), bytes);
    const { card } = await new ModelStore({ dir }).card('mobilefacenet');
    await writeFile(join(shards, 'shards.json'), JSON.stringify({ ...plan, derivedFrom: card.sha256 }));
  });
  const enough = openVision(t, [], { more: { modelsDir } });
  await assert.rejects(enough.start(AbortSignal.timeout(60_000)), { code: 'model.missing' });
  const vision = openVision(t, [], { isolation: 'process', more: { modelsDir } });
  vision.memory(2);
  const [before] = children();
  await vision.start(AbortSignal.timeout(60_000));
  const embedding = async () =>
    (await vision.analyse(readPhoto('Alec_Baldwin', 2), { embedPoor: true })).faces[0]?.embedding;
  const first = await embedding();
  assert.ok(first);
  const worker = children().find((pid) => pid !== before);
  assert.ok(worker !== undefined);
  const restarted = new Promise((resolve) => vision.on('restarted', resolve));
  process.kill(worker, 'SIGKILL');
  await restarted;
  assert.deepEqual(await embedding(), first);
});

test('no room for a model: the start rejects, or waits for it and says so to whoever asks meanwhile', {
  skip,
}, async (t) => {
  const [file, bytes] = ['mobilefacenet.onnx', 2 ** 40];
  const modelsDir = await modelsWith(t, async (dir) => {
    // No machine has the memory for what it seems to be, and it takes none on the disk.
    await writeFile(join(dir, file), '');
    await truncate(join(dir, file), bytes);
  });
  const noMemory = { code: 'model.no-memory', fix: /faced model split mobilefacenet/ };
  const hasty = openVision(t, [], { more: { modelsDir } });
  await assert.rejects(hasty.start(AbortSignal.timeout(60_000)), noMemory);
  const vision = openVision(t, [], { more: { modelsDir, awaitMemory: true, logLevel: 'error' } });
  const beat = () =>
    new Promise<VisionEvents['beat']>((resolve) => {
      const off = vision.on('beat', (payload) => {
        off();
        resolve(payload);
      });
    });
  await vision.start(AbortSignal.timeout(60_000));
  assert.deepEqual(
    (await beat()).refused?.map(({ code }) => code),
    ['model.no-memory'],
  );
  await assert.rejects(vision.analyse(readPhoto('Alec_Baldwin', 2)), noMemory);
  await rm(join(modelsDir, file));
  await copyFile(join(await testModels(), file), join(modelsDir, file));
  while (Object.keys((await beat()).models ?? {}).length === 0);
  const { faces } = await vision.analyse(readPhoto('Alec_Baldwin', 2));
  assert.ok(faces[0]?.embedding);
});
