import { batchFree } from './batch.js';
import {
  addInitializer,
  constantInput,
  floats,
  floatTensor,
  foldConstants,
  type Model,
  type Tensor,
  traceShapes,
  upgradeOpset,
} from './graph/index.js';
import { foldBatchNorms } from './norm.js';

/**
 * What every rewrite of a network begins with, in place: opset 13 or later, constants folded, products as Gemm, batch
 * norms multiplied in, the batch free. The answers stay.
 */
export async function plainForm(model: Model): Promise<void> {
  upgradeOpset(model);
  await foldConstants(model);
  await productsToGemm(model);
  foldBatchNorms(model.graph);
  await batchFree(model);
  await foldConstants(model);
}

/** A MatMul of vectors with a constant matrix is a Gemm without bias, in which a batch norm or a bias has a place. In place. */
export async function productsToGemm(model: Model): Promise<void> {
  const { graph } = model;
  const products = graph.nodes.filter((node) => {
    const weight = constantInput(graph, node, 1);
    return node.op === 'MatMul' && weight?.type === 'float32' && weight.dims.length === 2;
  });
  if (products.length === 0) return;
  const shapes = await traceShapes(model);
  for (const node of products) {
    const weight = constantInput(graph, node, 1);
    if (weight === undefined || shapes.get(node.inputs[0] ?? '')?.length !== 2) continue;
    node.op = 'Gemm';
    node.inputs[1] = addInitializer(graph, `${node.inputs[1]}/rows`, transposed(weight));
    node.attributes.set('transB', { kind: 'int', value: 1 });
  }
}

function transposed(matrix: Tensor): Tensor {
  const [rows = 0, columns = 0] = matrix.dims;
  const values = floats(matrix);
  return floatTensor(
    [columns, rows],
    values.map((_, at) => values[(at % rows) * columns + Math.floor(at / rows)] ?? 0),
  );
}
