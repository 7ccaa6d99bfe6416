import { FacedError } from '../../domain/errors.js';
import type { Attribute, Graph, Model, Node, Tensor } from './types.js';

/** Which node gives a value; graph inputs and initializers have none. */
export function producers(graph: Graph): Map<string, Node> {
  return new Map(graph.nodes.flatMap((node) => node.outputs.map((output) => [output, node] as const)));
}

/** Which nodes read a value, in order; a node that reads it twice stands there once. */
export function consumers(graph: Graph): Map<string, Node[]> {
  const found = new Map<string, Node[]>();
  for (const node of graph.nodes) {
    for (const input of new Set(node.inputs)) {
      const list = found.get(input);
      if (list === undefined) found.set(input, [node]);
      else list.push(node);
    }
  }
  return found;
}

/** By value that one node alone reads, that node. What leaves the graph is read by whoever runs it, and is not there. */
export function soleReaders(graph: Graph): Map<string, Node> {
  const outputs = new Set(graph.outputs.map((output) => output.name));
  const found = new Map<string, Node>();
  for (const [name, [one, ...others]] of consumers(graph))
    if (one !== undefined && others.length === 0 && !outputs.has(name)) found.set(name, one);
  return found;
}

/** The nodes so that each stands after those it reads from (Kahn 1962); order is kept where it can be. */
export function sortTopologically(graph: Graph, label = 'the graph'): Node[] {
  const given = new Set(['', ...graph.initializers.keys(), ...graph.inputs.map((input) => input.name)]);
  const sorted: Node[] = [];
  let waiting = graph.nodes;
  while (waiting.length > 0) {
    const later: Node[] = [];
    for (const node of waiting) {
      if (!node.inputs.every((input) => given.has(input))) {
        later.push(node);
        continue;
      }
      sorted.push(node);
      for (const output of node.outputs) given.add(output);
    }
    if (later.length === waiting.length) {
      throw new FacedError(
        'model.unreadable',
        `${label} runs in a circle at ${later[0]?.outputs[0] ?? '?'}`,
        {
          fix: 'export the network again; an ONNX graph has no cycles',
        },
      );
    }
    waiting = later;
  }
  return sorted;
}

/** Everywhere `from` is read (graph outputs keep their names), read `to` instead. */
export function redirect(graph: Graph, from: string, to: string): void {
  for (const node of graph.nodes) node.inputs = node.inputs.map((input) => (input === from ? to : input));
}

/** Puts `replacement` where `node` stands. */
export function replaceNode(graph: Graph, node: Node, replacement: readonly Node[]): void {
  const at = graph.nodes.indexOf(node);
  if (at === -1) throw new RangeError(`${node.name} is not in the graph`);
  graph.nodes.splice(at, 1, ...replacement);
}

/** Gives a value another name, everywhere. */
export function renameValue(graph: Graph, from: string, to: string): void {
  if (from === to) return;
  const swap = (name: string): string => (name === from ? to : name);
  for (const node of graph.nodes) {
    node.inputs = node.inputs.map(swap);
    node.outputs = node.outputs.map(swap);
  }
  for (const info of [...graph.inputs, ...graph.outputs]) info.name = swap(info.name);
  const tensor = graph.initializers.get(from);
  if (tensor === undefined) return;
  graph.initializers.delete(from);
  graph.initializers.set(to, tensor);
}

/** Takes out the nodes and initializers that no output depends on. */
export function removeDead(graph: Graph): void {
  const needed = new Set(graph.outputs.map((output) => output.name));
  for (const node of [...graph.nodes].reverse()) {
    if (!node.outputs.some((output) => needed.has(output))) continue;
    for (const input of node.inputs) needed.add(input);
  }
  graph.nodes = graph.nodes.filter((node) => node.outputs.some((output) => needed.has(output)));
  for (const name of [...graph.initializers.keys()]) if (!needed.has(name)) graph.initializers.delete(name);
}

/** A name of this beginning that the graph does not use yet. */
export function freshName(graph: Graph, stem: string): string {
  const used = new Set([
    ...graph.initializers.keys(),
    ...graph.inputs.map((input) => input.name),
    ...graph.nodes.flatMap((node) => [node.name, ...node.outputs]),
  ]);
  if (!used.has(stem)) return stem;
  let count = 2;
  while (used.has(`${stem}_${count}`)) count += 1;
  return `${stem}_${count}`;
}

/** Adds a constant under a fresh name and answers that name. */
export function addInitializer(graph: Graph, stem: string, tensor: Tensor): string {
  const name = freshName(graph, stem);
  graph.initializers.set(name, tensor);
  return name;
}

export function makeNode(
  op: string,
  parts: { name?: string; inputs: string[]; outputs: string[]; attributes?: Record<string, Attribute> },
): Node {
  return {
    name: parts.name ?? `${parts.outputs[0] ?? ''}/${op}`,
    op,
    domain: '',
    inputs: parts.inputs,
    outputs: parts.outputs,
    attributes: new Map(Object.entries(parts.attributes ?? {})),
  };
}

export function intAttribute(node: Node, name: string, otherwise: number): number {
  const attribute = node.attributes.get(name);
  return attribute?.kind === 'int' ? attribute.value : otherwise;
}

export function floatAttribute(node: Node, name: string, otherwise: number): number {
  const attribute = node.attributes.get(name);
  return attribute?.kind === 'float' ? attribute.value : otherwise;
}

export function intsAttribute(node: Node, name: string, otherwise: readonly number[]): readonly number[] {
  const attribute = node.attributes.get(name);
  return attribute?.kind === 'ints' ? attribute.value : otherwise;
}

/** The constant behind an input; undefined when it is computed or left out. */
export function constantInput(graph: Graph, node: Node, index: number): Tensor | undefined {
  const name = node.inputs[index];
  return name === undefined ? undefined : graph.initializers.get(name);
}

/** A model that can be changed without changing the first one; tensors are shared, since they are never written to. */
export function cloneModel(model: Model): Model {
  const { graph } = model;
  return {
    irVersion: model.irVersion,
    opsets: new Map(model.opsets),
    metadata: new Map(model.metadata),
    graph: {
      name: graph.name,
      nodes: graph.nodes.map((node) => ({
        ...node,
        inputs: [...node.inputs],
        outputs: [...node.outputs],
        attributes: new Map(node.attributes),
      })),
      initializers: new Map(graph.initializers),
      inputs: graph.inputs.map((info) => ({ ...info, dims: [...info.dims] })),
      outputs: graph.outputs.map((info) => ({ ...info, dims: [...info.dims] })),
    },
  };
}
