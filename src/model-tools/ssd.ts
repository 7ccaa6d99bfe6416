import { replaceConstant } from './channels.js';
import {
  addInitializer,
  constantInput,
  floats,
  floatTensor,
  freshName,
  type Graph,
  intAttribute,
  intsAttribute,
  type Model,
  makeNode,
  type Node,
  numbers,
  producers,
  removeDead,
  replaceNode,
  soleReaders,
  traceShapes,
} from './graph/index.js';

/**
 * The end of a single-shot detector (Liu et al. 2016), where each anchor's few numbers are cut out, computed and joined
 * again, as products with small constant matrices: the same answers, and a fraction of the time. A softmax over two
 * classes is the sigmoid of their difference; boxes from centre and size are sums of multiples. In place; what is not
 * built like that stays. Answers how many places were rewritten.
 */
export async function rewriteSsdEnd(model: Model): Promise<number> {
  const count = (await softmaxOfTwo(model)) + cornersOfBoxes(model.graph);
  removeDead(model.graph);
  return count;
}

async function softmaxOfTwo(model: Model): Promise<number> {
  const { graph } = model;
  const found = graph.nodes.filter((node) => node.op === 'Softmax');
  if (found.length === 0) return 0;
  const shapes = await traceShapes(model);
  let count = 0;
  for (const softmax of found) {
    const [input = ''] = softmax.inputs;
    const shape = shapes.get(input) ?? [];
    const axis = intAttribute(softmax, 'axis', -1);
    if (shape.at(-1) !== 2 || (axis !== -1 && axis !== shape.length - 1)) continue;
    const sigmoid = (from: string): Node =>
      makeNode('Sigmoid', { name: softmax.name, inputs: [from], outputs: [...softmax.outputs] });
    const heads = pairHeads(graph, input, shapes);
    if (heads === null || !heads.every((head) => givesPairs(graph, head))) {
      const apart = product(graph, input, { name: 'apart', rows: 2, matrix: [1, -1, -1, 1] });
      replaceNode(graph, softmax, [apart, sigmoid(apart.outputs[0] ?? '')]);
    } else {
      for (const head of heads) takeApart(graph, head);
      replaceNode(graph, softmax, [sigmoid(input)]);
    }
    count += 1;
  }
  return count;
}

/**
 * The convolutions and matrix products that give a value of pairs, where nothing lies between but what moves whole
 * pairs, and nobody else reads what they give; null where that is not so.
 */
export function pairHeads(
  graph: Graph,
  value: string,
  shapes: ReadonlyMap<string, readonly number[]>,
): readonly Node[] | null {
  const [made, sole] = [producers(graph), soleReaders(graph)];
  const node = made.get(value);
  const shape = shapes.get(value) ?? [];
  if (node === undefined || !sole.has(value)) return null;
  if (node.op === 'Gemm') return [node];
  if (node.op === 'Transpose') {
    // Channels last: pairs of them are the pairs of the rows that are cut from it.
    const conv = sole.get(node.inputs[0] ?? '') === node ? made.get(node.inputs[0] ?? '') : undefined;
    const moved = intsAttribute(node, 'perm', []).join() === '0,2,3,1';
    return moved && conv?.op === 'Conv' ? [conv] : null;
  }
  const joins = node.op === 'Concat' && intAttribute(node, 'axis', -1) === shape.length - 2;
  if (shape.at(-1) !== 2 || !(joins || node.op === 'Reshape' || node.op === 'Flatten')) return null;
  const found = (joins ? node.inputs : node.inputs.slice(0, 1)).map((one) => pairHeads(graph, one, shapes));
  return found.includes(null) ? null : [...new Set(found.flatMap((one) => one ?? []))];
}

/** Outputs are the first dimension of the weights, an even number, and biases constant. */
function givesPairs(graph: Graph, node: Node): boolean {
  const [weight, bias] = [constantInput(graph, node, 1), constantInput(graph, node, 2)];
  const [outputs = 1] = weight?.dims ?? [];
  const rowsFirst =
    node.op === 'Conv' ? intAttribute(node, 'group', 1) === 1 : intAttribute(node, 'transB', 0) === 1;
  const biased = node.inputs.length < 3 || (bias?.dims.length === 1 && bias.dims[0] === outputs);
  return weight?.type === 'float32' && outputs % 2 === 0 && rowsFirst && biased;
}

/** Each pair of outputs of a layer as their difference, and its opposite. */
function takeApart(graph: Graph, head: Node): void {
  for (const index of [1, 2])
    replaceConstant(graph, head, index, (tensor) => {
      const values = floats(tensor);
      const each = values.length / (tensor.dims[0] ?? 1);
      return floatTensor(
        tensor.dims,
        values.map((value, at) => {
          const second = Math.floor(at / each) % 2 === 1;
          return value - (values[second ? at - each : at + each] ?? 0);
        }),
      );
    });
}

/** Corners = U·P + V·H + Q, with U and exp(V) the products of what the network gives with two constant matrices. */
function cornersOfBoxes(graph: Graph): number {
  let count = 0;
  for (const concat of graph.nodes.filter((node) => node.op === 'Concat')) {
    const boxes = matchBoxes(graph, concat);
    if (boxes === null) continue;
    const { source, centreScale, sizeScale, anchorCentre, anchorReach, anchorSize } = boxes;
    const [a, b] = [centreScale, sizeScale];
    const centre = product(graph, source, {
      name: 'centre',
      rows: 4,
      matrix: [a, 0, a, 0, 0, a, 0, a, 0, 0, 0, 0, 0, 0, 0, 0],
    });
    const size = product(graph, source, {
      name: 'size',
      rows: 4,
      matrix: [0, 0, 0, 0, 0, 0, 0, 0, b, 0, b, 0, 0, b, 0, b],
    });
    const anchors = anchorCentre.length / 2;
    const each = (name: string, value: (anchor: number, side: number) => number): string =>
      addInitializer(
        graph,
        `${concat.outputs[0]}/${name}`,
        floatTensor(
          [1, anchors, 4],
          Float32Array.from({ length: anchors * 4 }, (_, at) => value(Math.floor(at / 4), at % 4)),
        ),
      );
    const reach = each('reach', (anchor, side) => anchorReach[2 * anchor + (side % 2)] ?? 0);
    const half = each(
      'half',
      (anchor, side) => ((side < 2 ? -1 : 1) * (anchorSize[2 * anchor + (side % 2)] ?? 0)) / 2,
    );
    const middle = each('middle', (anchor, side) => anchorCentre[2 * anchor + (side % 2)] ?? 0);
    const step = (op: string, name: string, ...inputs: string[]): Node =>
      makeNode(op, { inputs, outputs: [freshName(graph, `${concat.outputs[0]}/${name}`)] });
    const out = (node: Node): string => node.outputs[0] ?? '';
    const grown = step('Exp', 'grown', out(size));
    const moved = step('Mul', 'moved', out(centre), reach);
    const sides = step('Mul', 'sides', out(grown), half);
    const offsets = step('Add', 'offsets', out(moved), out(sides));
    replaceNode(graph, concat, [
      centre,
      size,
      grown,
      moved,
      sides,
      offsets,
      makeNode('Add', { name: concat.name, inputs: [out(offsets), middle], outputs: [...concat.outputs] }),
    ]);
    count += 1;
  }
  return count;
}

interface Boxes {
  /** [batch, anchors, 4]: what the network says of each anchor's centre and size. */
  readonly source: string;
  readonly centreScale: number;
  readonly sizeScale: number;
  /** [anchors, 2] each. */
  readonly anchorCentre: Float32Array;
  readonly anchorReach: Float32Array;
  readonly anchorSize: Float32Array;
}

/** Concat(c − s/2, c + s/2) of c = x·a·P + Q and s = exp(y·b)·R, with x and y the halves of one value. */
function matchBoxes(graph: Graph, concat: Node): Boxes | null {
  const made = producers(graph);
  const giver = (name: string | undefined, op: string): Node | undefined => {
    const node = made.get(name ?? '');
    return node?.op === op ? node : undefined;
  };
  const constant = (node: Node | undefined): Float32Array | undefined => {
    const tensor = node === undefined ? undefined : constantInput(graph, node, 1);
    return tensor?.type === 'float32' ? floats(tensor) : undefined;
  };
  const scalar = (node: Node | undefined): number | undefined => {
    const values = constant(node);
    return values?.length === 1 ? values[0] : undefined;
  };
  /** A half of the last dimension of four: what is cut, and whether it is the second half. */
  const half = (name: string | undefined): { source: string; second: boolean } | undefined => {
    const slice = giver(name, 'Slice');
    if (slice === undefined) return undefined;
    const [from, to, axis] = [1, 2, 3].map((index) => {
      const tensor = constantInput(graph, slice, index);
      const values = tensor === undefined ? [] : numbers(tensor);
      return values.length === 1 ? values[0] : undefined;
    });
    const last = axis === 2 || axis === -1;
    const step = constantInput(graph, slice, 4);
    if (!last || from === undefined || to === undefined || (step !== undefined && numbers(step)[0] !== 1))
      return undefined;
    if (from === 0 && to === 2) return { source: slice.inputs[0] ?? '', second: false };
    return from === 2 && to >= 4 ? { source: slice.inputs[0] ?? '', second: true } : undefined;
  };
  const [left, right, ...more] = concat.inputs;
  const [minus, plus] = [giver(left, 'Sub'), giver(right, 'Add')];
  if (more.length > 0 || minus === undefined || plus === undefined) return null;
  const [divideA, divideB] = [giver(minus.inputs[1], 'Div'), giver(plus.inputs[1], 'Div')];
  if (scalar(divideA) !== 2 || scalar(divideB) !== 2) return null;
  const centres = [half(minus.inputs[0]), half(plus.inputs[0])];
  const sizes = [half(divideA?.inputs[0]), half(divideB?.inputs[0])];
  const joined = giver(centres[0]?.source, 'Concat');
  const alike = [...centres, ...sizes].every((one) => one?.source === joined?.outputs[0]);
  if (joined === undefined || joined.inputs.length !== 2 || !alike) return null;
  if (centres.some((one) => one?.second !== false) || sizes.some((one) => one?.second !== true)) return null;
  const shift = giver(joined.inputs[0], 'Add');
  const reach = giver(shift?.inputs[0], 'Mul');
  const scaled = giver(reach?.inputs[0], 'Mul');
  const grow = giver(joined.inputs[1], 'Mul');
  const exponent = giver(giver(grow?.inputs[0], 'Exp')?.inputs[0], 'Mul');
  const [x, y] = [half(scaled?.inputs[0]), half(exponent?.inputs[0])];
  const [centreScale, sizeScale] = [scalar(scaled), scalar(exponent)];
  const [anchorCentre, anchorReach, anchorSize] = [constant(shift), constant(reach), constant(grow)];
  if (x === undefined || x.second || y?.second !== true || x.source !== y.source) return null;
  if (centreScale === undefined || sizeScale === undefined) return null;
  if (anchorCentre === undefined || anchorReach === undefined || anchorSize === undefined) return null;
  const lengths = new Set([anchorCentre.length, anchorReach.length, anchorSize.length]);
  if (lengths.size !== 1 || anchorCentre.length % 2 !== 0) return null;
  return { source: x.source, centreScale, sizeScale, anchorCentre, anchorReach, anchorSize };
}

/** A product of the last dimension with a constant matrix of so many rows. */
function product(
  graph: Graph,
  input: string,
  { name, rows, matrix }: { name: string; rows: number; matrix: readonly number[] },
): Node {
  const output = freshName(graph, `${input}/${name}`);
  const weight = floatTensor([rows, matrix.length / rows], Float32Array.from(matrix));
  const inputs = [input, addInitializer(graph, `${output}/matrix`, weight)];
  return makeNode('MatMul', { inputs, outputs: [output] });
}
