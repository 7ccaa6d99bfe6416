import {
  addInitializer,
  constantInput,
  consumers,
  floats,
  floatTensor,
  intAttribute,
  type Model,
  makeNode,
  type Node,
  traceShapes,
} from '../graph/index.js';

/**
 * A 1x1 convolution on a map of one pixel followed by Reshape or Flatten to a vector is a matrix product, whose 8-bit
 * form gives float without another rounding. Exact; in place.
 */
export async function pointwiseToGemm(model: Model): Promise<void> {
  const { graph } = model;
  const shapes = await traceShapes(model);
  const read = consumers(graph);
  for (const conv of graph.nodes.filter((node) => node.op === 'Conv')) {
    const weight = constantInput(graph, conv, 1);
    const [next, ...others] = read.get(conv.outputs[0] ?? '') ?? [];
    if (weight === undefined || next === undefined || others.length > 0) continue;
    if (intAttribute(conv, 'group', 1) !== 1 || !isVector(conv, next, shapes)) continue;
    const flat = addInitializer(
      graph,
      `${conv.inputs[1]}/matrix`,
      floatTensor(weight.dims.slice(0, 2), floats(weight)),
    );
    const input = `${conv.outputs[0]}/vector`;
    const at = graph.nodes.indexOf(conv);
    graph.nodes.splice(
      at,
      1,
      makeNode('Flatten', { inputs: [conv.inputs[0] ?? ''], outputs: [input] }),
      makeNode('Gemm', {
        name: conv.name,
        inputs: [input, flat, ...conv.inputs.slice(2)],
        outputs: [...next.outputs],
        attributes: { transB: { kind: 'int', value: 1 } },
      }),
    );
    graph.nodes.splice(graph.nodes.indexOf(next), 1);
  }
}

function isVector(conv: Node, next: Node, shapes: ReadonlyMap<string, readonly number[]>): boolean {
  const input = shapes.get(conv.inputs[0] ?? '') ?? [];
  const output = shapes.get(next.outputs[0] ?? '') ?? [];
  const onePixel = input.length === 4 && input[2] === 1 && input[3] === 1;
  const flattens = next.op === 'Flatten' || next.op === 'Reshape';
  return onePixel && flattens && output.length === 2 && output[0] === 1;
}
