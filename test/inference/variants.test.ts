import assert from 'node:assert/strict';
import { copyFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { loadCards } from '../../src/inference/card.js';
import { hashFile } from '../../src/inference/hash.js';
import {
  chooseVariant,
  curveOf,
  processorName,
  targetOf,
  type VariantNote,
  type VariantWish,
  type Verified,
  variantName,
  WORKSHOP,
} from '../../src/inference/variants.js';
import { temporaryDir } from '../helpers/dirs.js';
import { testModels } from '../helpers/models.js';

const target = targetOf(process.arch) ?? 'x64';
const accepted: Verified = { arch: process.arch, accepted: true };
const points = (threshold: number) => ({ points: [{ fmr: 1e-4, threshold, fnmr: 0.02 }] });

/** A models folder with an 8-bit form of one model (the bytes of a real file, which the choice only hashes). */
async function folder(t: TestContext, id: string) {
  const dir = await temporaryDir(t);
  const path = join(dir, variantName(id, target, 'onnx', 'int8'));
  await copyFile(join(await testModels(), 'landmarks68.onnx'), path);
  const { sha256, bytes } = await hashFile(path);
  const card = (await loadCards(dir)).get(id)?.card;
  assert.ok(card);
  const plain = { file: `${id}.onnx`, sha256, bytes, target, derivedFrom: card.sha256, workshop: WORKSHOP };
  return {
    path,
    card,
    choose: async (note: Partial<VariantNote>, wish: VariantWish = 'auto', first?: 'float' | 'int8') => {
      await writeFile(
        join(dir, variantName(id, target, 'json', 'int8')),
        JSON.stringify({ ...plain, ...note }),
      );
      return chooseVariant({ dir, card, target, wish, ...(first === undefined ? {} : { first }) });
    },
  };
}

test('an 8-bit form runs only once verify has accepted it here, and each refusal has its reason', async (t) => {
  const { choose, path } = await folder(t, 'ultraface');
  const refused = async (note: Partial<VariantNote>, why: RegExp, wish: VariantWish = 'int8') => {
    const choice = await choose(note, wish);
    assert.deepEqual([choice.kind, choice.path], ['stock', null]);
    assert.match(choice.why, why);
  };
  await refused({}, /int8 is not used: faced model verify has not accepted it/);
  await refused({ verified: { ...accepted, accepted: false } }, /too far from FP32/);
  await refused({ verified: { ...accepted, accepted: false, enough: false } }, /too few pictures/);
  await refused({ verified: { ...accepted, arch: 'riscv64' } }, /verified on riscv64, not on/);
  await refused({ verified: accepted }, /asked for by models.variant/, 'float');
  await refused({ verified: accepted }, /there is no half form/, 'half');
  const taken = await choose({ verified: accepted }, 'int8');
  assert.deepEqual([taken.kind, taken.path, taken.why], ['int8', path, 'asked for by models.variant']);
});

test('left to itself, 8 bits are taken where the board begins with them, elsewhere where they were faster on this very processor', async (t) => {
  const { choose } = await folder(t, 'ultraface');
  const processor = processorName();
  const at = (timesFloat: number, on = processor, first: 'float' | 'int8' = 'float') =>
    choose({ verified: accepted, speed: { timesFloat, processor: on } }, 'auto', first);
  assert.equal((await at(0.8, processor, 'int8')).kind, 'int8');
  assert.match((await at(1.4, 'another processor', 'int8')).why, /least memory traffic for a small board/);
  assert.match((await at(1.4)).why, /1.40 times as fast on this processor/);
  assert.equal((await at(1.4)).kind, 'int8');
  assert.match((await at(0.8)).why, /it runs at 0.80 times the speed of FP32 here/);
  assert.match((await at(1.4, 'another processor')).why, /not measured on this processor/);
});

test('an 8-bit recogniser without a threshold against an FP32 gallery stays out of its space', async (t) => {
  const { choose, card } = await folder(t, 'mobilefacenet');
  const without = await choose({ verified: accepted }, 'int8');
  assert.equal(without.kind, 'stock');
  assert.match(without.why, /no threshold against a gallery made with FP32/);
  const verified = { ...accepted, own: points(0.4), against: points(0.41), mixed: points(0.43) };
  assert.equal((await choose({ verified }, 'int8')).kind, 'int8');
  const raised = curveOf(card, verified)?.points ?? [];
  assert.equal(raised.length, card.curve?.points.length);
  for (const [index, { threshold }] of raised.entries()) {
    const before = card.curve?.points[index]?.threshold ?? Number.NaN;
    assert.ok(Math.abs(threshold - before - 0.02) < 1e-9, 'raised by what the mixed comparison needs');
  }
  assert.equal(curveOf(card, undefined), card.curve);
});
