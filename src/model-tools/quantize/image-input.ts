import { replaceConstant } from '../channels.js';
import {
  addInitializer,
  constantInput,
  consumers,
  floats,
  floatTensor,
  freshName,
  type Graph,
  int64Tensor,
  intAttribute,
  intsAttribute,
  type Model,
  makeNode,
  type Node,
  redirect,
  replaceNode,
  uint8Tensor,
  type ValueInfo,
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
 * the first convolution stays in float, the bytes are dequantised for it and stay in their order, if it can take them so.
 */
export function readImage(model: Model, form: ImageForm): void {
  const { graph } = model;
  const [input] = graph.inputs;
  if (input === undefined) throw new TypeError('the network has no input');
  const [batch = null, channels = null, height = null, width = null] = input.dims;
  const quantise = graph.nodes.find((node) => node.op === 'QuantizeLinear' && node.inputs[0] === input.name);
  if (quantise === undefined) dequantiseInput(graph, input, form);
  else replaceNode(graph, quantise, [toPlanes(input.name, quantise.outputs[0] ?? '')]);
  graph.inputs = [{ name: input.name, type: 'uint8', dims: [batch, height, width, channels] }];
}

function toPlanes(input: string, output: string): Node {
  return makeNode('Transpose', {
    inputs: [input],
    outputs: [output],
    attributes: { perm: { kind: 'ints', value: [0, 3, 1, 2] } },
  });
}

/**
 * Bytes as floats for convolutions in float. A picture whose colours lie side by side is also one plane that is so many
 * times wider, and a kernel and stride so many times wider read it alike: nothing has to be sorted into planes.
 */
function dequantiseInput(graph: Graph, { name, dims }: ValueInfo, { mean, scale }: ImageForm): void {
  const [, channels, height, width] = dims;
  const readers = consumers(graph).get(name) ?? [];
  const [moved, back] = [freshName(graph, `${name}/q`), freshName(graph, `${name}/dq`)];
  const nodes: Node[] = [];
  const sized = typeof channels === 'number' && typeof height === 'number' && typeof width === 'number';
  if (sized && readers.every((conv) => takesRows(graph, conv))) {
    for (const conv of readers) widenToRows(graph, conv);
    const shape = addInitializer(graph, `${name}/rows`, int64Tensor([4], [0, 1, height, width * channels]));
    nodes.push(makeNode('Reshape', { inputs: [name, shape], outputs: [moved] }));
  } else nodes.push(toPlanes(name, moved));
  const steps = [
    addInitializer(graph, `${name}/scale`, floatTensor([], [scale])),
    addInitializer(graph, `${name}/zero`, uint8Tensor([], [Math.round(mean)])),
  ];
  redirect(graph, name, back);
  nodes.push(makeNode('DequantizeLinear', { inputs: [moved, ...steps], outputs: [back] }));
  graph.nodes.unshift(...nodes);
}

function takesRows(graph: Graph, conv: Node): boolean {
  const dense = intsAttribute(conv, 'dilations', [1, 1]).every((step) => step === 1);
  const [, , height, width] = constantInput(graph, conv, 1)?.dims ?? [];
  return (
    dense &&
    !conv.attributes.has('auto_pad') &&
    intAttribute(conv, 'group', 1) === 1 &&
    height !== undefined &&
    width !== undefined
  );
}

/** [outputs, channels, h, w] to [outputs, 1, h, w · channels], and what is counted in pixels of a row likewise. */
function widenToRows(graph: Graph, conv: Node): void {
  let [high, wide, channels] = [1, 1, 1];
  replaceConstant(graph, conv, 1, (weight) => {
    const [outputs = 1] = weight.dims;
    [, channels = 1, high = 1, wide = 1] = weight.dims;
    const values = floats(weight);
    const result = new Float32Array(values.length);
    values.forEach((value, at) => {
      const [x, row] = [at % wide, Math.floor(at / wide)];
      const [y, plane] = [row % high, Math.floor(row / high)];
      const [channel, output] = [plane % channels, Math.floor(plane / channels)];
      result[((output * high + y) * wide + x) * channels + channel] = value;
    });
    return floatTensor([outputs, 1, high, wide * channels], result);
  });
  const [down = 1, across = 1] = intsAttribute(conv, 'strides', [1, 1]);
  const [top = 0, left = 0, bottom = 0, right = 0] = intsAttribute(conv, 'pads', [0, 0, 0, 0]);
  const set = (name: string, value: readonly number[]): void => {
    conv.attributes.set(name, { kind: 'ints', value });
  };
  set('kernel_shape', [high, wide * channels]);
  set('strides', [down, across * channels]);
  set('pads', [top, left * channels, bottom, right * channels]);
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
