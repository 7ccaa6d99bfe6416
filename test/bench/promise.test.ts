import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  curveOf,
  ErrorTally,
  falseMatches,
  household,
  judged,
  type People,
  scoresOf,
  search,
} from '../../bench/promise-figures.js';
import { type PromiseRow, tables } from '../../bench/promise-report.js';
import { similarityAt } from '../../src/pipeline/threshold.js';
import { Random } from '../helpers/liveness/random.js';

const DIMENSIONS = 8;

/** People whose pictures lie about a direction of their own; the directions are drawn at random, so strangers meet by chance alone. */
function crowd(count: number, seed: number): { people: People; vectors: Float32Array } {
  const random = new Random(seed);
  const rows: Float32Array[] = [];
  const people = Array.from({ length: count }, (_, person) => {
    const middle = Float32Array.from({ length: DIMENSIONS }, () => bell(random));
    return Array.from({ length: 1 + (person % 3) }, () => {
      const row = middle.map((value) => value + 0.2 * bell(random));
      const length = Math.hypot(...row);
      return rows.push(row.map((value) => value / length)) - 1;
    });
  });
  const vectors = new Float32Array(rows.length * DIMENSIONS);
  for (const [at, row] of rows.entries()) vectors.set(row, at * DIMENSIONS);
  return { people, vectors };
}

function bell(random: Random): number {
  let sum = -6;
  for (let at = 0; at < 12; at++) sum += random.between();
  return sum;
}

test('every cosine of two sets stands in its place, whatever their number', () => {
  const { vectors } = crowd(7, 1);
  const { vectors: others } = crowd(7, 2);
  const { size, cosines } = scoresOf(vectors, others, DIMENSIONS);
  assert.notEqual(size % 4, 0);
  for (let i = 0; i < size; i++) {
    for (let j = 0; j < size; j++) {
      let cosine = 0;
      for (let k = 0; k < DIMENSIONS; k++)
        cosine += (vectors[i * DIMENSIONS + k] ?? 0) * (others[j * DIMENSIONS + k] ?? 0);
      assert.ok(Math.abs((cosines[i * size + j] ?? 9) - cosine) < 1e-6);
    }
  }
});

test('a threshold from one half of a crowd keeps its rate on the other half', () => {
  const { people, vectors } = crowd(600, 3);
  const scores = scoresOf(vectors, vectors, DIMENSIONS);
  const [fit, other] = [people.slice(0, 300), people.slice(300)];
  const curve = curveOf(scores, fit);
  assert.equal(curve.impostorPairs, 600 ** 2 / 2 - fit.reduce((sum, { length }) => sum + length ** 2 / 2, 0));
  const { events, pairs } = falseMatches(scores, other, similarityAt(curve, 1e-2));
  assert.equal(pairs, curve.impostorPairs);
  assert.ok(events.every(({ probe, match }) => probe !== match));
  assert.ok(events.length / pairs > 0.006 && events.length / pairs < 0.015, `${events.length / pairs}`);
  // The count is that of a plain loop.
  assert.equal(falseMatches(scores, other, -2).events.length, pairs);
});

test('a household holds back a picture of whom it can, and nobody is at home and a stranger', () => {
  const { people } = crowd(60, 4);
  const ids = Array.from({ length: 40 }, (_, at) => at + 10);
  const { enrolled, samples, mates, strangers } = household(people, ids, {
    ...{ size: 15, perPerson: 2, random: new Random(5) },
  });
  assert.equal(new Set(enrolled).size, 15);
  const rows = [...samples, ...mates, ...strangers];
  assert.deepEqual(
    rows.map(({ row }) => row).sort((a, b) => a - b),
    ids.flatMap((id) => [...(people[id] ?? [])]).sort((a, b) => a - b),
  );
  assert.ok(rows.every(({ row, person }) => people[person]?.includes(row)));
  assert.ok(strangers.every(({ person }) => !enrolled.includes(person)));
  for (const person of enrolled) {
    const pictures = people[person]?.length ?? 0;
    const count = samples.filter((one) => one.person === person).length;
    assert.equal(count, Math.max(1, Math.min(2, pictures - 1)));
  }
});

test('a person counts by the best of their samples', () => {
  const scores = { size: 3, cosines: Float32Array.of(1, 0.3, 0.6, 0.3, 1, 0.1, 0.6, 0.1, 1) };
  const samples = [
    { row: 1, person: 7 },
    { row: 2, person: 8 },
  ];
  const [best] = search(scores, samples, [{ row: 0, person: 4 }]);
  assert.deepEqual([best?.match, best?.similarity.toFixed(2)], [8, '0.60']);
});

test('the interval is by person: one pair of look-alikes is no proof however often they come', () => {
  const everybody = Array.from({ length: 200 }, (_, at) => at);
  const gallery = everybody.slice(0, 100);
  const strangers = everybody.slice(100);
  const many = new ErrorTally(200);
  const alike = new ErrorTally(200);
  for (let round = 0; round < 50; round++) {
    // The same number of errors: each of another pair, or always of one pair.
    many.add(gallery, strangers, [{ probe: 100 + round, match: round }]);
    alike.add(gallery, strangers, [{ probe: 100, match: 0 }]);
  }
  for (const tally of [many, alike])
    assert.deepEqual([tally.errors, tally.presentations, tally.rate], [50, 5000, 0.01]);
  const [[low, high], [lowest, highest]] = [many, alike].map((tally) => tally.interval(new Random(6))) as [
    [number, number],
    [number, number],
  ];
  assert.ok(low > 0.004 && low < 0.01 && high > 0.01 && high < 0.02, `${low} ${high}`);
  assert.ok(lowest === 0 && highest > 0.03, `${lowest} ${highest}`);
  // The same chance, the same interval.
  assert.deepEqual(many.interval(new Random(6)), [low, high]);
  assert.equal(judged(0.001, [low, high]), 'broken');
  assert.equal(judged(0.01, [low, high]), 'kept');
  assert.equal(judged(0.05, [low, high]), 'shown');
});

test('no error at all is no more than so many people can show', () => {
  const tally = new ErrorTally(200);
  const strangers = Array.from({ length: 150 }, (_, at) => at);
  for (let round = 0; round < 10; round++) tally.add([199], strangers, []);
  assert.deepEqual(tally.interval(new Random(1)), [0, 0.02]);
});

test('a promise that was refused for every gallery has no rate in the table', () => {
  const row: PromiseRow = {
    ...{ kind: 'FP32', people: 500, perPerson: 3, promise: 1, galleries: 4, refused: 4, least: 2.512 },
    ...{
      presentations: 0,
      errors: 0,
      fpir: Number.NaN,
      fpirInterval: [0, 1],
      fnir: Number.NaN,
      fnirInterval: [0, 1],
    },
  };
  const text = tables([], [row]);
  assert.match(text, /refused; 2\.5 could be promised/);
  assert.doesNotMatch(text, /NaN/);
});
