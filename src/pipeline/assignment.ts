/**
 * The cheapest one-to-one assignment of rows to columns. Entries of `Infinity` are forbidden; as many allowed pairs as
 * possible are made, and among those the cheapest set.
 * Shortest augmenting paths with potentials: R. Jonker and A. Volgenant, "A shortest augmenting path algorithm for dense
 * and sparse linear assignment problems", Computing 38, 1987. O(n³), and n is the number of faces in view.
 *
 * @param cost row-major, `rows * columns`, finite entries between 0 and 1000
 * @returns for each row its column, or -1
 */
export function assign(cost: Float64Array, rows: number, columns: number): Int32Array {
  // A square problem in which everything forbidden, and every padded cell, costs more than all allowed pairs together.
  const size = Math.max(rows, columns);
  const forbidden = 1000 * (size + 1);
  const at = (row: number, column: number): number => {
    if (row >= rows || column >= columns) return forbidden;
    const value = cost[row * columns + column] ?? forbidden;
    return Number.isFinite(value) ? value : forbidden;
  };

  // Columns and rows count from 1; 0 is the column from which each augmenting path starts.
  const rowPotential = new Float64Array(size + 1);
  const columnPotential = new Float64Array(size + 1);
  const rowOf = new Int32Array(size + 1);
  const cameFrom = new Int32Array(size + 1);
  const distance = new Float64Array(size + 1);
  const done = new Uint8Array(size + 1);
  const get = (array: Float64Array | Int32Array, index: number): number => array[index] ?? 0;

  for (let row = 1; row <= size; row++) {
    rowOf[0] = row;
    distance.fill(Number.POSITIVE_INFINITY);
    done.fill(0);
    let column = 0;
    while (get(rowOf, column) !== 0) {
      done[column] = 1;
      const current = get(rowOf, column);
      let step = Number.POSITIVE_INFINITY;
      let next = 0;
      for (let other = 1; other <= size; other++) {
        if (done[other] === 1) continue;
        const reduced = at(current - 1, other - 1) - get(rowPotential, current) - get(columnPotential, other);
        if (reduced < get(distance, other)) {
          distance[other] = reduced;
          cameFrom[other] = column;
        }
        if (get(distance, other) < step) {
          step = get(distance, other);
          next = other;
        }
      }
      for (let other = 0; other <= size; other++) {
        if (done[other] === 1) {
          const owner = get(rowOf, other);
          rowPotential[owner] = get(rowPotential, owner) + step;
          columnPotential[other] = get(columnPotential, other) - step;
        } else distance[other] = get(distance, other) - step;
      }
      column = next;
    }
    while (column !== 0) {
      const before = get(cameFrom, column);
      rowOf[column] = get(rowOf, before);
      column = before;
    }
  }

  const result = new Int32Array(rows).fill(-1);
  for (let column = 1; column <= columns; column++) {
    const row = get(rowOf, column) - 1;
    if (row < 0 || row >= rows) continue;
    if (at(row, column - 1) < forbidden) result[row] = column - 1;
  }
  return result;
}
