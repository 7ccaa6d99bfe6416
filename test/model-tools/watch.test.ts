import assert from 'node:assert/strict';
import { test } from 'node:test';
import { halveModel } from '../../src/model-tools/half.js';
import { watched } from '../../src/model-tools/watch.js';
import { noise, preluNet } from './nets.js';

const inputs = [1, 2, 3].map((seed) => noise(3 * 8 * 8, seed));

test('long work is told run by run, and ends where it is called off', async () => {
  const told: string[] = [];
  const calledOff = new AbortController();
  const watch = {
    signal: calledOff.signal,
    onRuns: (count: number) => told.push(`${count} follow`),
    onRun: () => {
      told.push('run');
      if (told.length === 6) calledOff.abort(new Error('enough'));
    },
  };
  const { greatest } = await watched(watch, () => halveModel(preluNet(), inputs));
  assert.ok(greatest > 0);
  assert.deepEqual(told, ['3 follow', 'run', 'run', 'run']);
  await assert.rejects(
    watched(watch, () => halveModel(preluNet(), inputs)),
    /enough/,
  );
  assert.deepEqual(told.slice(4), ['3 follow', 'run']);
  // Nobody watches: nothing is told, and nothing is called off.
  assert.equal((await halveModel(preluNet(), inputs)).greatest, greatest);
  assert.equal(told.length, 6);
});
