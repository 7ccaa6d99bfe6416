import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Validator } from '@seriousme/openapi-schema-validator';
import fc from 'fast-check';
import { demoPhotos } from '../helpers/models.js';
import { fire, type OpenApi, shotsAt } from './fuzz.js';
import { openWeb } from './support.js';

/** FUZZ_SHOTS=10000 for the long run. */
const SEED = process.env.FUZZ_SEED;
const SHOTS = Number(process.env.FUZZ_SHOTS ?? 400);

test('the document is OpenAPI 3.1, and random requests to all of it break nothing', async (t) => {
  const web = await openWeb(t, { before: ['admin'] });
  const { body } = await web.ask('/openapi.json');
  const { valid, errors } = await new Validator().validate(body);
  assert.ok(valid, JSON.stringify(errors));
  assert.equal(body.openapi, '3.1.0');
  const ids = Object.values(body.paths as OpenApi['paths']).flatMap((methods) =>
    Object.values(methods).map((operation) => (operation as { operationId?: string }).operationId),
  );
  assert.equal(new Set(ids).size, ids.length, 'operations have names of their own');

  const token = web.made ?? '';
  const memory = async () => {
    const { text } = await web.ask('/metrics');
    return Number(/^faced_resident_memory_bytes (\S+)$/m.exec(text)?.[1]) / 2 ** 20;
  };
  // Every kind of work has been done once by then, and what that loads stays.
  const warm = Math.min(2000, SHOTS / 2);
  let [count, warmMb] = [0, Number.NaN];
  const seen = new Map<number, number>();
  const shots = shotsAt(body, (await demoPhotos()).slice(0, 2));
  await fc.assert(
    fc.asyncProperty(shots, async (shot) => {
      const { status, wrong } = await fire(web.base, token, shot);
      seen.set(status, (seen.get(status) ?? 0) + 1);
      if (++count === warm) warmMb = await memory();
      if (wrong !== null)
        t.diagnostic(`${shot.method} ${shot.url}: ${wrong}\n${web.daemon.stderr().slice(-600)}`);
      assert.equal(wrong, null);
    }),
    {
      numRuns: SHOTS,
      endOnFailure: true,
      ...(SEED === undefined ? {} : { seed: Number(SEED) }),
    },
  );
  assert.ok(
    (seen.get(200) ?? 0) > SHOTS / 20 && (seen.get(400) ?? 0) > SHOTS / 20,
    JSON.stringify([...seen]),
  );
  assert.equal((await web.ask('/healthz')).status, 200);
  const endMb = await memory();
  t.diagnostic(
    `memory: ${warmMb.toFixed(0)} MB after ${warm} requests, ${endMb.toFixed(0)} MB after ${count}`,
  );
  // The samples that were enrolled meanwhile are in it.
  assert.ok(endMb < warmMb + 64, `memory grew from ${warmMb} to ${endMb} MB`);
  assert.doesNotMatch(web.daemon.stderr(), /started again|defect|Error:/);
});
