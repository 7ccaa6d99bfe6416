import assert from 'node:assert/strict';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { iresnet } from '../../bench/iresnet.js';
import { noLimits, probeUnderLimit, readAnswer } from '../../bench/memory-limit.js';
import { encodeModel } from '../../src/model-tools/graph/index.js';
import { cosineDistance, TOLERANCE } from '../../src/model-tools/optimize.js';
import { splitModel } from '../../src/model-tools/split.js';
import { temporaryDir } from '../helpers/dirs.js';

const MB = 2 ** 20;

test('under a limit of a real control group the whole is killed, and the shards complete with the same answer', {
  skip: noLimits() ?? false,
}, async (t) => {
  const dir = await temporaryDir(t);
  const model = iresnet({
    stem: 64,
    stages: [
      [64, 1],
      [128, 1],
      [256, 3],
      [512, 1],
    ],
    side: 112,
    dimensions: 512,
  });
  const whole = join(dir, 'whole.onnx');
  const shards = join(dir, 'whole.shards');
  await writeFile(whole, encodeModel(model));
  await mkdir(shards);
  const { plan, files } = await splitModel(model, 8);
  for (const [name, bytes] of files) await writeFile(join(shards, name), bytes);
  await writeFile(join(shards, 'shards.json'), JSON.stringify(plan));

  const run = async (megabytes: number, how: 'model' | 'shards') => {
    const file = join(dir, `${how}.bin`);
    const path = how === 'model' ? whole : shards;
    const { killed, code } = await probeUnderLimit(megabytes * MB, [how, path, file]);
    if (code !== 0) return { killed, answer: null };
    return { killed, answer: readAnswer(file) };
  };
  const free = await run(2000, 'model');
  assert.ok(free.answer);
  assert.deepEqual(await run(LIMIT_MB, 'model'), { killed: true, answer: null });
  const inShards = await run(LIMIT_MB, 'shards');
  assert.ok(inShards.answer, 'the shards complete');
  assert.ok(cosineDistance(inShards.answer, free.answer) <= TOLERANCE);
});

/** Between what the two take: measured 196 MB whole and 103 MB in shards, in a group without a limit. */
const LIMIT_MB = 160;
