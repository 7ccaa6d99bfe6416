import { activations, addInitializer, int64Tensor, type Model, noiseFeeds, numbers } from './graph/index.js';

/** The name of the free first dimension in what faced writes. */
export const BATCH = 'batch';

/**
 * Makes the first dimension of a network that was exported for one picture free, in place. A Reshape to a fixed
 * [1, …] becomes "copy the first dimension", or "whatever is left" where the input's first dimension is another: the same
 * at one picture, and right for many where the first dimension is the batch, which the caller checks by running it.
 */
export async function batchFree(model: Model): Promise<void> {
  const { graph } = model;
  const fixed = graph.nodes.filter((node) => {
    const shape = graph.initializers.get(node.inputs[1] ?? '');
    return node.op === 'Reshape' && shape !== undefined && numbers(shape)[0] === 1;
  });
  const inputs = [...new Set(fixed.map((node) => node.inputs[0] ?? ''))].filter(
    (name) => !graph.initializers.has(name),
  );
  const fromGraph = inputs.filter((name) => !graph.inputs.some((input) => input.name === name));
  const values =
    fromGraph.length === 0
      ? {}
      : await activations(model, fromGraph, noiseFeeds(graph.inputs, { batch: 1, scale: 1 }));
  for (const node of fixed) {
    const name = node.inputs[0] ?? '';
    const first = values[name]?.dims[0] ?? graph.inputs.find((input) => input.name === name)?.dims[0];
    const shape = graph.initializers.get(node.inputs[1] ?? '');
    if (shape === undefined) continue;
    const rest = numbers(shape).slice(1);
    // What was flattened before (a softmax of the old meaning) has lost its batch: it is what is left over.
    if (first !== 1 && rest.some((dim) => dim <= 0)) continue;
    const free = int64Tensor(shape.dims, [first === 1 ? 0 : -1, ...rest]);
    node.inputs[1] = addInitializer(graph, `${node.outputs[0]}/shape`, free);
  }
  for (const info of [...graph.inputs, ...graph.outputs]) if (info.dims.length > 0) info.dims[0] = BATCH;
}
