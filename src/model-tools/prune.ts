import { FacedError } from '../domain/errors.js';
import {
  type ChannelSpace,
  channelSpaces,
  isDepthwise,
  removeChannels,
  replaceConstant,
} from './channels.js';
import {
  cloneModel,
  constantInput,
  floats,
  floatTensor,
  type Graph,
  type Model,
  type Node,
} from './graph/index.js';
import { visitActivations } from './quantize/observe.js';

/** A space of channels with how much each of them says to its readers. */
export interface RankedSpace {
  readonly space: ChannelSpace;
  /** The convolution by whose name it is called. */
  readonly name: string;
  /** Share of the readers' answer that each channel's variance makes. */
  readonly importance: Float64Array;
  /** Mean of each channel at each reader's input, which stays in the bias when the channel goes. */
  readonly means: ReadonlyMap<string, Float64Array>;
}

/** Inner spaces (one giver, one reader: not residual streams), with the importance of their channels on these inputs. */
export async function rankChannels(model: Model, inputs: readonly Float32Array[]): Promise<RankedSpace[]> {
  const { graph } = model;
  const spaces = channelSpaces(graph).filter(
    ({ givers, readers }) => givers.length === 1 && readers.length === 1,
  );
  const names = [
    ...new Set(spaces.flatMap(({ readers }) => readers.map((reader) => reader.inputs[0] ?? ''))),
  ];
  const sums = new Map<string, { sum: Float64Array; squares: Float64Array; count: number }>();
  await visitActivations({
    model,
    names,
    inputs,
    visit: (name, { dims, data }) => {
      const channels = dims[1] ?? 1;
      const area = data.length / channels;
      const at = sums.get(name) ?? {
        sum: new Float64Array(channels),
        squares: new Float64Array(channels),
        count: 0,
      };
      sums.set(name, at);
      at.count += area;
      for (let index = 0; index < data.length; index += 1) {
        const value = data[index] as number;
        const channel = Math.floor(index / area);
        at.sum[channel] = (at.sum[channel] ?? 0) + value;
        at.squares[channel] = (at.squares[channel] ?? 0) + value * value;
      }
    },
  });
  return spaces.map((space) => {
    const [reader] = space.readers;
    const input = reader?.inputs[0] ?? '';
    const seen = sums.get(input);
    const count = Math.max(seen?.count ?? 1, 1);
    const means = Float64Array.from(seen?.sum ?? [], (sum) => sum / count);
    const energy = reader === undefined ? new Float64Array() : readEnergy(graph, reader);
    const raw = Float64Array.from(means, (mean, channel) => {
      const variance = Math.max(0, (seen?.squares[channel] ?? 0) / count - mean * mean);
      return variance * (energy[channel] ?? 0);
    });
    const total = raw.reduce((sum, value) => sum + value, 0) || 1;
    const depthwise = space.inner.find((node) => isDepthwise(graph, node));
    return {
      space,
      name: space.givers[0]?.name || depthwise?.name || '',
      importance: raw.map((value) => value / total),
      means: new Map([[input, means]]),
    };
  });
}

/** How many channels leave each space: by name or position (`conv1`, `3`), as shares of its channels. */
export function chooseByLayer(
  ranked: readonly RankedSpace[],
  shares: ReadonlyMap<string, number>,
): Map<RankedSpace, number> {
  const chosen = new Map<RankedSpace, number>();
  for (const [key, share] of shares) {
    const found =
      ranked.find(({ name }) => name === key || name.startsWith(`${key}.`)) ??
      ranked[positionOf(key, ranked)];
    if (found === undefined || !(share >= 0 && share < 1)) {
      const names = ranked.map(({ name }, index) => `${index} (${name})`).join(', ');
      throw new FacedError('usage.invalid', `--layer ${key}=${share} fits no layer`, {
        fix: `name one of ${names} and a share from 0 to below 1`,
      });
    }
    chosen.set(found, Math.round(share * found.space.channels));
  }
  return chosen;
}

/** MobileFaceNet's own names for places that an exported file has forgotten: the first space and the last one. */
function positionOf(key: string, ranked: readonly RankedSpace[]): number {
  if (/^\d+$/.test(key)) return Number(key);
  if (key === 'conv1') return 0;
  return key === 'conv6_sep' || key === 'conv_6_sep' ? ranked.length - 1 : -1;
}

/** Removes the least important channels of all spaces together until what is lost reaches `budget` in each of them. */
export function chooseByBudget(ranked: readonly RankedSpace[], budget: number): Map<RankedSpace, number> {
  return new Map(
    ranked.map((one) => {
      let [lost, count] = [0, 0];
      for (const value of [...one.importance].sort((a, b) => a - b)) {
        if (lost + value > budget) break;
        lost += value;
        count += 1;
      }
      return [one, count];
    }),
  );
}

/**
 * Structured pruning: whole channels leave the graph, least important first, in blocks of 16 (a broken block is slower
 * than a whole one). The mean of what a channel said moves into the reader's bias, and the reader's weights for the
 * channels that stay are fitted by least squares to the answer of the whole (He et al. 2017, section 3.1).
 */
export async function pruneChannels(
  original: Model,
  options: {
    readonly inputs: readonly Float32Array[];
    readonly choose: (ranked: readonly RankedSpace[]) => Map<RankedSpace, number>;
    readonly block?: number;
  },
): Promise<{ model: Model; layers: { name: string; channels: number; removed: number }[] }> {
  const model = cloneModel(original);
  const ranked = await rankChannels(model, options.inputs);
  const layers = [];
  for (const [one, wanted] of options.choose(ranked)) {
    const block = options.block ?? 16;
    const { channels } = one.space;
    const kept = Math.max(block, Math.ceil((channels - wanted) / block) * block);
    const order = [...one.importance.keys()].sort(
      (a, b) => (one.importance[a] ?? 0) - (one.importance[b] ?? 0),
    );
    const removed = new Set(order.slice(0, Math.max(0, channels - kept)));
    for (const reader of one.space.readers) {
      const moments = removed.size === 0 ? null : await readerMoments(model, reader, options.inputs);
      if (moments !== null) refit(model.graph, reader, removed, moments);
    }
    removeChannels(model.graph, one.space, removed);
    layers.push({ name: one.name, channels, removed: removed.size });
  }
  return { model, layers };
}

interface Moments {
  readonly mean: Float64Array;
  /** Covariance of the channels, row-major. */
  readonly covariance: Float64Array;
  readonly count: number;
}

/** Mean and covariance of what a 1x1 convolution reads; null for other kernels, whose weights stay as they are. */
async function readerMoments(
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
function refit(
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

/** The energy of the weights by which each channel is read. */
function readEnergy(graph: Graph, conv: Node): Float64Array {
  const weight = constantInput(graph, conv, 1);
  const energy = new Float64Array(weight?.dims[1] ?? 0);
  if (weight === undefined) return energy;
  const values = floats(weight);
  const [outputs = 1, inputs = 1] = weight.dims;
  const area = values.length / (outputs * inputs);
  values.forEach((value, at) => {
    const channel = Math.floor(at / area) % inputs;
    energy[channel] = (energy[channel] ?? 0) + value * value;
  });
  return energy;
}
