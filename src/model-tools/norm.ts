import {
  addInitializer,
  constantInput,
  elementCount,
  floatAttribute,
  floats,
  floatTensor,
  type Graph,
  intAttribute,
  type Node,
  producers,
  redirect,
  removeDead,
  soleReaders,
} from './graph/index.js';

/** Batch norm at run time, one number for each channel (Ioffe and Szegedy 2015, algorithm 2). */
export interface BatchNorm {
  readonly weight: Float32Array;
  readonly bias: Float32Array;
  readonly mean: Float32Array;
  readonly variance: Float32Array;
  readonly epsilon: number;
}

/** A convolution's or product's own numbers; `channelOf` says to which output channel the weight at an index belongs. */
export interface Affine {
  readonly weight: Float32Array;
  readonly bias: Float32Array;
  readonly channelOf: (index: number) => number;
}

/** Weight and bias with the batch norm that follows multiplied in (Jacob et al. 2018, section 3.2), in double precision. */
export function foldNorm(
  { weight, bias, channelOf }: Affine,
  norm: BatchNorm,
): { weight: Float32Array; bias: Float32Array } {
  const scale = Float64Array.from(
    norm.variance,
    (variance, channel) => (norm.weight[channel] ?? 1) / Math.sqrt(variance + norm.epsilon),
  );
  return {
    weight: weight.map((value, index) => value * (scale[channelOf(index)] ?? 1)),
    bias: bias.map(
      (value, channel) =>
        (value - (norm.mean[channel] ?? 0)) * (scale[channel] ?? 1) + (norm.bias[channel] ?? 0),
    ),
  };
}

/** Batch norms go into the Conv or Gemm before them, where nothing else reads that; others stay. In place. */
export function foldBatchNorms(graph: Graph): void {
  const before = producers(graph);
  const readers = soleReaders(graph);
  const kept = new Set(graph.outputs.map(({ name }) => name));
  for (const node of graph.nodes.filter(({ op }) => op === 'BatchNormalization')) {
    const [input = '', output = ''] = [node.inputs[0], node.outputs[0]];
    const layer = before.get(input);
    const norm = normOf(graph, node);
    if (layer === undefined || norm === undefined || readers.get(input) !== node) continue;
    const own = affineOf(graph, layer, norm.mean.length);
    if (own === undefined) continue;
    const { weight, bias } = foldNorm(own, norm);
    const [, name = ''] = layer.inputs;
    const dims = constantInput(graph, layer, 1)?.dims ?? [];
    layer.inputs[1] = addInitializer(graph, `${name}/folded`, floatTensor(dims, weight));
    layer.inputs[2] = addInitializer(graph, `${name}/bias`, floatTensor([bias.length], bias));
    graph.nodes.splice(graph.nodes.indexOf(node), 1);
    if (kept.has(output)) layer.outputs = [output];
    else redirect(graph, output, input);
  }
  removeDead(graph);
}

/** The numbers of a norm that is not in training. */
function normOf(graph: Graph, node: Node): BatchNorm | undefined {
  const parts = [1, 2, 3, 4].map((index) => constantInput(graph, node, index));
  const training = intAttribute(node, 'training_mode', 0) !== 0 || node.outputs.length > 1;
  if (training || parts.some((part) => part?.type !== 'float32')) return undefined;
  const [weight, bias, mean, variance] = parts.map((part) =>
    part === undefined ? new Float32Array() : floats(part),
  );
  if (weight === undefined || bias === undefined || mean === undefined || variance === undefined)
    return undefined;
  return { weight, bias, mean, variance, epsilon: floatAttribute(node, 'epsilon', 1e-5) };
}

function affineOf(graph: Graph, layer: Node, channels: number): Affine | undefined {
  const [weight, bias] = [constantInput(graph, layer, 1), constantInput(graph, layer, 2)];
  const hasBias = (layer.inputs[2] ?? '') !== '';
  if (
    weight?.type !== 'float32' ||
    (hasBias && (bias?.type !== 'float32' || elementCount(bias.dims) !== channels))
  )
    return undefined;
  const values = floats(weight);
  const plain = floatAttribute(layer, 'alpha', 1) === 1 && floatAttribute(layer, 'beta', 1) === 1;
  const byRow = layer.op === 'Conv' || (layer.op === 'Gemm' && intAttribute(layer, 'transB', 0) === 1);
  const row = values.length / channels;
  if (!plain || !(byRow || layer.op === 'Gemm')) return undefined;
  return {
    weight: values,
    bias: bias === undefined ? new Float32Array(channels) : floats(bias),
    channelOf: byRow ? (index) => Math.floor(index / row) : (index) => index % channels,
  };
}
