import { replaceConstant } from '../channels.js';
import {
  addInitializer,
  constantInput,
  consumers,
  floats,
  floatTensor,
  freshName,
  type Graph,
  type Model,
  makeNode,
  type Node,
  redirect,
  uint8Tensor,
} from '../graph/index.js';
import type { Range } from './observe.js';

/** How a network's input is made from pixels (a card's `input`): value = (pixel - mean) * scale. */
export interface ImageForm {
  readonly order: 'bgr' | 'rgb' | 'grey';
  readonly mean: number;
  readonly scale: number;
}

/**
 * Makes the first convolution ready for pixels: the steps of the input become those of bytes, what the whole number
 * nearest to the mean lacks goes into the bias, and red and blue change places where the network wants RGB. In place;
 * answers the input and its range. At the border, where padding stands for the mean itself, the answer differs by
 * less than half a grey level.
 */
export function prepareImageInput(model: Model, form: ImageForm): [string, Range] {
  const { graph } = model;
  const input = graph.inputs[0]?.name ?? '';
  const zero = Math.round(form.mean);
  const missing = (zero - form.mean) * form.scale;
  for (const conv of firstConvolutions(model)) {
    addToBias(model, conv, missing);
    if (form.order === 'rgb') swapRedAndBlue(model, conv);
  }
  return [input, { low: -zero * form.scale, high: (255 - zero) * form.scale }];
}

/**
 * Replaces the quantisation of the float input by the picture's own bytes: uint8 [batch, height, width, channels]. Where
 * the first convolution stays in float, the bytes are dequantised for it.
 */
export function readImage(model: Model, form: ImageForm): void {
  const { graph } = model;
  const [input] = graph.inputs;
  if (input === undefined) throw new TypeError('the network has no input');
  const quantise =
    graph.nodes.find((node) => node.op === 'QuantizeLinear' && node.inputs[0] === input.name) ??
    dequantiseInput(graph, input.name, form);
  const [batch = null, channels = null, height = null, width = null] = input.dims;
  graph.inputs = [{ name: input.name, type: 'uint8', dims: [batch, height, width, channels] }];
  graph.nodes[graph.nodes.indexOf(quantise)] = makeNode('Transpose', {
    inputs: [input.name],
    outputs: [...quantise.outputs],
    attributes: { perm: { kind: 'ints', value: [0, 3, 1, 2] } },
  });
}

/** Puts a pair of quantisation and dequantisation behind the input, and answers the first of them. */
function dequantiseInput(graph: Graph, input: string, { mean, scale }: ImageForm): Node {
  const steps = [
    addInitializer(graph, `${input}/scale`, floatTensor([], [scale])),
    addInitializer(graph, `${input}/zero`, uint8Tensor([], [Math.round(mean)])),
  ];
  const bytes = freshName(graph, `${input}/q`);
  const back = freshName(graph, `${input}/dq`);
  redirect(graph, input, back);
  const quantise = makeNode('QuantizeLinear', { inputs: [input, ...steps], outputs: [bytes] });
  graph.nodes.unshift(quantise, makeNode('DequantizeLinear', { inputs: [bytes, ...steps], outputs: [back] }));
  return quantise;
}

/** A network's float input back to the bytes it was made from (BGR or grey, rows of pixels). */
export function toBytes(input: Float32Array, form: ImageForm): Uint8Array {
  const channels = form.order === 'grey' ? 1 : 3;
  const pixels = input.length / channels;
  const bytes = new Uint8Array(input.length);
  for (let channel = 0; channel < channels; channel += 1) {
    const plane = form.order === 'rgb' ? 2 - channel : channel;
    for (let at = 0; at < pixels; at += 1)
      bytes[at * channels + channel] = Math.round((input[plane * pixels + at] ?? 0) / form.scale + form.mean);
  }
  return bytes;
}

function firstConvolutions(model: Model): Node[] {
  const { graph } = model;
  const readers = consumers(graph).get(graph.inputs[0]?.name ?? '') ?? [];
  if (readers.length === 0 || readers.some((node) => node.op !== 'Conv'))
    throw new TypeError('the input is read by something else than a convolution');
  return readers;
}

function addToBias(model: Model, conv: Node, offset: number): void {
  const { graph } = model;
  const weight = constantInput(graph, conv, 1);
  if (weight === undefined || offset === 0) return;
  const values = floats(weight);
  const channels = weight.dims[0] ?? 1;
  const each = values.length / channels;
  const sums = Float64Array.from({ length: channels }, (_, channel) =>
    values.subarray(channel * each, (channel + 1) * each).reduce((sum, value) => sum + value, 0),
  );
  if (constantInput(graph, conv, 2) === undefined) {
    conv.inputs[2] = addInitializer(
      graph,
      `${conv.outputs[0]}/bias`,
      floatTensor([channels], new Float32Array(channels)),
    );
  }
  replaceConstant(graph, conv, 2, (bias) =>
    floatTensor(
      bias.dims,
      floats(bias).map((value, channel) => value + offset * (sums[channel] ?? 0)),
    ),
  );
}

function swapRedAndBlue(model: Model, conv: Node): void {
  replaceConstant(model.graph, conv, 1, (weight) => {
    const [, inputs = 1] = weight.dims;
    if (inputs !== 3) return weight;
    const values = floats(weight);
    const area = values.length / ((weight.dims[0] ?? 1) * inputs);
    return floatTensor(
      weight.dims,
      Float32Array.from(values, (_, at) => {
        const channel = Math.floor(at / area) % 3;
        return values[at + (2 - 2 * channel) * area] ?? 0;
      }),
    );
  });
}
