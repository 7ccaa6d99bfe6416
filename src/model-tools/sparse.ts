import { FacedError } from '../domain/errors.js';
import { replaceConstant } from './channels.js';
import {
  cloneModel,
  constantInput,
  floats,
  floatTensor,
  type Graph,
  type Model,
  type Node,
} from './graph/index.js';

export interface SparseLayer {
  readonly name: string;
  readonly weights: number;
  readonly zeros: number;
}

/**
 * Unstructured pruning: the weights of least magnitude (L1) become zero, layer by layer (Han et al. 2015, section 3).
 * The shapes stay, so that dense kernels gain no time by it. `shares` names layers by node name; the biases stay.
 */
export function pruneWeights(
  original: Model,
  shares: ReadonlyMap<string, number>,
): { readonly model: Model; readonly layers: readonly SparseLayer[]; readonly sparsity: number } {
  const model = cloneModel(original);
  const layers: SparseLayer[] = [];
  for (const node of weightedNodes(model.graph)) {
    const weight = constantInput(model.graph, node, 1);
    if (weight === undefined) continue;
    const values = Float32Array.from(floats(weight));
    const wanted = Math.round((shares.get(node.name) ?? 0) * values.length);
    const order = Uint32Array.from(values.keys()).sort(
      (a, b) => Math.abs(values[a] ?? 0) - Math.abs(values[b] ?? 0) || a - b,
    );
    for (const at of order.subarray(0, wanted)) values[at] = 0;
    if (wanted > 0) replaceConstant(model.graph, node, 1, ({ dims }) => floatTensor(dims, values));
    const zeros = values.reduce((count, value) => count + (value === 0 ? 1 : 0), 0);
    layers.push({ name: node.name, weights: values.length, zeros });
  }
  const total = layers.reduce((sum, { weights }) => sum + weights, 0);
  const zeros = layers.reduce((sum, layer) => sum + layer.zeros, 0);
  return { model, layers, sparsity: zeros / Math.max(total, 1) };
}

/** Convolutions and matrix products with float weights of their own, in order. */
export function weightedNodes(graph: Graph): Node[] {
  return graph.nodes.filter(
    (node) => (node.op === 'Conv' || node.op === 'Gemm') && constantInput(graph, node, 1)?.type === 'float32',
  );
}

/** The layer that `key` names: its name, the first part of it (`conv1` of `conv1.conv`), or its place from 0. */
export function layerByKey(graph: Graph, key: string, share: number): string {
  const nodes = weightedNodes(graph);
  const found =
    nodes.find(({ name }) => name === key || name.startsWith(`${key}.`)) ?? nodes[placeOf(key, nodes)];
  if (found !== undefined && share >= 0 && share < 1) return found.name;
  throw new FacedError('usage.invalid', `--layer ${key}=${share} fits no layer`, {
    fix: `name one of ${nodes.map(({ name }, at) => `${at} (${name})`).join(', ')} and a share from 0 to below 1`,
  });
}

/** MobileFaceNet's own names where a file has forgotten them; its 1x1 before the head is the last one that widens. */
function placeOf(key: string, nodes: readonly Node[]): number {
  if (/^\d+$/.test(key)) return Number(key);
  if (key === 'conv1' || key === 'conv_1') return 0;
  return key === 'conv6_sep' || key === 'conv_6_sep' ? nodes.length - 3 : -1;
}
