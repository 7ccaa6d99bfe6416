import {
  addInitializer,
  constantInput,
  floatAttribute,
  floats,
  floatTensor,
  freshName,
  int64Tensor,
  intAttribute,
  intsAttribute,
  type Model,
  makeNode,
  type Node,
  removeDead,
  replaceNode,
  soleReaders,
  traceShapes,
} from '../graph/index.js';

/**
 * A 1x1 convolution on a map of one pixel followed by Reshape or Flatten to a vector is a matrix product, whose 8-bit
 * form gives float without another rounding. Exact; in place.
 */
export async function pointwiseToGemm(model: Model): Promise<void> {
  const { graph } = model;
  const shapes = await traceShapes(model);
  const sole = soleReaders(graph);
  for (const conv of graph.nodes.filter((node) => node.op === 'Conv')) {
    const weight = constantInput(graph, conv, 1);
    const next = sole.get(conv.outputs[0] ?? '');
    if (weight === undefined || next === undefined) continue;
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

/**
 * A 1x1 convolution whose map is only read pixel by pixel (transposed, then reshaped to a row for each anchor), as the
 * heads of a detector are, is a matrix product over the pixels: its 8-bit form gives float without another rounding, and
 * nothing is transposed afterwards. Exact; in place.
 */
export async function headsToGemm(model: Model): Promise<void> {
  const { graph } = model;
  const shapes = await traceShapes(model);
  const sole = soleReaders(graph);
  for (const conv of graph.nodes.filter((node) => node.op === 'Conv')) {
    const weight = constantInput(graph, conv, 1);
    const move = sole.get(conv.outputs[0] ?? '');
    const rows = sole.get(move?.outputs[0] ?? '');
    if (weight === undefined || move?.op !== 'Transpose' || rows?.op !== 'Reshape') continue;
    const { dims } = weight;
    const [outputs = 0, channels = 0] = dims;
    const pointwise = dims.length === 4 && dims[2] === 1 && dims[3] === 1;
    const [before, after] = [shapes.get(conv.inputs[0] ?? ''), shapes.get(conv.outputs[0] ?? '')];
    const samePlaces = before?.slice(2).join() === after?.slice(2).join();
    const toPixels = intsAttribute(move, 'perm', []).join() === '0,2,3,1';
    const [batch, anchors = 0, each = 0, ...more] = shapes.get(rows.outputs[0] ?? '') ?? [];
    if (!pointwise || intAttribute(conv, 'group', 1) !== 1 || !samePlaces || !toPixels) continue;
    if (batch !== 1 || more.length > 0) continue;
    const [input = '', weightName = ''] = conv.inputs;
    const [pixels, flat, product] = ['pixels', 'rows', 'product'].map((kind) =>
      freshName(graph, `${conv.outputs[0]}/${kind}`),
    ) as [string, string, string];
    const shape = (name: string, ...sizes: number[]): string =>
      addInitializer(graph, `${name}/shape`, int64Tensor([sizes.length], sizes));
    const matrix = addInitializer(
      graph,
      `${weightName}/matrix`,
      floatTensor([outputs, channels], floats(weight)),
    );
    replaceNode(graph, conv, [
      makeNode('Transpose', {
        inputs: [input],
        outputs: [pixels],
        attributes: { perm: { kind: 'ints', value: [0, 2, 3, 1] } },
      }),
      makeNode('Reshape', { inputs: [pixels, shape(flat, -1, channels)], outputs: [flat] }),
      makeNode('Gemm', {
        name: conv.name,
        inputs: [flat, matrix, ...conv.inputs.slice(2)],
        outputs: [product],
        attributes: { transB: { kind: 'int', value: 1 } },
      }),
      makeNode('Reshape', {
        name: rows.name,
        inputs: [product, shape(product, -1, anchors, each)],
        outputs: [...rows.outputs],
      }),
    ]);
    graph.nodes = graph.nodes.filter((node) => node !== move && node !== rows);
  }
  removeDead(graph);
}

/** The other way round: a product on the one pixel of a map becomes a 1x1 convolution. Exact; in place. */
export async function gemmToPointwise(model: Model): Promise<void> {
  const { graph } = model;
  const shapes = await traceShapes(model);
  const sole = soleReaders(graph);
  for (const flat of graph.nodes.filter(({ op }) => op === 'Flatten' || op === 'Reshape')) {
    const [map = '', vector = ''] = [flat.inputs[0], flat.outputs[0]];
    const gemm = sole.get(vector);
    const dims = shapes.get(map) ?? [];
    const onePixel = dims.length === 4 && dims[2] === 1 && dims[3] === 1;
    if (gemm?.op !== 'Gemm' || !onePixel || gemm.inputs[0] !== vector) continue;
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
