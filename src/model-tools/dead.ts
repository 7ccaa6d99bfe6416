import {
  type ChannelSpace,
  channelSpaces,
  isDepthwise,
  isPadded,
  removeChannels,
  replaceConstant,
} from './channels.js';
import {
  addInitializer,
  constantInput,
  floats,
  floatTensor,
  type Graph,
  type Model,
  type Node,
} from './graph/index.js';
import { channelSlopes } from './prelu.js';

/** Weights below this share of the largest one of their layer count as zero. */
const NOTHING = 1e-9;

/** Channels in a block of ONNX Runtime's fast float convolutions on x64 with AVX-512 (fewer elsewhere, and a divisor of it). */
const FLOAT_BLOCK = 16;

/**
 * Takes out channels that cannot say anything: weight decay drives whole channels of a network to zero (in a batch
 * normalised one, the scale of the norm), and they are still computed. A channel is dead when every convolution that
 * reads it has no weight for it, or when what it carries is a constant, which then moves into the biases. Needs no data;
 * exact but for terms below 1e-9. In place; answers how many channels left.
 */
export function removeDeadChannels(model: Model, block = FLOAT_BLOCK): number {
  const { graph } = model;
  let count = 0;
  for (const space of channelSpaces(graph)) {
    const constants = constantChannels(graph, space);
    const dead = new Set<number>();
    for (let channel = 0; channel < space.channels; channel += 1) {
      const silent = space.readers.every((reader) => {
        if (readWeight(graph, reader, channel) === 0) return true;
        const value = constants.get(reader.inputs[0] ?? '')?.[channel];
        return value !== undefined && !Number.isNaN(value) && (value === 0 || !isPadded(reader));
      });
      if (silent) dead.add(channel);
    }
    keepWholeBlocks(dead, space.channels, block);
    if (dead.size === 0) continue;
    for (const reader of space.readers)
      foldIntoBias(graph, reader, constants.get(reader.inputs[0] ?? ''), dead);
    removeChannels(graph, space, dead);
    count += dead.size;
  }
  return count;
}

/**
 * A depthwise layer that is not made of whole blocks leaves ONNX Runtime's fast way for float: some dead channels stay
 * to fill the last one.
 */
function keepWholeBlocks(dead: Set<number>, channels: number, block: number): void {
  const blocked = channels % block === 0;
  for (const channel of [...dead]) {
    const kept = channels - dead.size;
    if (kept > 0 && (!blocked || kept % block === 0)) return;
    dead.delete(channel);
  }
}

/** For each value of a space, what each channel always is; NaN where it varies. */
function constantChannels(graph: Graph, space: ChannelSpace): Map<string, Float64Array> {
  const known = new Map<string, Float64Array>();
  for (const giver of space.givers) known.set(giver.outputs[0] ?? '', constantOutputs(graph, giver));
  for (const node of space.inner) {
    const input = known.get(node.inputs[0] ?? '');
    const output = node.outputs[0] ?? '';
    if (isDepthwise(graph, node)) known.set(output, throughDepthwise(graph, node, input));
    else if (node.op === 'PRelu') {
      const slopes = channelSlopes(graph, node);
      known.set(
        output,
        varying(space).map((_, channel) => {
          const value = input?.[channel] ?? Number.NaN;
          return value < 0 ? value * (slopes?.[channel] ?? Number.NaN) : value;
        }),
      );
    } else if (node.op === 'Relu') {
      known.set(
        output,
        varying(space).map((_, channel) => Math.max(0, input?.[channel] ?? Number.NaN)),
      );
    } else if (node.op === 'Add') {
      const other = known.get(node.inputs[1] ?? '');
      known.set(
        output,
        varying(space).map(
          (_, channel) => (input?.[channel] ?? Number.NaN) + (other?.[channel] ?? Number.NaN),
        ),
      );
    } else known.set(output, varying(space));
  }
  return known;
}

function varying(space: ChannelSpace): Float64Array {
  return new Float64Array(space.channels).fill(Number.NaN);
}

/** The bias where all weights of an output channel are nothing. */
function constantOutputs(graph: Graph, conv: Node): Float64Array {
  const sizes = rowMagnitudes(graph, conv);
  const bias = constantInput(graph, conv, 2);
  const values = bias === undefined ? undefined : floats(bias);
  return sizes.map((size, channel) => (size === 0 ? tiny(values?.[channel] ?? 0) : Number.NaN));
}

function throughDepthwise(graph: Graph, conv: Node, input: Float64Array | undefined): Float64Array {
  const constants = constantOutputs(graph, conv);
  const weight = constantInput(graph, conv, 1);
  const bias = constantInput(graph, conv, 2);
  const values = weight === undefined ? new Float32Array() : floats(weight);
  const area = values.length / constants.length;
  return constants.map((constant, channel) => {
    if (!Number.isNaN(constant)) return constant;
    const value = input?.[channel] ?? Number.NaN;
    const own = bias === undefined ? 0 : (floats(bias)[channel] ?? 0);
    if (value === 0) return tiny(own);
    if (Number.isNaN(value) || isPadded(conv)) return Number.NaN;
    return value * values.subarray(channel * area, (channel + 1) * area).reduce((sum, w) => sum + w, 0) + own;
  });
}

/** The largest absolute weight of each output channel; 0 when it is nothing beside the layer's largest. */
function rowMagnitudes(graph: Graph, conv: Node): Float64Array {
  const weight = constantInput(graph, conv, 1);
  if (weight === undefined) return new Float64Array();
  const values = floats(weight);
  const rows = new Float64Array(weight.dims[0] ?? 0);
  const each = values.length / rows.length;
  values.forEach((value, index) => {
    const row = Math.floor(index / each);
    rows[row] = Math.max(rows[row] ?? 0, Math.abs(value));
  });
  const most = rows.reduce((high, value) => Math.max(high, value), 0);
  return rows.map((value) => (value < NOTHING * most ? 0 : value));
}

/** The largest absolute weight by which a convolution reads a channel; 0 when it is nothing beside the layer's largest. */
function readWeight(graph: Graph, conv: Node, channel: number): number {
  const weight = constantInput(graph, conv, 1);
  if (weight === undefined) return 1;
  const values = floats(weight);
  const [outputs = 1, inputs = 1] = weight.dims;
  const area = values.length / (outputs * inputs);
  let [mine, most] = [0, 0];
  for (let at = 0; at < values.length; at += 1) {
    const size = Math.abs(values[at] as number);
    if (size > most) most = size;
    if (size > mine && Math.floor(at / area) % inputs === channel) mine = size;
  }
  return mine < NOTHING * most ? 0 : mine;
}

/** Adds what constant channels always gave to the bias. */
function foldIntoBias(
  graph: Graph,
  conv: Node,
  constants: Float64Array | undefined,
  dead: ReadonlySet<number>,
): void {
  const weight = constantInput(graph, conv, 1);
  if (weight === undefined || constants === undefined) return;
  const [outputs = 1, inputs = 1] = weight.dims;
  const values = floats(weight);
  const area = values.length / (outputs * inputs);
  const added = new Float64Array(outputs);
  for (const channel of dead) {
    const value = constants[channel] ?? 0;
    if (value === 0 || Number.isNaN(value)) continue;
    for (let output = 0; output < outputs; output += 1) {
      const from = (output * inputs + channel) * area;
      for (let at = from; at < from + area; at += 1)
        added[output] = (added[output] ?? 0) + value * (values[at] ?? 0);
    }
  }
  if (added.every((value) => value === 0)) return;
  if (constantInput(graph, conv, 2) === undefined) {
    conv.inputs[2] = addInitializer(graph, `${conv.outputs[0]}/bias`, floatTensor([outputs], added));
    return;
  }
  replaceConstant(graph, conv, 2, (tensor) =>
    floatTensor(
      tensor.dims,
      floats(tensor).map((value, channel) => value + (added[channel] ?? 0)),
    ),
  );
}

/** A bias that weight decay has driven to nothing. */
function tiny(value: number): number {
  return Math.abs(value) < 1e-12 ? 0 : value;
}
