import { FacedError } from '../domain/errors.js';
import { sliceAxis } from './channels.js';
import {
  cloneModel,
  constantInput,
  encodeModel,
  floats,
  floatTensor,
  intAttribute,
  type Model,
  makeNode,
  type Node,
  removeDead,
  traceShapes,
} from './graph/index.js';

export interface Shard {
  readonly file: string;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  /** Bytes of constants, which is what a shard needs in memory beside its activations. */
  readonly bytes: number;
}

/** How shards follow each other; `shards.json` beside them. */
export interface ShardPlan {
  readonly input: string;
  readonly output: string;
  readonly shards: readonly Shard[];
}

/**
 * Cuts a network of one path into files that run one after another. Cuts lie where one value alone crosses, so that
 * each shard carries about the same weight; a matrix product that is heavier than a shard's share is first cut by its
 * output rows (the parts are joined by the shard after the last of them). Throws `model.unsupported` when it has no such places.
 */
export async function splitModel(
  original: Model,
  shards: number,
): Promise<{ plan: ShardPlan; files: Map<string, Uint8Array> }> {
  const model = cloneModel(original);
  const [input] = model.graph.inputs;
  const [output] = model.graph.outputs;
  if (
    input === undefined ||
    output === undefined ||
    model.graph.inputs.length > 1 ||
    model.graph.outputs.length > 1
  )
    throw new FacedError('model.unsupported', 'only networks with one input and one output can be split', {
      fix: 'name a recogniser',
    });
  const share = totalBytes(model, model.graph.nodes) / shards;
  for (const node of [...model.graph.nodes]) cutByRows(model, node, share);
  const groups = groupNodes(model, shards);
  if (groups.length < 2)
    throw new FacedError('model.unsupported', 'the network has no place where one value alone crosses', {
      fix: 'use fewer shards, or keep it whole',
    });
  const shapes = await traceShapes(model);
  const files = new Map<string, Uint8Array>();
  const list: Shard[] = [];
  const width = String(groups.length).length;
  for (const [index, nodes] of groups.entries()) {
    const own = new Set(nodes.flatMap((node) => node.outputs));
    const later = new Set([
      ...groups
        .slice(index + 1)
        .flat()
        .flatMap((node) => node.inputs),
      output.name,
    ]);
    const inputs = [...new Set(nodes.flatMap((node) => node.inputs))].filter(
      (name) => name !== '' && !own.has(name) && !model.graph.initializers.has(name),
    );
    const outputs = [...own].filter((name) => later.has(name));
    const part = cloneModel(model);
    const info = (name: string) => ({
      name,
      type: 'float32' as const,
      dims:
        name === input.name ? input.dims : [input.dims[0] ?? 'batch', ...(shapes.get(name) ?? []).slice(1)],
    });
    part.graph.nodes = cloneModel({ ...model, graph: { ...model.graph, nodes } }).graph.nodes;
    part.graph.inputs = inputs.map(info);
    part.graph.outputs = outputs.map(info);
    removeDead(part.graph);
    const file = `shard-${String(index + 1).padStart(width, '0')}.onnx`;
    files.set(file, encodeModel(part));
    list.push({ file, inputs, outputs, bytes: totalBytes(part, part.graph.nodes) });
  }
  return { plan: { input: input.name, output: output.name, shards: list }, files };
}

function totalBytes(model: Model, nodes: readonly Node[]): number {
  const names = new Set(nodes.flatMap((node) => node.inputs));
  let bytes = 0;
  for (const name of names) bytes += model.graph.initializers.get(name)?.data.byteLength ?? 0;
  return bytes;
}

/** A Gemm (transB) heavier than a shard becomes several over parts of its rows, and a Concat of their answers. */
function cutByRows(model: Model, node: Node, share: number): void {
  const { graph } = model;
  const weight = constantInput(graph, node, 1);
  if (node.op !== 'Gemm' || weight === undefined || intAttribute(node, 'transB', 0) !== 1) return;
  const parts = Math.ceil(weight.data.byteLength / share);
  const rows = weight.dims[0] ?? 0;
  if (parts < 2 || rows < parts) return;
  const bias = constantInput(graph, node, 2);
  const output = node.outputs[0] ?? '';
  const answers: string[] = [];
  const made = Array.from({ length: parts }, (_, part) => {
    const [from, to] = [Math.floor((part * rows) / parts), Math.floor(((part + 1) * rows) / parts)];
    const kept = Array.from({ length: to - from }, (__, at) => from + at);
    const name = `${output}/rows${part + 1}`;
    answers.push(name);
    graph.initializers.set(`${name}/weight`, sliceAxis(weight, 0, kept));
    const inputs = [node.inputs[0] ?? '', `${name}/weight`];
    if (bias !== undefined) {
      graph.initializers.set(`${name}/bias`, floatTensor([kept.length], floats(bias).subarray(from, to)));
      inputs.push(`${name}/bias`);
    }
    return { ...makeNode('Gemm', { inputs, outputs: [name] }), attributes: new Map(node.attributes) };
  });
  const concat = makeNode('Concat', {
    inputs: answers,
    outputs: [output],
    attributes: { axis: { kind: 'int', value: 1 } },
  });
  graph.nodes.splice(graph.nodes.indexOf(node), 1, ...made, concat);
  removeDead(graph);
}

/** Consecutive nodes, cut where at most one value crosses (or inside a product cut by rows), at about even weights. */
function groupNodes(model: Model, shards: number): Node[][] {
  const { nodes } = model.graph;
  const last = new Map<string, number>();
  nodes.forEach((node, at) => {
    for (const name of node.inputs) last.set(name, at);
  });
  const places: { at: number; weight: number }[] = [];
  const open = new Set<string>();
  let weight = 0;
  nodes.forEach((node, at) => {
    weight += totalBytes(model, [node]);
    for (const name of node.outputs) if ((last.get(name) ?? -1) > at) open.add(name);
    for (const name of open) if ((last.get(name) ?? -1) <= at) open.delete(name);
    const betweenRows = nodes[at]?.outputs[0]?.includes('/rows') === true;
    if (at < nodes.length - 1 && (open.size <= 1 || betweenRows)) places.push({ at, weight });
  });
  const cuts: number[] = [];
  for (let shard = 1; shard < shards; shard += 1) {
    const wanted = (shard * weight) / shards;
    const free = places.filter(({ at }) => at > (cuts.at(-1) ?? -1));
    const best = free.sort((a, b) => Math.abs(a.weight - wanted) - Math.abs(b.weight - wanted))[0];
    if (best !== undefined) cuts.push(best.at);
  }
  return [-1, ...cuts]
    .map((cut, index) => nodes.slice(cut + 1, (cuts[index] ?? nodes.length - 1) + 1))
    .filter((group) => group.length > 0);
}
