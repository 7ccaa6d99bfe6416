import {
  consumers,
  floats,
  type Graph,
  intAttribute,
  type Model,
  type Node,
  producers,
} from '../graph/index.js';
import { scaleInputChannels, scaleOutputChannels } from '../prelu.js';
import { visitActivations } from './observe.js';

/** Operations that scale with their input: f(s·x) = s·f(x) for s > 0, channel by channel. */
const HOMOGENEOUS = new Set([
  'PRelu',
  'Relu',
  'LeakyRelu',
  'Add',
  'MaxPool',
  'AveragePool',
  'GlobalAveragePool',
]);

/** Values that must be scaled alike, the convolutions that give them and those that read them. */
interface ChannelGroup {
  readonly values: readonly string[];
  readonly givers: readonly Node[];
  readonly readers: readonly Node[];
}

/**
 * Cross-layer equalisation (Nagel et al. 2019, section 4.1) with the ranges of activations beside those of weights, as
 * SmoothQuant has it (Xiao et al. 2023): channels of one value are scaled to like ranges in the convolutions that give
 * it, and back in those that read it. Exact in float, since what lies between is positively homogeneous. Where all
 * readers are depthwise, whose weights have a scale for each channel anyway, activations decide alone. Residual
 * streams are scaled as one. In place; answers how many groups were scaled.
 */
export async function equalise(model: Model, inputs: readonly Float32Array[]): Promise<number> {
  const groups = channelGroups(model.graph);
  const magnitudes = await channelMagnitudes(
    model,
    groups.flatMap((group) => group.values),
    inputs,
  );
  let count = 0;
  for (const group of groups) {
    const activation = strongest(group.values.map((name) => magnitudes.get(name)));
    if (activation === undefined) continue;
    const factors = factorsFor(model.graph, group, activation);
    for (const giver of group.givers)
      scaleOutputChannels(
        model.graph,
        giver,
        factors.map((factor) => 1 / factor),
      );
    for (const reader of group.readers) scaleInputChannels(model.graph, reader, factors);
    count += 1;
  }
  return count;
}

function factorsFor(graph: Graph, group: ChannelGroup, activation: Float32Array): Float32Array {
  const mixing = group.readers.filter((reader) => !isDepthwise(graph, reader));
  const weight = strongest(mixing.map((reader) => inputMagnitudes(graph, reader)));
  const raw = activation.map((range, channel) => {
    if (weight === undefined) return range;
    const reach = weight[channel] ?? 0;
    return range <= 0 || reach <= 0 ? 0 : Math.sqrt(range / reach);
  });
  // Channels that are never on keep their size; the middle channel does too, so that scales stay where they were.
  const used = raw.filter((value) => value > 0).sort();
  const middle = used[used.length >> 1] ?? 1;
  return raw.map((value) => (value > 0 ? Math.min(Math.max(value / middle, 1e-3), 1e3) : 1));
}

/** Sets of values joined by homogeneous operations whose every touch is a convolution or such an operation. */
export function channelGroups(graph: Graph): ChannelGroup[] {
  const parent = new Map<string, string>();
  const find = (name: string): string => {
    const up = parent.get(name) ?? name;
    return up === name ? name : find(up);
  };
  const homogeneous = graph.nodes.filter((node) => HOMOGENEOUS.has(node.op));
  const joined = (node: Node): string[] => {
    const inputs = node.op === 'Add' ? node.inputs : node.inputs.slice(0, 1);
    return [...inputs, ...node.outputs];
  };
  for (const node of homogeneous) {
    const [first = '', ...rest] = joined(node);
    for (const name of rest) parent.set(find(name), find(first));
  }
  const made = producers(graph);
  const read = consumers(graph);
  const outside = new Set([...graph.inputs, ...graph.outputs].map((info) => info.name));
  const groups = new Map<string, string[]>();
  const convOutputs = graph.nodes.filter((node) => node.op === 'Conv').flatMap((node) => node.outputs);
  for (const name of new Set([...homogeneous.flatMap(joined), ...convOutputs])) {
    const root = find(name);
    groups.set(root, [...(groups.get(root) ?? []), name]);
  }
  return [...groups.values()].flatMap((values) => {
    const givers: Node[] = [];
    const readers: Node[] = [];
    for (const name of values) {
      const giver = made.get(name);
      if (outside.has(name) || giver === undefined || graph.initializers.has(name)) return [];
      if (giver.op === 'Conv') givers.push(giver);
      else if (!HOMOGENEOUS.has(giver.op)) return [];
      for (const reader of read.get(name) ?? []) {
        if (reader.op === 'Conv' && reader.inputs[0] === name && canScaleInput(graph, reader))
          readers.push(reader);
        else if (!HOMOGENEOUS.has(reader.op)) return [];
      }
    }
    return readers.length > 0 && givers.length > 0 ? [{ values, givers, readers }] : [];
  });
}

function canScaleInput(graph: Graph, conv: Node): boolean {
  return graph.initializers.get(conv.inputs[1] ?? '')?.type === 'float32';
}

function isDepthwise(graph: Graph, conv: Node): boolean {
  const dims = graph.initializers.get(conv.inputs[1] ?? '')?.dims ?? [];
  return dims[1] === 1 && intAttribute(conv, 'group', 1) === dims[0];
}

/** The largest absolute weight by which each input channel is read. */
function inputMagnitudes(graph: Graph, conv: Node): Float32Array {
  const tensor = graph.initializers.get(conv.inputs[1] ?? '');
  if (tensor === undefined) return new Float32Array();
  const [outputs = 1, inputs = 1] = tensor.dims;
  const group = intAttribute(conv, 'group', 1);
  const values = floats(tensor);
  const area = values.length / (outputs * inputs);
  const found = new Float32Array(inputs * group);
  values.forEach((value, index) => {
    const output = Math.floor(index / (inputs * area));
    const channel = Math.floor(output / (outputs / group)) * inputs + (Math.floor(index / area) % inputs);
    found[channel] = Math.max(found[channel] ?? 0, Math.abs(value));
  });
  return found;
}

/** The largest absolute value of each channel over all inputs. */
async function channelMagnitudes(
  model: Model,
  names: readonly string[],
  inputs: readonly Float32Array[],
): Promise<Map<string, Float32Array>> {
  const found = new Map<string, Float32Array>();
  if (names.length === 0) return found;
  await visitActivations({
    model,
    names,
    inputs,
    visit: (name, { dims, data }) => {
      const channels = dims[1] ?? 1;
      const area = data.length / channels;
      const most = found.get(name) ?? new Float32Array(channels);
      found.set(name, most);
      for (let channel = 0; channel < channels; channel += 1) {
        let high = most[channel] ?? 0;
        for (let at = channel * area; at < (channel + 1) * area; at += 1) {
          const size = Math.abs(data[at] as number);
          if (size > high) high = size;
        }
        most[channel] = high;
      }
    },
  });
  return found;
}

function strongest(lists: readonly (Float32Array | undefined)[]): Float32Array | undefined {
  const known = lists.filter((list) => list !== undefined);
  const [first] = known;
  return first?.map((_, channel) => Math.max(...known.map((list) => list[channel] ?? 0)));
}
