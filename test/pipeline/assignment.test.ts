import assert from 'node:assert/strict';
import { test } from 'node:test';
import { assign } from '../../src/pipeline/assignment.js';

/** Every way there is: most pairs first, then the cheapest. */
function best(cost: Float64Array, rows: number, columns: number): { pairs: number; total: number } {
  let found = { pairs: 0, total: 0 };
  const walk = (row: number, used: Set<number>, pairs: number, total: number): void => {
    if (row === rows) {
      if (pairs > found.pairs || (pairs === found.pairs && total < found.total)) found = { pairs, total };
      return;
    }
    walk(row + 1, used, pairs, total);
    for (let column = 0; column < columns; column++) {
      const value = cost[row * columns + column] ?? Number.POSITIVE_INFINITY;
      if (used.has(column) || !Number.isFinite(value)) continue;
      walk(row + 1, new Set([...used, column]), pairs + 1, total + value);
    }
  };
  walk(0, new Set(), 0, 0);
  return found;
}

test('an assignment is the cheapest of all that pair the most', () => {
  let seed = 7;
  const random = (): number => {
    seed = (seed * 1103515245 + 12345) % 2147483648;
    return seed / 2147483648;
  };
  for (let round = 0; round < 300; round++) {
    const rows = Math.floor(random() * 5);
    const columns = Math.floor(random() * 5);
    const cost = Float64Array.from({ length: rows * columns }, () =>
      random() < 0.3 ? Number.POSITIVE_INFINITY : random() * 2,
    );
    const result = assign(cost, rows, columns);
    const taken = [...result].filter((column) => column >= 0);
    assert.equal(new Set(taken).size, taken.length, 'no column is given twice');
    const total = [...result].reduce(
      (sum, column, row) => sum + (column < 0 ? 0 : (cost[row * columns + column] ?? Number.NaN)),
      0,
    );
    const expected = best(cost, rows, columns);
    assert.equal(taken.length, expected.pairs);
    assert.ok(Math.abs(total - expected.total) < 1e-9, `round ${round}: ${total} for ${expected.total}`);
  }
});

test('the nearest pair does not take what only another could have', () => {
  const none = Number.POSITIVE_INFINITY;
  assert.deepEqual([...assign(Float64Array.from([0.1, 0.2, 0.15, none]), 2, 2)], [1, 0]);
  assert.deepEqual([...assign(Float64Array.from([none, none]), 2, 1)], [-1, -1]);
  assert.deepEqual([...assign(new Float64Array(0), 0, 3)], []);
});
