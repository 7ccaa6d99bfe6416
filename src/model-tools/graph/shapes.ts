import { activations, noiseFeeds } from './run.js';
import type { DataType, Model } from './types.js';

export interface TracedValue {
  readonly type: DataType;
  readonly dims: readonly number[];
}

/**
 * Type and shape of every value for one picture. The network is run once rather than inferred: what ONNX Runtime
 * computes is what there is. Float and 8-bit image inputs are fed noise.
 */
export async function traceValues(model: Model, batch = 1): Promise<Map<string, TracedValue>> {
  const { graph } = model;
  const feeds = noiseFeeds(graph.inputs, { batch, scale: 1 });
  const names = [...new Set(graph.nodes.flatMap((node) => node.outputs))].filter((name) => name !== '');
  const values = await activations(model, names, feeds);
  const traced = ({ type, dims }: { type: string; dims: readonly number[] }): TracedValue => ({
    type: type as DataType,
    dims,
  });
  return new Map([
    ...[...graph.initializers].map(([name, tensor]) => [name, traced(tensor)] as const),
    ...Object.entries(feeds).map(([name, feed]) => [name, traced(feed)] as const),
    ...Object.entries(values).map(([name, value]) => [name, traced(value)] as const),
  ]);
}

/** The shapes alone. */
export async function traceShapes(model: Model, batch = 1): Promise<Map<string, readonly number[]>> {
  return new Map([...(await traceValues(model, batch))].map(([name, { dims }]) => [name, dims]));
}
