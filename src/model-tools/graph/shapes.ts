import { activations, noiseFeeds } from './run.js';
import type { Model } from './types.js';

/**
 * The shape of every value for one picture. The network is run once rather than inferred: what ONNX Runtime computes
 * is what there is. Float and 8-bit image inputs are fed noise.
 */
export async function traceShapes(model: Model, batch = 1): Promise<Map<string, readonly number[]>> {
  const { graph } = model;
  const feeds = noiseFeeds(graph.inputs, { batch, scale: 1 });
  const names = [...new Set(graph.nodes.flatMap((node) => node.outputs))].filter((name) => name !== '');
  const values = await activations(model, names, feeds);
  return new Map([
    ...[...graph.initializers].map(([name, tensor]) => [name, tensor.dims] as const),
    ...Object.entries(feeds).map(([name, feed]) => [name, feed.dims] as const),
    ...Object.entries(values).map(([name, value]) => [name, value.dims] as const),
  ]);
}
