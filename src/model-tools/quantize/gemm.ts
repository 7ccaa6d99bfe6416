import {
  addInitializer,
  constantInput,
  consumers,
  floatAttribute,
  floats,
  floatTensor,
  freshName,
  intAttribute,
  type Model,
  makeNode,
  type Node,
  removeDead,
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

/** The other way round: a product on the one pixel of a map becomes a 1x1 convolution. Exact; in place. */
export async function gemmToPointwise(model: Model): Promise<void> {
  const { graph } = model;
  const shapes = await traceShapes(model);
  const read = consumers(graph);
  for (const flat of graph.nodes.filter(({ op }) => op === 'Flatten' || op === 'Reshape')) {
    const [map = '', vector = ''] = [flat.inputs[0], flat.outputs[0]];
    const [gemm, ...others] = read.get(vector) ?? [];
    const dims = shapes.get(map) ?? [];
    const onePixel = dims.length === 4 && dims[2] === 1 && dims[3] === 1;
    if (gemm?.op !== 'Gemm' || others.length > 0 || !onePixel || gemm.inputs[0] !== vector) continue;
    const weight = constantInput(graph, gemm, 1);
    const bias = constantInput(graph, gemm, 2);
    const plain = floatAttribute(gemm, 'alpha', 1) === 1 && floatAttribute(gemm, 'beta', 1) === 1;
    if (weight === undefined || bias?.dims.length !== 1 || !plain) continue;
    if (intAttribute(gemm, 'transB', 0) !== 1 || intAttribute(gemm, 'transA', 0) !== 0) continue;
    const kernel = floatTensor([...weight.dims, 1, 1], floats(weight));
    const output = freshName(graph, `${gemm.outputs[0]}/map`);
    const conv = makeNode('Conv', {
      name: gemm.name,
      inputs: [map, addInitializer(graph, `${gemm.inputs[1]}/kernel`, kernel), ...gemm.inputs.slice(2)],
      outputs: [output],
    });
    const back = makeNode('Flatten', { name: flat.name, inputs: [output], outputs: [...gemm.outputs] });
    graph.nodes.splice(graph.nodes.indexOf(gemm), 1, conv, back);
    graph.nodes.splice(graph.nodes.indexOf(flat), 1);
  }
  removeDead(graph);
}

function isVector(conv: Node, next: Node, shapes: ReadonlyMap<string, readonly number[]>): boolean {
  const input = shapes.get(conv.inputs[0] ?? '') ?? [];
  const output = shapes.get(next.outputs[0] ?? '') ?? [];
  const onePixel = input.length === 4 && input[2] === 1 && input[3] === 1;
  const flattens = next.op === 'Flatten' || next.op === 'Reshape';
  return onePixel && flattens && output.length === 2 && output[0] === 1;
}
