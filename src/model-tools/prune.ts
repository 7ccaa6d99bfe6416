import { FacedError } from '../domain/errors.js';
import { type ChannelSpace, channelSpaces, isDepthwise, removeChannels } from './channels.js';
import { cloneModel, constantInput, floats, type Graph, type Model, type Node } from './graph/index.js';
import { layerByKey } from './layer-key.js';
import { readerMoments, refit } from './prune-fit.js';
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
  if (inputs.length === 0) return rankByWeights(graph);
  const spaces = innerSpaces(graph);
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
    return {
      space,
      name: nameOf(graph, space),
      importance: raw.map((value) => value / total),
      means: new Map([[input, means]]),
    };
  });
}

/** Without pictures: the L1 norm of each channel's own filter (Li et al. 2017, section 3.1). */
function rankByWeights(graph: Graph): RankedSpace[] {
  return innerSpaces(graph).map((space) => {
    const raw = new Float64Array(space.channels);
    for (const giver of space.givers) {
      const weight = constantInput(graph, giver, 1);
      if (weight === undefined) continue;
      const each = floats(weight).length / space.channels;
      floats(weight).forEach((value, at) => {
        const channel = Math.floor(at / each);
        raw[channel] = (raw[channel] ?? 0) + Math.abs(value);
      });
    }
    const total = raw.reduce((sum, value) => sum + value, 0) || 1;
    return {
      space,
      name: nameOf(graph, space),
      importance: raw.map((value) => value / total),
      means: new Map(),
    };
  });
}

/** Spaces with one giver and one reader: all but the residual streams. */
function innerSpaces(graph: Graph): ChannelSpace[] {
  return channelSpaces(graph).filter(({ givers, readers }) => givers.length === 1 && readers.length === 1);
}

function nameOf(graph: Graph, space: ChannelSpace): string {
  return space.givers[0]?.name || space.inner.find((node) => isDepthwise(graph, node))?.name || '';
}

/**
 * The whole network's budget: as many channels as make at least `share` of the multiply-accumulates `macs` leave, all
 * layers losing the same share of what they say. `already` have left before. Blocks of 16 stay whole.
 */
export function chooseByMacs(
  ranked: readonly RankedSpace[],
  options: {
    readonly macs: number;
    readonly already: number;
    readonly share: number;
    /** Multiply-accumulates of a convolution. */
    readonly macsOf: (node: Node) => number;
  },
): Map<RankedSpace, number> {
  const each = (one: RankedSpace): number => {
    const { givers, readers, inner, channels } = one.space;
    return [...givers, ...inner, ...readers].reduce((sum, node) => sum + options.macsOf(node), 0) / channels;
  };
  const saved = (chosen: ReadonlyMap<RankedSpace, number>): number =>
    [...chosen].reduce((sum, [one, count]) => sum + removable(one.space.channels, count, 16) * each(one), 0);
  const wanted = options.share * options.macs - options.already;
  let [low, high] = [0, 1];
  if (wanted <= 0) return chooseByBudget(ranked, -1);
  if (saved(chooseByBudget(ranked, high)) < wanted)
    throw new FacedError('usage.invalid', 'no choice of channels saves that much', {
      fix: 'name a smaller share',
    });
  for (let step = 0; step < 40; step += 1) {
    const middle = (low + high) / 2;
    if (saved(chooseByBudget(ranked, middle)) < wanted) low = middle;
    else high = middle;
  }
  return chooseByBudget(ranked, high);
}

/** How many of the wanted channels leave when what stays is made of whole blocks, one at least. */
function removable(channels: number, wanted: number, block: number): number {
  return Math.max(0, channels - Math.max(block, Math.ceil((channels - wanted) / block) * block));
}

/** How many channels leave each space: by name or position (`conv1`, `3`), as shares of its channels. */
export function chooseByLayer(
  ranked: readonly RankedSpace[],
  shares: ReadonlyMap<string, number>,
): Map<RankedSpace, number> {
  const names = ranked.map(({ name }) => name);
  const chosen = new Map<RankedSpace, number>();
  for (const [key, share] of shares) {
    const found = ranked[layerByKey(names, { key, share }, ranked.length - 1)];
    if (found !== undefined) chosen.set(found, Math.round(share * found.space.channels));
  }
  return chosen;
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
    const order = [...one.importance.keys()].sort(
      (a, b) => (one.importance[a] ?? 0) - (one.importance[b] ?? 0),
    );
    const removed = new Set(order.slice(0, removable(channels, wanted, block)));
    for (const reader of one.space.readers) {
      const moments =
        removed.size === 0 || options.inputs.length === 0
          ? null
          : await readerMoments(model, reader, options.inputs);
      if (moments !== null) refit(model.graph, reader, removed, moments);
    }
    removeChannels(model.graph, one.space, removed);
    layers.push({ name: one.name, channels, removed: removed.size });
  }
  return { model, layers };
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
