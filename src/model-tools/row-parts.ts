import { sliceAxis } from './channels.js';
import {
  constantInput,
  type Graph,
  intAttribute,
  makeNode,
  type Node,
  removeDead,
  type Tensor,
} from './graph/index.js';

/** Rows that stay together: kernels sum what is left beside whole vectors in another order, so that the last bits differ. */
const BLOCK = 16;

/**
 * A Gemm, MatMul or Conv (of one group) whose constant weight is heavier than `share` becomes several over parts of its
 * output rows (of a Conv: its output channels), and a Concat of their answers. In place; other nodes stay.
 */
export function cutByRows(graph: Graph, node: Node, share: number): void {
  const weight = constantInput(graph, node, 1);
  const axis = weight === undefined ? undefined : rowAxis(node, weight);
  if (weight === undefined || axis === undefined) return;
  const rows = weight.dims[axis] ?? 0;
  const blocks = Math.floor(rows / BLOCK);
  const parts = Math.min(Math.ceil(weight.data.byteLength / share), blocks);
  if (parts < 2) return;
  const begin = (part: number): number =>
    part === parts ? rows : BLOCK * Math.floor((part * blocks) / parts);
  const bias = constantInput(graph, node, 2);
  // A bias that was computed, or has another shape than one number a row, stays whole with its layer.
  const perRow =
    bias !== undefined && bias.dims.at(-1) === rows && bias.dims.slice(0, -1).every((dim) => dim === 1);
  if ((node.inputs[2] ?? '') !== '' && !perRow) return;
  const output = node.outputs[0] ?? '';
  const answers: string[] = [];
  const made = Array.from({ length: parts }, (_, part) => {
    const [from, to] = [begin(part), begin(part + 1)];
    const kept = Array.from({ length: to - from }, (__, at) => from + at);
    const name = `${output}/rows${part + 1}`;
    answers.push(name);
    const inputs = [node.inputs[0] ?? '', addPart(graph, `${name}/weight`, sliceAxis(weight, axis, kept))];
    if (bias !== undefined)
      inputs.push(addPart(graph, `${name}/bias`, sliceAxis(bias, bias.dims.length - 1, kept)));
    return { ...makeNode(node.op, { inputs, outputs: [name] }), attributes: new Map(node.attributes) };
  });
  const concat = makeNode('Concat', {
    inputs: answers,
    outputs: [output],
    attributes: { axis: { kind: 'int', value: node.op === 'MatMul' ? -1 : 1 } },
  });
  graph.nodes.splice(graph.nodes.indexOf(node), 1, ...made, concat);
  removeDead(graph);
}

/** True for the parts that {@link cutByRows} makes: a cut may lie after each of them. */
export function isRowPart(node: Node): boolean {
  return /\/rows\d+$/.test(node.outputs[0] ?? '');
}

/** Along which axis of its weight a layer's outputs lie; undefined for a layer that cannot be cut. */
function rowAxis(node: Node, weight: Tensor): number | undefined {
  if (weight.type !== 'float32') return undefined;
  if (node.op === 'Gemm') return intAttribute(node, 'transB', 0) === 1 ? 0 : 1;
  if (node.op === 'MatMul') return weight.dims.length === 2 ? 1 : undefined;
  return node.op === 'Conv' && intAttribute(node, 'group', 1) === 1 ? 0 : undefined;
}

function addPart(graph: Graph, name: string, tensor: Tensor): string {
  graph.initializers.set(name, tensor);
  return name;
}
