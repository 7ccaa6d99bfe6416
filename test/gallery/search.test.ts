import assert from 'node:assert/strict';
import { test } from 'node:test';
import { meanDirection, SampleSearch } from '../../src/gallery/search.js';
import { dot, type Nearest, VectorIndex } from '../../src/gallery/vector-index.js';
import { randomNumbers, unitVector } from './support.js';

interface Row {
  readonly id: string;
  readonly owner: string;
  readonly vector: Float32Array;
}

/** What the index must say, by looking at everything. */
function bruteForce(rows: readonly Row[], query: Float32Array): Nearest | null {
  const best = new Map<string, number>();
  for (const { owner, vector } of rows)
    best.set(owner, Math.max(best.get(owner) ?? Number.NEGATIVE_INFINITY, dot(vector, query)));
  const ranked = [...best].sort(([a, x], [b, y]) => y - x || (a < b ? -1 : 1));
  const first = ranked[0];
  return first === undefined
    ? null
    : { owner: first[0], similarity: first[1], runnerUp: ranked[1]?.[1] ?? null };
}

function near(vector: Float32Array, random: () => number, noise: number): Float32Array {
  const other = unitVector(random, vector.length);
  const mixed = vector.map((value, i) => value + noise * (other[i] ?? 0));
  const length = Math.hypot(...mixed);
  return mixed.map((value) => value / length);
}

for (const dimension of [7, 128, 512])
  test(`the nearest of ${dimension} dimensions is that of a brute-force search, to the last bit`, () => {
    const random = randomNumbers(dimension);
    const index = new VectorIndex(dimension);
    const rows: Row[] = [];
    for (let i = 0; i < 5_000; i++) {
      const row = { id: `s${i}`, owner: `p${i % 700}`, vector: unitVector(random, dimension) };
      rows.push(row);
      index.add(row.id, row.owner, row.vector);
    }
    for (let i = 0; i < 60; i++) {
      const like = rows[i * 80]?.vector ?? unitVector(random, dimension);
      const query = i % 2 === 0 ? unitVector(random, dimension) : near(like, random, 0.8);
      assert.deepEqual(index.nearest(query), bruteForce(rows, query));
    }
  });

test('of many people who are equally near the first by id is named, and the runner-up is as near', () => {
  const random = randomNumbers(3);
  const index = new VectorIndex(512);
  const shared = unitVector(random);
  for (const owner of ['d', 'b', 'c', 'a']) index.add(`${owner}1`, owner, shared);
  for (let i = 0; i < 300; i++) index.add(`x${i}`, 'x', unitVector(random));
  const similarity = dot(shared, shared);
  assert.deepEqual(index.nearest(shared), { owner: 'a', similarity, runnerUp: similarity });
});

test('vectors that quantise badly are still ranked exactly', () => {
  const random = randomNumbers(4);
  // One large component takes the whole scale: every other one rounds to nothing.
  const spiky = () => {
    const vector = unitVector(random).map((value) => value * 0.05);
    vector[0] = Math.sqrt(1 - dot(vector, vector));
    return vector;
  };
  const rows = Array.from({ length: 400 }, (_, i) => ({ id: `s${i}`, owner: `p${i}`, vector: spiky() }));
  const index = new VectorIndex(512);
  for (const { id, owner, vector } of rows) index.add(id, owner, vector);
  for (let i = 0; i < 40; i++) {
    const query = spiky();
    assert.deepEqual(index.nearest(query), bruteForce(rows, query));
  }
});

test('adding and removing in any order leaves what a brute-force search over the rest finds', () => {
  const random = randomNumbers(5);
  const index = new VectorIndex(64);
  let rows: Row[] = [];
  assert.equal(index.nearest(unitVector(random, 64)), null);
  for (let i = 0; i < 3_000; i++) {
    if (random() < 0.6 || rows.length === 0) {
      const row = { id: `s${i}`, owner: `p${Math.floor(random() * 90)}`, vector: unitVector(random, 64) };
      rows.push(row);
      index.add(row.id, row.owner, row.vector);
    } else {
      const gone = rows[Math.floor(random() * rows.length)];
      rows = rows.filter((row) => row !== gone);
      index.remove(gone?.id ?? '');
    }
    if (i % 25 !== 0) continue;
    assert.equal(index.size, rows.length);
    const query = unitVector(random, 64);
    assert.deepEqual(index.nearest(query), bruteForce(rows, query));
  }
});

test('a query meets its own space only, and a wrong length in it is refused', () => {
  const random = randomNumbers(6);
  const search = new SampleSearch('max');
  const shared = unitVector(random);
  search.add('one', { id: 's1', person: 'anna', vector: shared });
  search.add('two', { id: 's2', person: 'ben', vector: shared });
  assert.equal(search.nearest({ space: 'one', vector: shared })?.owner, 'anna');
  assert.equal(search.nearest({ space: 'one', vector: shared })?.runnerUp, null);
  assert.equal(search.nearest({ space: 'two', vector: shared })?.owner, 'ben');
  assert.equal(search.nearest({ space: 'three', vector: shared }), null);
  assert.throws(() => search.nearest({ space: 'one', vector: unitVector(random, 128) }), {
    code: 'space.mismatch',
  });
  search.remove('s1');
  assert.equal(search.nearest({ space: 'one', vector: shared }), null);
  assert.equal(search.size, 1);
});

test('template scoring compares with the mean of a person, also after samples come and go', () => {
  const random = randomNumbers(7);
  const search = new SampleSearch('template');
  const samples = Array.from({ length: 60 }, (_, i) => ({
    id: `s${String(i).padStart(3, '0')}`,
    person: `p${i % 6}`,
    vector: unitVector(random),
  }));
  for (const one of samples) search.add('one', one);
  const rest = samples.filter(({ id }) => id !== 's000' && id !== 's007' && id !== 's059');
  for (const one of samples) if (!rest.includes(one)) search.remove(one.id);
  const people = [...new Set(rest.map(({ person }) => person))];
  const rows = people.map((owner) => ({
    ...{ id: owner, owner },
    vector:
      meanDirection(rest.filter(({ person }) => person === owner).map(({ vector }) => vector)) ??
      new Float32Array(512),
  }));
  const query = unitVector(random);
  assert.deepEqual(search.nearest({ space: 'one', vector: query }), bruteForce(rows, query));
  assert.equal(search.size, rest.length);
});
