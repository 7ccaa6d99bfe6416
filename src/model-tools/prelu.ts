import {
  addInitializer,
  constantInput,
  consumers,
  floats,
  floatTensor,
  freshName,
  type Graph,
  intAttribute,
  type Model,
  makeNode,
  type Node,
  producers,
  replaceNode,
} from './graph/index.js';

/**
 * Forms of PRelu(x; a), one slope for each channel, that compute the same:
 * `max`: Max(x, a·x), for slopes of at most 1;
 * `depthwise`: a·x + Relu((1 − a)·x), both products as depthwise 1x1 convolutions, which ONNX Runtime on x64 keeps in
 * its blocked layout and fuses with the Relu and the sum, for slopes of at most 1;
 * `sum`: x + Relu((a − 1)·x), one depthwise convolution and one sum, for slopes of at most 1;
 * `convMax`: Max(x, a·x) with the product as a depthwise 1x1 convolution, for slopes of at most 1. In 8 bits the Max
 * needs no arithmetic: of two stored numbers with the same steps the greater one is the answer.
 */
export type PReluForm = 'max' | 'depthwise' | 'sum' | 'convMax';

const FORMS = { max: maxForm, depthwise: depthwiseForm, sum: sumForm, convMax: convMaxForm };

/** Rewrites every PRelu that can be rewritten, in place; others stay. Returns how many were. */
export function rewritePRelu(model: Model, form: PReluForm): number {
  const { graph } = model;
  let count = 0;
  for (const node of graph.nodes.filter((candidate) => candidate.op === 'PRelu')) {
    const slopes = channelSlopes(graph, node);
    if (slopes === undefined) continue;
    if (slopes.some((slope) => slope > 1) && !flipSteepChannels(graph, node, slopes)) continue;
    replaceNode(graph, node, FORMS[form](graph, node, slopes));
    count += 1;
  }
  return count;
}

/** The slopes of a PRelu on [N, C, H, W] with one slope a channel; undefined for another form. */
export function channelSlopes(graph: Graph, node: Node): Float32Array | undefined {
  const slope = constantInput(graph, node, 1);
  if (slope === undefined || slope.type !== 'float32') return undefined;
  const { dims } = slope;
  const perChannel = dims.length === 3 && dims[1] === 1 && dims[2] === 1;
  const withBatch = dims.length === 4 && dims[0] === 1 && dims[2] === 1 && dims[3] === 1;
  return perChannel || withBatch ? Float32Array.from(floats(slope)) : undefined;
}

/**
 * PRelu(x; a) = −a·PRelu(−x; 1/a) for a > 0: a channel with a slope above 1 is turned round in the convolution before
 * and scaled back in the depthwise or plain convolutions after, in place. False when the neighbours do not allow it.
 */
export function flipSteepChannels(graph: Graph, node: Node, slopes: Float32Array): boolean {
  const before = producers(graph).get(node.inputs[0] ?? '');
  const readers = consumers(graph);
  const after = readers.get(node.outputs[0] ?? '') ?? [];
  const isOutput = graph.outputs.some((output) => output.name === node.outputs[0]);
  if (before?.op !== 'Conv' || (readers.get(before.outputs[0] ?? '') ?? []).length !== 1) return false;
  if (isOutput || after.length === 0) return false;
  if (!after.every((next) => next.op === 'Conv' && constantInput(graph, next, 1)?.type === 'float32'))
    return false;
  const outScale = new Float32Array(slopes.length).fill(1);
  const inScale = new Float32Array(slopes.length).fill(1);
  slopes.forEach((slope, channel) => {
    if (slope <= 1) return;
    outScale[channel] = -1;
    inScale[channel] = -slope;
    slopes[channel] = 1 / slope;
  });
  scaleOutputChannels(graph, before, outScale);
  for (const next of after) scaleInputChannels(graph, next, inScale);
  return true;
}

/** Multiplies the answer of a Conv by one factor for each output channel. */
export function scaleOutputChannels(graph: Graph, conv: Node, factors: Float32Array): void {
  const weight = constantInput(graph, conv, 1);
  if (weight === undefined) throw new TypeError(`${conv.name} has computed weights`);
  const values = Float32Array.from(floats(weight));
  const perChannel = values.length / factors.length;
  for (let i = 0; i < values.length; i += 1)
    values[i] = (values[i] ?? 0) * (factors[Math.floor(i / perChannel)] ?? 1);
  conv.inputs[1] = addInitializer(graph, `${conv.inputs[1]}/scaled`, floatTensor(weight.dims, values));
  const bias = constantInput(graph, conv, 2);
  if (bias === undefined) return;
  const scaled = floats(bias).map((value, channel) => value * (factors[channel] ?? 1));
  conv.inputs[2] = addInitializer(graph, `${conv.inputs[2]}/scaled`, floatTensor(bias.dims, scaled));
}

/** Makes a Conv multiply each of its input channels by a factor first. */
export function scaleInputChannels(graph: Graph, conv: Node, factors: Float32Array): void {
  const weight = constantInput(graph, conv, 1);
  if (weight === undefined) throw new TypeError(`${conv.name} has computed weights`);
  const [outputs = 1, inputsPerGroup = 1] = weight.dims;
  const group = intAttribute(conv, 'group', 1);
  const outputsPerGroup = outputs / group;
  const area = floats(weight).length / (outputs * inputsPerGroup);
  const values = Float32Array.from(floats(weight), (value, index) => {
    const output = Math.floor(index / (inputsPerGroup * area));
    const within = Math.floor(index / area) % inputsPerGroup;
    const channel = Math.floor(output / outputsPerGroup) * inputsPerGroup + within;
    return value * (factors[channel] ?? 1);
  });
  conv.inputs[1] = addInitializer(graph, `${conv.inputs[1]}/scaled`, floatTensor(weight.dims, values));
}

function maxForm(graph: Graph, node: Node, slopes: Float32Array): Node[] {
  const [input = '', output = ''] = [node.inputs[0], node.outputs[0]];
  const slope = addInitializer(graph, `${output}/slope`, floatTensor([slopes.length, 1, 1], slopes));
  const scaled = freshName(graph, `${output}/scaled`);
  return [
    makeNode('Mul', { inputs: [input, slope], outputs: [scaled] }),
    makeNode('Max', { inputs: [input, scaled], outputs: [output] }),
  ];
}

function depthwiseForm(graph: Graph, node: Node, slopes: Float32Array): Node[] {
  const [input = '', output = ''] = [node.inputs[0], node.outputs[0]];
  const rest = freshName(graph, `${output}/rest`);
  const positive = freshName(graph, `${output}/positive`);
  const scaled = freshName(graph, `${output}/scaled`);
  return [
    depthwise1x1(graph, { input, output: rest, factors: slopes.map((slope) => 1 - slope) }),
    makeNode('Relu', { inputs: [rest], outputs: [positive] }),
    depthwise1x1(graph, { input, output: scaled, factors: slopes }),
    makeNode('Add', { inputs: [scaled, positive], outputs: [output] }),
  ];
}

function sumForm(graph: Graph, node: Node, slopes: Float32Array): Node[] {
  const [input = '', output = ''] = [node.inputs[0], node.outputs[0]];
  const rest = freshName(graph, `${output}/rest`);
  const positive = freshName(graph, `${output}/positive`);
  return [
    depthwise1x1(graph, { input, output: rest, factors: slopes.map((slope) => slope - 1) }),
    makeNode('Relu', { inputs: [rest], outputs: [positive] }),
    makeNode('Add', { inputs: [input, positive], outputs: [output] }),
  ];
}

function convMaxForm(graph: Graph, node: Node, slopes: Float32Array): Node[] {
  const [input = '', output = ''] = [node.inputs[0], node.outputs[0]];
  const scaled = freshName(graph, `${output}/scaled`);
  return [
    depthwise1x1(graph, { input, output: scaled, factors: slopes }),
    makeNode('Max', { inputs: [input, scaled], outputs: [output] }),
  ];
}

function depthwise1x1(graph: Graph, parts: { input: string; output: string; factors: Float32Array }): Node {
  const channels = parts.factors.length;
  const weight = addInitializer(
    graph,
    `${parts.output}/weight`,
    floatTensor([channels, 1, 1, 1], parts.factors),
  );
  return makeNode('Conv', {
    inputs: [parts.input, weight],
    outputs: [parts.output],
    attributes: {
      group: { kind: 'int', value: channels },
      kernel_shape: { kind: 'ints', value: [1, 1] },
    },
  });
}
