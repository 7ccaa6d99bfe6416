import { FacedError } from '../domain/errors.js';
import {
  BYTES_OF,
  cloneModel,
  elementCount,
  encodeModel,
  type Graph,
  type Model,
  type Node,
  removeDead,
  soleReaders,
  type TracedValue,
  traceValues,
} from './graph/index.js';
import { cutByRows, isRowPart } from './row-parts.js';

export interface Shard {
  readonly file: string;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  /** Of constants, which is what a shard needs in memory beside its activations. */
  readonly bytes: number;
  /** Of the values that it takes and gives, for one picture. */
  readonly crossingBytes: number;
}

/** How shards follow each other; `shards.json` beside them. */
export interface ShardPlan {
  readonly input: string;
  /** For one picture. */
  readonly inputShape: readonly number[];
  readonly output: string;
  readonly shards: readonly Shard[];
}

/** How heavy the heaviest shard may be, against the least that is possible, for the sake of narrower cuts. */
const SLACK = 1.1;

/**
 * Cuts a network of one path into files that run one after another. Cuts lie where one float value alone crosses, so
 * that the heaviest shard is light and little crosses; a layer that is heavier than a shard's share is first cut by its
 * output rows, whose parts are joined by the shard after the last of them. Throws `model.unsupported` when the network
 * has no such places. `rows: false` leaves every layer whole.
 */
export async function splitModel(
  original: Model,
  shards: number,
  options: { rows?: boolean } = {},
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
    throw unsupported('only networks with one input and one output can be split', 'name a recogniser');
  const share = totalBytes(model, model.graph.nodes) / shards;
  const joined = fusedLayers(model.graph);
  if (options.rows !== false)
    for (const node of [...model.graph.nodes]) if (!joined.has(node)) cutByRows(model.graph, node, share);
  const values = await traceValues(model);
  const groups = groupNodes(model, shards, values);
  if (groups.length < 2)
    throw unsupported('the network has no place where one value alone crosses', 'keep it whole');
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
    const part = cloneModel({ ...model, graph: { ...model.graph, nodes } });
    const info = (name: string) => ({
      name,
      type: values.get(name)?.type ?? ('float32' as const),
      dims:
        name === input.name
          ? input.dims
          : [input.dims[0] ?? 'batch', ...(values.get(name)?.dims ?? []).slice(1)],
    });
    part.graph.inputs = inputs.map(info);
    part.graph.outputs = outputs.map(info);
    removeDead(part.graph);
    const file = `shard-${String(index + 1).padStart(width, '0')}.onnx`;
    files.set(file, encodeModel(part));
    list.push({
      file,
      inputs,
      outputs,
      bytes: totalBytes(part, part.graph.nodes),
      crossingBytes: [...inputs, ...outputs].reduce((sum, name) => sum + valueBytes(values.get(name)), 0),
    });
  }
  const inputShape = values.get(input.name)?.dims ?? [];
  return { plan: { input: input.name, inputShape, output: output.name, shards: list }, files };
}

function totalBytes(model: Model, nodes: readonly Node[]): number {
  const names = new Set(nodes.flatMap((node) => node.inputs));
  let bytes = 0;
  for (const name of names) bytes += model.graph.initializers.get(name)?.data.byteLength ?? 0;
  return bytes;
}

function valueBytes(value: TracedValue | undefined): number {
  return value === undefined ? 0 : elementCount(value.dims) * BYTES_OF[value.type];
}

/** Consecutive nodes, cut where at most one value crosses (or inside a layer cut by rows). */
function groupNodes(model: Model, shards: number, values: ReadonlyMap<string, TracedValue>): Node[][] {
  const { nodes } = model.graph;
  const places = cutPlaces(model, values);
  const end = { at: nodes.length - 1, weight: totalBytes(model, nodes), crossing: 0 };
  const cuts = chooseCuts([...places, end], Math.min(shards, places.length + 1));
  return [-1, ...cuts].map((cut, index) => nodes.slice(cut + 1, (cuts[index] ?? nodes.length - 1) + 1));
}

/**
 * Of all ways to cut into so many parts (dynamic programming over the places, the last of which is the end) one whose
 * heaviest part is at most a tenth above the least that is possible, and of those the one where least crosses.
 */
function chooseCuts(places: readonly Place[], parts: number): number[] {
  const weightOf = (from: number, to: number): number =>
    (places[to]?.weight ?? 0) - (from < 0 ? 0 : (places[from]?.weight ?? 0));
  const best = (cost: (earlier: number, from: number, to: number) => number) => {
    // costs[to]: of the best way to reach that place with the parts so far; from[part][to]: where its last part begins.
    let costs = places.map((_, to) => cost(0, -1, to));
    const from: number[][] = [places.map(() => -1)];
    for (let part = 1; part < parts; part += 1) {
      const row = places.map(() => -1);
      costs = places.map((_, to) => {
        let least = Number.POSITIVE_INFINITY;
        for (let at = part - 1; at < to; at += 1) {
          const value = cost(costs[at] ?? 0, at, to);
          if (value < least) [least, row[to]] = [value, at];
        }
        return least;
      });
      from.push(row);
    }
    return { cost: costs.at(-1) ?? 0, from };
  };
  const even = best((earlier, from, to) => Math.max(earlier, weightOf(from, to)));
  const limit = even.cost * SLACK;
  const narrow = best((earlier, from, to) =>
    weightOf(from, to) > limit ? Number.POSITIVE_INFINITY : earlier + (places[from]?.crossing ?? 0),
  );
  const cuts: number[] = [];
  let to = places.length - 1;
  for (let part = parts - 1; part > 0; part -= 1) {
    to = narrow.from[part]?.[to] ?? -1;
    cuts.unshift(places[to]?.at ?? -1);
  }
  return cuts;
}

interface Place {
  /** After this node. */
  readonly at: number;
  /** Bytes of constants until there. */
  readonly weight: number;
  /** Bytes that cross. */
  readonly crossing: number;
}

/**
 * Layers into whose weights ONNX Runtime multiplies the batch norm, or the sum or product with a constant, that alone reads
 * them (level basic: ConvBNFusion, ConvAddFusion, ConvMulFusion, MatMulBNFusion): apart both round otherwise.
 */
function fusedLayers(graph: Graph): Set<Node> {
  const sole = soleReaders(graph);
  return new Set(
    graph.nodes.filter((node) => {
      const next = sole.get(node.outputs[0] ?? '');
      if (next === undefined || (node.op !== 'Conv' && node.op !== 'MatMul')) return false;
      const byConstant = next.inputs.some((name) => graph.initializers.has(name));
      const scales = node.op === 'Conv' && (next.op === 'Add' || next.op === 'Mul') && byConstant;
      return next.op === 'BatchNormalization' || scales;
    }),
  );
}

function cutPlaces(model: Model, values: ReadonlyMap<string, TracedValue>): Place[] {
  const { nodes, inputs } = model.graph;
  const fused = fusedLayers(model.graph);
  const last = new Map<string, number>();
  nodes.forEach((node, at) => {
    for (const name of node.inputs) last.set(name, at);
  });
  const places: Place[] = [];
  const open = new Set(inputs.map(({ name }) => name));
  let weight = 0;
  nodes.forEach((node, at) => {
    weight += totalBytes(model, [node]);
    for (const name of node.outputs) if ((last.get(name) ?? -1) > at) open.add(name);
    for (const name of open) if ((last.get(name) ?? -1) <= at) open.delete(name);
    const crosses = [...open];
    const alone = crosses.length <= 1 && crosses.every((name) => values.get(name)?.type === 'float32');
    if (at === nodes.length - 1 || fused.has(node) || !(alone || isRowPart(node))) return;
    places.push({
      at,
      weight,
      crossing: crosses.reduce((sum, name) => sum + valueBytes(values.get(name)), 0),
    });
  });
  return places;
}

function unsupported(message: string, fix: string): FacedError {
  return new FacedError('model.unsupported', message, { fix });
}
