import { replaceConstant } from './channels.js';
import { constantInput, floats, floatTensor, type Graph, type Model, type Node } from './graph/index.js';
import { visitActivations } from './quantize/observe.js';

export interface Moments {
  readonly mean: Float64Array;
  /** Covariance of the channels, row-major. */
  readonly covariance: Float64Array;
  readonly count: number;
}

/** Mean and covariance of what a 1x1 convolution reads; null for other kernels, whose weights stay as they are. */
export async function readerMoments(
  model: Model,
  reader: Node,
  inputs: readonly Float32Array[],
): Promise<Moments | null> {
  const dims = constantInput(model.graph, reader, 1)?.dims ?? [];
  if (dims[2] !== 1 || dims[3] !== 1) return null;
  const size = dims[1] ?? 0;
  const [mean, products] = [new Float64Array(size), new Float64Array(size * size)];
  let count = 0;
  await visitActivations({
    model,
    names: [reader.inputs[0] ?? ''],
    inputs,
    visit: (_name, { data }) => {
      const area = data.length / size;
      // Every seventh pixel says as much as all of them, which are alike beside each other.
      const step = area > 49 ? 7 : 1;
      const row = new Float64Array(size);
      for (let at = 0; at < area; at += step) {
        count += 1;
        for (let channel = 0; channel < size; channel += 1)
          row[channel] = data[channel * area + at] as number;
        for (let a = 0; a < size; a += 1) {
          const value = row[a] ?? 0;
          mean[a] = (mean[a] ?? 0) + value;
          if (value === 0) continue;
          const from = a * size;
          for (let b = 0; b < size; b += 1)
            products[from + b] = (products[from + b] ?? 0) + value * (row[b] ?? 0);
        }
      }
    },
  });
  for (let a = 0; a < size; a += 1) mean[a] = (mean[a] ?? 0) / count;
  const covariance = products.map(
    (product, at) => product / count - (mean[Math.floor(at / size)] ?? 0) * (mean[at % size] ?? 0),
  );
  return { mean, covariance, count };
}

/** W' = W·Σ(all, kept)·Σ(kept, kept)⁻¹ for what stays, and the difference of the means into the bias. */
export function refit(
  graph: Graph,
  reader: Node,
  removed: ReadonlySet<number>,
  { mean, covariance, count }: Moments,
): void {
  const weight = constantInput(graph, reader, 1);
  if (weight === undefined) return;
  const [outputs = 1, size = 1] = weight.dims;
  const values = floats(weight);
  const kept = Array.from({ length: size }, (_, channel) => channel).filter(
    (channel) => !removed.has(channel),
  );
  const n = kept.length;
  const at = (a: number, b: number): number => covariance[a * size + b] ?? 0;
  // Fewer samples than channels fit anything: the fewer there are, the less the fit may move.
  const doubt = 1e-4 + (size / Math.max(count, 1)) ** 2;
  const ridge =
    (doubt * kept.reduce((sum, channel) => sum + at(channel, channel), 0)) / Math.max(n, 1) + 1e-12;
  const gram = Float64Array.from({ length: n * n }, (_, index) => {
    const [row, column] = [Math.floor(index / n), index % n];
    return at(kept[row] ?? 0, kept[column] ?? 0) + (row === column ? ridge : 0);
  });
  const lost = [...removed];
  // What the removed channels said, as a combination of those that stay: Σ(kept, kept)·X = Σ(kept, removed).
  const mixing = solve(
    gram,
    n,
    lost.map((channel) => kept.map((other) => at(other, channel))),
  );
  const changed = Float32Array.from(values);
  const shift = new Float64Array(outputs);
  for (let output = 0; output < outputs; output += 1) {
    lost.forEach((channel, index) => {
      const w = values[output * size + channel] ?? 0;
      let said = mean[channel] ?? 0;
      kept.forEach((other, place) => {
        const share = mixing[index]?.[place] ?? 0;
        changed[output * size + other] = (changed[output * size + other] ?? 0) + w * share;
        said -= share * (mean[other] ?? 0);
      });
      shift[output] = (shift[output] ?? 0) + w * said;
    });
  }
  replaceConstant(graph, reader, 1, (tensor) => floatTensor(tensor.dims, changed));
  replaceConstant(graph, reader, 2, (tensor) =>
    floatTensor(
      tensor.dims,
      floats(tensor).map((value, output) => value + (shift[output] ?? 0)),
    ),
  );
}

/** Solves a symmetric positive definite system for several right sides (Cholesky). */
export function solve(
  matrix: Float64Array,
  n: number,
  sides: readonly (readonly number[])[],
): Float64Array[] {
  const lower = new Float64Array(n * n);
  for (let i = 0; i < n; i += 1) {
    for (let j = 0; j <= i; j += 1) {
      let sum = matrix[i * n + j] ?? 0;
      for (let k = 0; k < j; k += 1) sum -= (lower[i * n + k] ?? 0) * (lower[j * n + k] ?? 0);
      lower[i * n + j] = i === j ? Math.sqrt(Math.max(sum, 1e-30)) : sum / (lower[j * n + j] ?? 1);
    }
  }
  return sides.map((side) => {
    const x = Float64Array.from(side);
    for (let i = 0; i < n; i += 1) {
      let sum = x[i] ?? 0;
      for (let k = 0; k < i; k += 1) sum -= (lower[i * n + k] ?? 0) * (x[k] ?? 0);
      x[i] = sum / (lower[i * n + i] ?? 1);
    }
    for (let i = n - 1; i >= 0; i -= 1) {
      let sum = x[i] ?? 0;
      for (let k = i + 1; k < n; k += 1) sum -= (lower[k * n + i] ?? 0) * (x[k] ?? 0);
      x[i] = sum / (lower[i * n + i] ?? 1);
    }
    return x;
  });
}
