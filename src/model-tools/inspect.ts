import {
  consumers,
  elementCount,
  intAttribute,
  type Model,
  type Node,
  numbers,
  type Tensor,
  traceShapes,
} from './graph/index.js';
import { type Bar, barChart } from './svg.js';

/** One operation with what it costs for one picture. */
export interface LayerCost {
  readonly name: string;
  readonly op: string;
  /** Kernel, stride and groups of a convolution, for people: `3x3/2 dw`. */
  readonly kind: string;
  readonly output: readonly number[];
  readonly parameters: number;
  readonly bytes: number;
  /** Multiply-accumulate operations. */
  readonly macs: number;
  /**
   * What a standard convolution would cost in this one's place: for a depthwise convolution and the 1x1 that follows
   * it, one convolution of the same kernel over all channels (Howard et al. 2017, section 3.1), told at the depthwise
   * one; for everything else the same as `macs`, and 0 for the 1x1 that the pair's other half stands for.
   */
  readonly standardMacs: number;
}

export interface Inspection {
  readonly opset: number;
  readonly inputs: readonly { name: string; type: string | null; dims: readonly unknown[] }[];
  readonly outputs: readonly { name: string; type: string | null; dims: readonly unknown[] }[];
  readonly layers: readonly LayerCost[];
  readonly parameters: number;
  readonly bytes: number;
  readonly macs: number;
  readonly standardMacs: number;
}

/** Counts parameters, bytes and multiply-accumulates, layer by layer, for one picture. */
export async function inspectModel(model: Model): Promise<Inspection> {
  const { graph } = model;
  const shapes = await traceShapes(model);
  const readers = consumers(graph);
  const counted = new Set<string>();
  const absorbed = new Set<Node>();
  const layers = graph.nodes.map((node): LayerCost => {
    // A constant that several nodes share is counted once.
    const constants = node.inputs.flatMap((name) => {
      const tensor = graph.initializers.get(name);
      if (tensor === undefined || counted.has(name)) return [];
      counted.add(name);
      return [tensor];
    });
    const output = shapes.get(node.outputs[0] ?? '') ?? [];
    const macs = macsOf(node, shapes);
    const pair = pointwiseAfter(node, readers, shapes);
    if (pair !== undefined) absorbed.add(pair.node);
    const standardMacs = pair?.standardMacs ?? (absorbed.has(node) ? 0 : macs);
    return {
      name: node.name,
      op: node.op,
      kind: kindOf(node, shapes),
      output,
      parameters: sum(constants.map((tensor) => elementCount(tensor.dims))),
      bytes: sum(constants.map((tensor) => tensor.data.byteLength)),
      macs,
      standardMacs,
    };
  });
  return {
    opset: model.opsets.get('') ?? 0,
    inputs: graph.inputs,
    outputs: graph.outputs,
    layers,
    parameters: sum([...graph.initializers.values()].filter(isWeight).map((t) => elementCount(t.dims))),
    bytes: sum([...graph.initializers.values()].map((tensor) => tensor.data.byteLength)),
    macs: sum(layers.map((layer) => layer.macs)),
    standardMacs: sum(layers.map((layer) => layer.standardMacs)),
  };
}

/** Multiply-accumulates of convolutions and matrix products, in float or quantised form; other operations have none. */
export function macsOf(node: Node, shapes: ReadonlyMap<string, readonly number[]>): number {
  const output = shapes.get(node.outputs[0] ?? '') ?? [];
  const weight = weightDims(node, shapes);
  if (weight === undefined) return 0;
  if (isConv(node)) return elementCount(output) * elementCount(weight.slice(1));
  if (node.op === 'Gemm') {
    const inner = intAttribute(node, 'transB', 0) === 1 ? weight[1] : weight[0];
    return elementCount(output) * (inner ?? 0);
  }
  return elementCount(output) * (weight.at(-2) ?? 0);
}

function weightDims(
  node: Node,
  shapes: ReadonlyMap<string, readonly number[]>,
): readonly number[] | undefined {
  switch (node.op) {
    case 'Conv':
    case 'Gemm':
    case 'MatMul':
    case 'ConvInteger':
    case 'MatMulInteger':
      return shapes.get(node.inputs[1] ?? '');
    case 'QLinearConv':
    case 'QLinearMatMul':
      return shapes.get(node.inputs[3] ?? '');
    default:
      return undefined;
  }
}

const isConv = (node: Node): boolean => ['Conv', 'ConvInteger', 'QLinearConv'].includes(node.op);

/** Depthwise: one group for each channel, and a kernel that looks at neighbours (1x1 only scales). */
function isDepthwise(node: Node, shapes: ReadonlyMap<string, readonly number[]>): boolean {
  const weight = weightDims(node, shapes);
  if (!isConv(node) || weight === undefined) return false;
  const group = intAttribute(node, 'group', 1);
  return group > 1 && group === weight[0] && weight[1] === 1 && elementCount(weight.slice(2)) > 1;
}

/** The 1x1 convolution that a depthwise one feeds, through activations and quantisation alone. */
function pointwiseAfter(
  node: Node,
  readers: ReadonlyMap<string, Node[]>,
  shapes: ReadonlyMap<string, readonly number[]>,
): { node: Node; standardMacs: number } | undefined {
  if (!isDepthwise(node, shapes)) return undefined;
  const seen = new Set<string>();
  let waiting = [node.outputs[0] ?? ''];
  while (waiting.length > 0) {
    const name = waiting.shift() ?? '';
    if (seen.has(name)) continue;
    seen.add(name);
    for (const next of readers.get(name) ?? []) {
      const weight = weightDims(next, shapes);
      if (isConv(next) && weight !== undefined && intAttribute(next, 'group', 1) === 1) {
        const kernel = elementCount((weightDims(node, shapes) ?? []).slice(2));
        const out = shapes.get(node.outputs[0] ?? '') ?? [];
        const area = elementCount(out.slice(2));
        return { node: next, standardMacs: area * kernel * (weight[1] ?? 0) * (weight[0] ?? 0) };
      }
      if (!isConv(next) || elementCount((weight ?? []).slice(1)) === 1)
        waiting = [...waiting, ...next.outputs];
    }
    if (seen.size > 12) return undefined;
  }
  return undefined;
}

function kindOf(node: Node, shapes: ReadonlyMap<string, readonly number[]>): string {
  const weight = weightDims(node, shapes);
  if (!isConv(node) || weight === undefined) return '';
  const strides = node.attributes.get('strides');
  const stride = strides?.kind === 'ints' ? (strides.value[0] ?? 1) : 1;
  const depthwise = intAttribute(node, 'group', 1) > 1 ? ' dw' : '';
  return `${weight.slice(2).join('x')}${stride > 1 ? `/${stride}` : ''}${depthwise}`;
}

function isWeight(tensor: Tensor): boolean {
  return tensor.type !== 'int64' || numbers(tensor).length > 16;
}

/** The inspection as text: a line for each layer that computes, and the totals. */
export function inspectionTable(inspection: Inspection): string {
  const rows = inspection.layers
    .filter((layer) => layer.macs > 0 || layer.parameters > 0)
    .map((layer) => [
      layer.name,
      `${layer.op} ${layer.kind}`.trim(),
      layer.output.join('x'),
      String(layer.parameters),
      String(layer.bytes),
      millions(layer.macs),
      layer.standardMacs === layer.macs ? '' : millions(layer.standardMacs),
    ]);
  const head = ['layer', 'operation', 'output', 'parameters', 'bytes', 'MACs (M)', 'standard (M)'];
  const gain = inspection.standardMacs / Math.max(inspection.macs, 1);
  return [
    alignColumns([head, ...rows]),
    '',
    `opset ${inspection.opset}; ${inspection.parameters} parameters, ${inspection.bytes} bytes of constants`,
    `${millions(inspection.macs)} M multiply-accumulates; with standard convolutions ${millions(inspection.standardMacs)} M (${gain.toFixed(2)} times as many)`,
  ].join('\n');
}

/** MACs of each convolution as bars, the standard convolution in its place behind them. */
export function inspectionChart(inspection: Inspection, title: string): string {
  const bars = inspection.layers
    .filter((layer) => layer.macs > 0 || layer.standardMacs > 0)
    .map(
      (layer): Bar => ({
        label: `${layer.name} ${layer.kind}`.trim(),
        value: layer.macs / 1e6,
        behind: layer.standardMacs / 1e6,
      }),
    );
  return barChart({ title, unit: 'million multiply-accumulates', behind: 'as standard convolution', bars });
}

/** Rows of cells as lines of even columns. */
export function alignColumns(rows: readonly (readonly string[])[]): string {
  const widths = (rows[0] ?? []).map((_, column) =>
    Math.max(...rows.map((row) => (row[column] ?? '').length)),
  );
  return rows
    .map((row) =>
      row
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}

function millions(value: number): string {
  return (value / 1e6).toFixed(2);
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
