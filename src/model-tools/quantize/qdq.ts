import {
  addInitializer,
  constantInput,
  consumers,
  floats,
  floatTensor,
  freshName,
  type Graph,
  int8Tensor,
  int32Tensor,
  type Model,
  makeNode,
  type Node,
  producers,
  removeDead,
  sortTopologically,
  uint8Tensor,
} from '../graph/index.js';
import type { Range } from './observe.js';
import { type Moments, roundRow } from './rounding.js';
import { type Stem, widenStem } from './stem.js';

/** Steps of an 8-bit value: real = (stored - zero) * scale. */
export interface Steps {
  readonly scale: number;
  readonly zero: number;
}

/** Operations that ONNX Runtime has in 8 bits on the CPU, and the inputs of theirs that are activations. */
const QUANTISABLE: Readonly<Record<string, readonly number[]>> = {
  Conv: [0],
  Gemm: [0],
  Add: [0, 1],
  Mul: [0, 1],
  GlobalAveragePool: [0],
  Concat: [],
  Relu: [0],
  Flatten: [0],
  Reshape: [0],
  Transpose: [0],
  MaxPool: [0],
  Max: [0, 1],
};
/** Only moves or chooses among values: inputs and output share their steps, and the node works on the stored bytes. */
const MOVES = new Set(['Flatten', 'Reshape', 'Transpose', 'MaxPool', 'Max']);

export interface QdqOptions {
  /** Nodes (by name) that stay in float. */
  readonly float: ReadonlySet<string>;
  /** Largest weight: 127, or 63 for processors whose 8-bit products saturate (AVX2 without VNNI). */
  readonly weightMax: number;
  /** The convolution that reads the picture, when it is to be widened. */
  readonly stem: Stem | null;
  /** The ranges of activations. */
  readonly range: (value: string) => Range;
  /** What layers read, by name: weights are rounded by it. Without it each weight goes to the nearest step. */
  readonly moments?: ReadonlyMap<string, Moments>;
}

/**
 * Which nodes are quantised: convolutions and matrix products with constant weights, and what stands between them. A
 * graph output stays float: a matrix product gives it without rounding, anything else is left in float.
 */
export function quantisedNodes(graph: Graph, float: ReadonlySet<string>): Set<Node> {
  const chosen = new Set<Node>();
  const made = producers(graph);
  const outputs = new Set(graph.outputs.map((output) => output.name));
  const constant = (name: string | undefined): boolean =>
    name === undefined || name === '' || graph.initializers.has(name);
  for (const node of graph.nodes) {
    if (!(node.op in QUANTISABLE) || float.has(node.name)) continue;
    if (node.op !== 'Gemm' && node.outputs.some((output) => outputs.has(output))) continue;
    if (node.op === 'Conv' || node.op === 'Gemm') {
      if (graph.initializers.has(node.inputs[1] ?? '') && constant(node.inputs[2])) chosen.add(node);
      continue;
    }
    // What follows quantised values stays in 8 bits; what follows float values stays in float.
    // So does what moves the floats that a matrix product gives.
    const givers = activationInputs(node).map((name) => made.get(name));
    const inBytes = (giver: Node | undefined): boolean =>
      giver !== undefined && chosen.has(giver) && (giver.op !== 'Gemm' || node.op === 'Relu');
    if (givers.every(inBytes)) chosen.add(node);
  }
  return chosen;
}

export function activationInputs(node: Node): string[] {
  if (node.op === 'Concat') return node.inputs;
  return (QUANTISABLE[node.op] ?? []).map((index) => node.inputs[index] ?? '');
}

/** Values that need steps: what quantised nodes read and give. */
export function quantisedValues(graph: Graph, float: ReadonlySet<string>): string[] {
  const nodes = quantisedNodes(graph, float);
  const plain = floatOutputs(graph, nodes);
  const names = [...nodes].flatMap((node) => [...activationInputs(node), ...node.outputs]);
  return [...new Set(names)].filter((name) => !plain.has(name));
}

/** What is never rounded: the graph's outputs, and what a matrix product gives to nodes in float alone. */
function floatOutputs(graph: Graph, nodes: ReadonlySet<Node>): Set<string> {
  const read = consumers(graph);
  const products = [...nodes].filter((node) => node.op === 'Gemm').flatMap((node) => node.outputs);
  return new Set([
    ...graph.outputs.map((output) => output.name),
    ...products.filter((name) => !(read.get(name) ?? []).some((reader) => nodes.has(reader))),
  ]);
}

/**
 * Puts a QuantizeLinear and DequantizeLinear pair behind every value that quantised nodes read or give, and 8-bit
 * weights with one scale for each output channel in place of float ones (ONNX opset 13; Jacob et al. 2018, section 2.1).
 * Biases become int32 with the product of the two scales. In place.
 */
export function insertQdq(model: Model, options: QdqOptions): void {
  const { graph } = model;
  const nodes = quantisedNodes(graph, options.float);
  absorbRelu(graph, nodes);
  const wide = widen(graph, nodes, options.stem);
  const range = (name: string): Range => options.range(wide.get(name) ?? name);
  const movers = new Set([...nodes].filter((node) => onlyMoves(node, range)));
  const steps = chooseSteps(graph, { nodes, movers }, range);
  const dequantised = new Map<string, string>();
  const stored = new Map<string, string>();
  for (const node of [...nodes]) quantiseWeights(graph, node, { ...options, steps });
  const moved = new Set([...movers].flatMap((node) => node.outputs));
  const inserted: Node[] = [];
  for (const [name, { scale, zero }] of steps) {
    const scaleName = addInitializer(graph, `${name}/scale`, floatTensor([], [scale]));
    const zeroName = addInitializer(graph, `${name}/zero`, uint8Tensor([], [zero]));
    const quantised = freshName(graph, `${name}/q`);
    const back = freshName(graph, `${name}/dq`);
    if (!moved.has(name))
      inserted.push(
        makeNode('QuantizeLinear', { inputs: [name, scaleName, zeroName], outputs: [quantised] }),
      );
    inserted.push(
      makeNode('DequantizeLinear', { inputs: [quantised, scaleName, zeroName], outputs: [back] }),
    );
    dequantised.set(name, back);
    stored.set(name, quantised);
  }
  for (const node of graph.nodes) {
    if (node.op === 'DequantizeLinear') continue;
    const onBytes = movers.has(node);
    const read = onBytes ? stored : dequantised;
    node.inputs = node.inputs.map((name) => read.get(name) ?? name);
    if (onBytes) node.outputs = node.outputs.map((name) => stored.get(name) ?? name);
  }
  graph.nodes = [...graph.nodes, ...inserted];
  graph.nodes = sortTopologically(graph);
  removeDead(graph);
}

/** The picture's convolution in its wide form; answers for each new value the one whose range it has. */
function widen(graph: Graph, nodes: Set<Node>, stem: Stem | null): ReadonlyMap<string, string> {
  if (stem === null || !nodes.delete(stem.conv)) return new Map();
  const wide = widenStem(graph, stem);
  for (const node of wide.nodes) nodes.add(node);
  return wide.alike;
}

/** A Relu behind a convolution or sum is what clipping at a zero point of 0 does: it leaves the graph. */
function absorbRelu(graph: Graph, nodes: Set<Node>): void {
  const made = producers(graph);
  const read = consumers(graph);
  for (const relu of [...nodes].filter((node) => node.op === 'Relu')) {
    const [input = ''] = relu.inputs;
    const giver = made.get(input);
    const alone = (read.get(input) ?? []).length === 1;
    if (giver === undefined || !nodes.has(giver) || MOVES.has(giver.op) || !alone) continue;
    giver.outputs = [...relu.outputs];
    nodes.delete(relu);
    graph.nodes.splice(graph.nodes.indexOf(relu), 1);
  }
}

/**
 * Also joining is moving, where all inputs and the output reach below zero or none does: a Relu that has become clipping
 * at a zero point of 0 would be lost among steps with another.
 */
function onlyMoves(node: Node, range: (name: string) => Range): boolean {
  if (node.op !== 'Concat') return MOVES.has(node.op);
  const values = [...node.inputs, ...node.outputs];
  const below = values.filter((name) => range(name).low < 0).length;
  return below === 0 || below === values.length;
}

/** Values that are moved or chosen among share the union of their ranges. */
function chooseSteps(
  graph: Graph,
  { nodes, movers }: { readonly nodes: ReadonlySet<Node>; readonly movers: ReadonlySet<Node> },
  range: (name: string) => Range,
): Map<string, Steps> {
  const plain = floatOutputs(graph, nodes);
  const alike = new Map<string, string>();
  const first = (name: string): string => {
    const before = alike.get(name);
    return before === undefined || before === name ? name : first(before);
  };
  const touched = (node: Node): string[] =>
    [...activationInputs(node), ...node.outputs].filter((name) => !plain.has(name));
  for (const node of nodes) {
    const [one, ...others] = touched(node);
    if (!movers.has(node) || one === undefined) continue;
    for (const other of others) alike.set(first(other), first(one));
  }
  const ranges = new Map<string, Range>();
  const names = graph.nodes.filter((node) => nodes.has(node)).flatMap(touched);
  for (const name of names) {
    const { low, high } = range(name);
    const before = ranges.get(first(name)) ?? { low, high };
    ranges.set(first(name), { low: Math.min(low, before.low), high: Math.max(high, before.high) });
  }
  return new Map(names.map((name) => [name, stepsFor(ranges.get(first(name)) ?? range(name))] as const));
}

/** 0 is always exact (Jacob et al. 2018, section 2.1): padding is made of it. */
export function stepsFor({ low, high }: Range): Steps {
  const [from, to] = [Math.min(low, 0), Math.max(high, 0)];
  const scale = Math.fround(Math.max((to - from) / 255, 1e-9));
  return { scale, zero: Math.min(255, Math.max(0, Math.round(-from / scale))) };
}

function quantiseWeights(
  graph: Graph,
  node: Node,
  {
    steps,
    weightMax,
    moments,
  }: Pick<QdqOptions, 'weightMax' | 'moments'> & { steps: ReadonlyMap<string, Steps> },
): void {
  if (node.op !== 'Conv' && node.op !== 'Gemm') return;
  const weight = constantInput(graph, node, 1);
  const input = steps.get(node.inputs[0] ?? '');
  if (weight === undefined || input === undefined) return;
  const axis = node.op === 'Gemm' && node.attributes.get('transB')?.value !== 1 ? 1 : 0;
  const known = moments?.get(node.name);
  const { values, scales } =
    known === undefined || axis !== 0 || floats(weight).length !== known.size * (weight.dims[0] ?? 0)
      ? quantisePerChannel(floats(weight), weight.dims, { axis, weightMax })
      : quantiseByMoments(floats(weight), known, weightMax);
  const stem = node.inputs[1] ?? '';
  const dequantise = (name: string, parts: { data: string; scale: string; zero: string }): string => {
    const output = freshName(graph, `${name}/dq`);
    const made = makeNode('DequantizeLinear', {
      inputs: [parts.data, parts.scale, parts.zero],
      outputs: [output],
    });
    made.attributes.set('axis', { kind: 'int', value: name === stem ? axis : 0 });
    graph.nodes.unshift(made);
    return output;
  };
  const channels = scales.length;
  node.inputs[1] = dequantise(stem, {
    data: addInitializer(graph, `${stem}/q`, int8Tensor(weight.dims, values)),
    scale: addInitializer(graph, `${stem}/scale`, floatTensor([channels], scales)),
    zero: addInitializer(graph, `${stem}/zero`, int8Tensor([channels], new Int8Array(channels))),
  });
  const bias = constantInput(graph, node, 2);
  if (bias === undefined) return;
  const biasStem = node.inputs[2] ?? '';
  const biasScales = scales.map((scale) => Math.fround(scale * input.scale));
  const rounded = floats(bias);
  const stored = Int32Array.from(rounded, (value, channel) =>
    Math.max(-(2 ** 31), Math.min(2 ** 31 - 1, Math.round(value / (biasScales[channel] ?? 1)))),
  );
  node.inputs[2] = dequantise(biasStem, {
    data: addInitializer(graph, `${biasStem}/q`, int32Tensor(bias.dims, stored)),
    scale: addInitializer(graph, `${biasStem}/scale`, floatTensor([channels], biasScales)),
    zero: addInitializer(graph, `${biasStem}/zero`, int32Tensor([channels], new Int32Array(channels))),
  });
}

/** Symmetric 8-bit weights; each channel's scale is the one with the least squared error. */
export function quantisePerChannel(
  values: Float32Array,
  dims: readonly number[],
  options: { axis: number; weightMax: number },
): { values: Int8Array; scales: Float32Array } {
  const { axis, weightMax } = options;
  const channels = dims[axis] ?? 1;
  const inner = dims.slice(axis + 1).reduce((product, dim) => product * dim, 1);
  const channelOf = (index: number): number => Math.floor(index / inner) % channels;
  const members: number[][] = Array.from({ length: channels }, () => []);
  for (let at = 0; at < values.length; at += 1) members[channelOf(at)]?.push(values[at] as number);
  const scales = Float32Array.from(members, (list) => bestScale(list, weightMax));
  const stored = Int8Array.from(values, (value, index) =>
    Math.max(-weightMax, Math.min(weightMax, Math.round(value / (scales[channelOf(index)] ?? 1)))),
  );
  return { values: stored, scales };
}

/** The same, rounded by what the layer reads; outputs are the first dimension. */
function quantiseByMoments(
  values: Float32Array,
  { size, covariances }: Moments,
  weightMax: number,
): { values: Int8Array; scales: Float32Array } {
  const stored = new Int8Array(values.length);
  const scales = new Float32Array(values.length / size);
  for (let output = 0; output < scales.length; output += 1) {
    const covariance = covariances[covariances.length === 1 ? 0 : output];
    if (covariance === undefined) throw new TypeError('a depthwise layer has a covariance for each channel');
    const rounded = roundRow(values.subarray(output * size, (output + 1) * size), covariance, weightMax);
    stored.set(rounded.values, output * size);
    scales[output] = rounded.scale;
  }
  return { values: stored, scales };
}

function bestScale(values: readonly number[], weightMax: number): number {
  const most = values.reduce((high, value) => Math.max(high, Math.abs(value)), 0);
  if (most === 0) return Math.fround(1 / weightMax);
  let best = { scale: most / weightMax, error: Number.POSITIVE_INFINITY };
  for (let step = 0; step <= 12; step += 1) {
    const scale = Math.fround(((1 - step * 0.025) * most) / weightMax);
    let error = 0;
    for (const value of values) {
      const stored = Math.max(-weightMax, Math.min(weightMax, Math.round(value / scale)));
      error += (value - stored * scale) ** 2;
    }
    if (error < best.error) best = { scale, error };
  }
  return best.scale;
}
