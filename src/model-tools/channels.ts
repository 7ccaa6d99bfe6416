import {
  addInitializer,
  constantInput,
  consumers,
  floats,
  floatTensor,
  type Graph,
  intAttribute,
  intsAttribute,
  type Node,
  producers,
  type Tensor,
} from './graph/index.js';

/** Operations that treat each channel by itself and have no constants for channels. */
const CHANNELWISE = new Set([
  'Relu',
  'LeakyRelu',
  'Sigmoid',
  'Clip',
  'Add',
  'MaxPool',
  'AveragePool',
  'GlobalAveragePool',
]);

/**
 * Values whose channels belong together: a channel can leave all of them or none. A depthwise convolution and a PRelu
 * carry a channel on; a sum ties its two inputs together.
 */
export interface ChannelSpace {
  readonly channels: number;
  readonly values: readonly string[];
  /** Convolutions that mix other channels into these. */
  readonly givers: readonly Node[];
  /** Convolutions that mix these into others. */
  readonly readers: readonly Node[];
  /** Depthwise convolutions and PRelus inside, in order. */
  readonly inner: readonly Node[];
}

export function isDepthwise(graph: Graph, node: Node): boolean {
  const dims = constantInput(graph, node, 1)?.dims;
  return (
    node.op === 'Conv' &&
    dims !== undefined &&
    dims[1] === 1 &&
    (dims[0] ?? 0) > 1 &&
    intAttribute(node, 'group', 1) === dims[0]
  );
}

/** The spaces whose every touch is understood, in the order in which they begin. */
export function channelSpaces(graph: Graph): ChannelSpace[] {
  const sets = new UnionFind();
  const carries = (node: Node): boolean =>
    CHANNELWISE.has(node.op) || (node.op === 'PRelu' && perChannel(graph, node)) || isDepthwise(graph, node);
  for (const node of graph.nodes) {
    if (node.op === 'Conv') sets.add(node.outputs[0] ?? '');
    if (!carries(node)) continue;
    const inputs = node.op === 'Add' ? node.inputs : node.inputs.slice(0, 1);
    for (const name of [...inputs, ...node.outputs]) sets.join(name, node.outputs[0] ?? '');
  }
  const made = producers(graph);
  const read = consumers(graph);
  const outside = new Set([...graph.inputs, ...graph.outputs].map((info) => info.name));
  return sets.all().flatMap((values) => {
    const givers: Node[] = [];
    const readers: Node[] = [];
    const inner = new Set<Node>();
    for (const name of values) {
      const giver = made.get(name);
      if (giver === undefined || outside.has(name)) return [];
      if (carries(giver)) inner.add(giver);
      else if (isPlainConv(graph, giver)) givers.push(giver);
      else return [];
      for (const reader of read.get(name) ?? []) {
        if (carries(reader)) inner.add(reader);
        else if (isPlainConv(graph, reader) && reader.inputs[0] === name) readers.push(reader);
        else return [];
      }
    }
    const channels = constantInput(graph, givers[0] ?? [...inner][0] ?? NOWHERE, 1)?.dims[0];
    if (givers.length === 0 || readers.length === 0 || channels === undefined) return [];
    return [{ channels, values, givers, readers, inner: graph.nodes.filter((node) => inner.has(node)) }];
  });
}

const NOWHERE: Node = { name: '', op: '', domain: '', inputs: [], outputs: [], attributes: new Map() };

/** Takes channels out of every weight of a space, in place. */
export function removeChannels(graph: Graph, space: ChannelSpace, removed: ReadonlySet<number>): void {
  if (removed.size === 0) return;
  const kept = Array.from({ length: space.channels }, (_, channel) => channel).filter(
    (channel) => !removed.has(channel),
  );
  for (const giver of space.givers) {
    replaceConstant(graph, giver, 1, (tensor) => sliceAxis(tensor, 0, kept));
    replaceConstant(graph, giver, 2, (tensor) => sliceAxis(tensor, 0, kept));
  }
  for (const reader of space.readers)
    replaceConstant(graph, reader, 1, (tensor) => sliceAxis(tensor, 1, kept));
  for (const node of space.inner) {
    if (node.op === 'PRelu')
      replaceConstant(graph, node, 1, (tensor) => sliceAxis(tensor, tensor.dims.length - 3, kept));
    if (node.op !== 'Conv') continue;
    replaceConstant(graph, node, 1, (tensor) => sliceAxis(tensor, 0, kept));
    replaceConstant(graph, node, 2, (tensor) => sliceAxis(tensor, 0, kept));
    node.attributes.set('group', { kind: 'int', value: kept.length });
  }
}

/** Gives a node another constant; other readers of the first one keep it. */
export function replaceConstant(
  graph: Graph,
  node: Node,
  index: number,
  change: (tensor: Tensor) => Tensor,
): void {
  const tensor = constantInput(graph, node, index);
  if (tensor === undefined) return;
  const name = node.inputs[index] ?? '';
  const alone = graph.nodes.filter((other) => other.inputs.includes(name)).length === 1;
  if (alone) graph.initializers.set(name, change(tensor));
  else node.inputs[index] = addInitializer(graph, `${name}/changed`, change(tensor));
}

/** The entries `kept` of one axis. */
export function sliceAxis(tensor: Tensor, axis: number, kept: readonly number[]): Tensor {
  const size = tensor.dims[axis] ?? 1;
  const inner = tensor.dims.slice(axis + 1).reduce((product, dim) => product * dim, 1);
  const outer = tensor.dims.slice(0, axis).reduce((product, dim) => product * dim, 1);
  const values = floats(tensor);
  const result = new Float32Array(outer * kept.length * inner);
  for (let block = 0; block < outer; block += 1) {
    kept.forEach((entry, at) => {
      const from = (block * size + entry) * inner;
      result.set(values.subarray(from, from + inner), (block * kept.length + at) * inner);
    });
  }
  return floatTensor(
    tensor.dims.map((dim, index) => (index === axis ? kept.length : dim)),
    result,
  );
}

/** Zeros around the input of a convolution. */
export function isPadded(conv: Node): boolean {
  return intsAttribute(conv, 'pads', []).some((pad) => pad > 0) || conv.attributes.has('auto_pad');
}

function isPlainConv(graph: Graph, node: Node): boolean {
  return (
    node.op === 'Conv' &&
    intAttribute(node, 'group', 1) === 1 &&
    constantInput(graph, node, 1)?.type === 'float32'
  );
}

function perChannel(graph: Graph, node: Node): boolean {
  const dims = constantInput(graph, node, 1)?.dims ?? [];
  return dims.length >= 3 && dims.slice(-2).every((dim) => dim === 1) && (dims.at(-3) ?? 1) > 1;
}

class UnionFind {
  readonly #parent = new Map<string, string>();

  add(name: string): void {
    if (!this.#parent.has(name)) this.#parent.set(name, name);
  }

  join(a: string, b: string): void {
    this.add(a);
    this.add(b);
    this.#parent.set(this.#find(a), this.#find(b));
  }

  all(): string[][] {
    const sets = new Map<string, string[]>();
    for (const name of this.#parent.keys()) {
      const root = this.#find(name);
      const set = sets.get(root);
      if (set === undefined) sets.set(root, [name]);
      else set.push(name);
    }
    return [...sets.values()];
  }

  #find(name: string): string {
    let at = name;
    for (let up = this.#parent.get(at); up !== undefined && up !== at; up = this.#parent.get(at)) at = up;
    return at;
  }
}
