import { activations, noiseFeeds, toTensor } from './run.js';
import { int64Tensor, numbers } from './tensor.js';
import type { Graph, Model, Node, Tensor } from './types.js';
import { addInitializer, intAttribute, redirect, removeDead } from './walk.js';

/**
 * Computes once what does not depend on the input's elements: `Constant` nodes, operations on constants, and shapes
 * of values (whose free batch dimension is found by running with two batch sizes). In place.
 */
export async function foldConstants(model: Model): Promise<void> {
  const { graph } = model;
  inlineConstants(graph);
  removeIdentities(graph);
  const foldable = valuesWithoutInput(graph);
  if (foldable.size > 0) await replaceByValues(model, foldable);
  removeDead(graph);
}

function inlineConstants(graph: Graph): void {
  for (const node of graph.nodes) {
    if (node.op !== 'Constant') continue;
    const value = node.attributes.get('value');
    const output = node.outputs[0];
    if (value?.kind === 'tensor' && output !== undefined) graph.initializers.set(output, value.value);
  }
  graph.nodes = graph.nodes.filter(
    (node) => node.op !== 'Constant' || !graph.initializers.has(node.outputs[0] ?? ''),
  );
}

function removeIdentities(graph: Graph): void {
  const outputs = new Set(graph.outputs.map((output) => output.name));
  for (const node of [...graph.nodes]) {
    const [input] = node.inputs;
    const [output] = node.outputs;
    if (node.op !== 'Identity' || input === undefined || output === undefined || outputs.has(output))
      continue;
    redirect(graph, output, input);
    graph.nodes.splice(graph.nodes.indexOf(node), 1);
  }
}

/** Values that depend on constants and shapes alone. */
function valuesWithoutInput(graph: Graph): Set<string> {
  const constant = new Set(graph.initializers.keys());
  const found = new Set<string>();
  for (const node of graph.nodes) {
    const free = node.op === 'Shape' || node.inputs.every((input) => input === '' || constant.has(input));
    if (!free || node.op === 'DequantizeLinear' || node.op.startsWith('Random')) continue;
    for (const output of node.outputs) {
      constant.add(output);
      found.add(output);
    }
  }
  return found;
}

async function replaceByValues(model: Model, names: ReadonlySet<string>): Promise<void> {
  const { graph } = model;
  const read = new Set(
    graph.nodes
      .filter((node) => !node.outputs.some((output) => names.has(output)))
      .flatMap((node) => node.inputs)
      .filter((name) => names.has(name)),
  );
  const list = [...read];
  if (list.length === 0) return;
  const one = await activations(model, list, noiseFeeds(graph.inputs, { batch: 1, scale: 1 }));
  const freeBatch = graph.inputs.every((input) => typeof input.dims[0] !== 'number');
  const two = freeBatch
    ? await activations(model, list, noiseFeeds(graph.inputs, { batch: 2, scale: 1 }))
    : one;
  for (const name of list) {
    const [first, second] = [one[name], two[name]];
    if (first === undefined || second === undefined) continue;
    const [a, b] = [toTensor(first), toTensor(second)];
    if (a.data.length === b.data.length && a.data.every((byte, index) => byte === b.data[index]))
      graph.initializers.set(name, a);
    else copyBatchInReshapes(graph, name, a, b);
  }
  for (const node of graph.nodes) {
    if (node.outputs.every((output) => graph.initializers.has(output))) node.outputs = [];
  }
  graph.nodes = graph.nodes.filter((node) => node.outputs.length > 0);
}

/** A Reshape to [batch, …] keeps its first dimension, which ONNX writes as 0 ("copy"). */
function copyBatchInReshapes(graph: Graph, name: string, one: Tensor, two: Tensor): void {
  const [first, second] = [numbers(one), numbers(two)];
  const batchOnly =
    first[0] === 1 && second[0] === 2 && first.slice(1).every((value, index) => value === second[index + 1]);
  if (!batchOnly) return;
  const shape = int64Tensor(one.dims, [0, ...first.slice(1)]);
  for (const node of readersAsShape(graph, name))
    node.inputs[1] = addInitializer(graph, `${name}/copy`, shape);
}

function readersAsShape(graph: Graph, name: string): Node[] {
  return graph.nodes.filter(
    (node) => node.op === 'Reshape' && node.inputs[1] === name && intAttribute(node, 'allowzero', 0) === 0,
  );
}
