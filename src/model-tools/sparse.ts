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
