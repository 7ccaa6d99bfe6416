import assert from 'node:assert/strict';
import { availableParallelism } from 'node:os';
import { describe, test } from 'node:test';
import { facedIn } from '../helpers/faced.js';
import { testModels } from '../helpers/models.js';

interface Answer {
  readonly threads: readonly number[];
  readonly models: readonly {
    readonly model: string;
    readonly medianMs: number;
    readonly byThreads: readonly { readonly threads: number; readonly medianMs: number }[];
    readonly operators: readonly { op: string; nodes: number; ms: number; share: number }[];
  }[];
}

describe('faced model bench', () => {
  test('runs models on one thread and on all processors, and tells which operations take the time', async (t) => {
    await testModels();
    const faced = await facedIn(t);
    const bench = await faced.json('model', 'bench', 'landmarks68', 'landmarks68:float', '--runs', '3');
    assert.equal(bench.code, 0, bench.stderr);
    const { threads, models } = bench.answer as Answer;
    const counts = [...new Set([1, availableParallelism()])];
    assert.deepEqual(threads, counts);
    assert.deepEqual(
      models.map(({ model }) => model),
      ['landmarks68', 'landmarks68:float'],
    );
    for (const { medianMs, byThreads, operators } of models) {
      assert.deepEqual(
        byThreads.map((one) => one.threads),
        counts,
      );
      assert.equal(byThreads[0]?.medianMs, medianMs);
      assert.ok((operators.find(({ op }) => op === 'Conv')?.nodes ?? 0) > 10);
      const sum = operators.reduce((total, { share }) => total + share, 0);
      assert.ok(Math.abs(sum - 1) < 1e-9, `${sum}`);
    }
  });

  test('keeps to the threads that are asked for, and refuses none', async (t) => {
    await testModels();
    const faced = await facedIn(t);
    const bench = await faced.json('model', 'bench', 'landmarks68', '--runs', '2', '--threads', '2');
    assert.deepEqual((bench.answer as Answer).threads, [2]);
    const none = await faced.run('model', 'bench', 'landmarks68', '--threads', '0');
    assert.equal(none.code, 2);
    assert.match(none.stderr, /--threads is a whole number above 0/);
  });
});

test('faced model list says of each model which form runs, and why', async (t) => {
  await testModels();
  const faced = await facedIn(t);
  const { code, stdout } = await faced.run('model', 'list');
  assert.equal(code, 0);
  for (const id of ['landmarks68', 'minifasnet', 'mobilefacenet', 'ultraface'])
    assert.match(stdout, new RegExp(`^${id} .*\\n +runs as (stock|float|int8|half): \\S`, 'm'));
});
