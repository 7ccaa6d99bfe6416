import {
  consumers,
  type Graph,
  intAttribute,
  intsAttribute,
  type Node,
  soleReaders,
} from '../graph/index.js';

/**
 * Convolutions stay in float until the map is this many times narrower than the picture, but for the pointwise one before
 * the step to it. With so few channels, on so many places, depthwise 8-bit kernels lose on x64 (they pay for each place)
 * what pointwise ones win, and what is rounded here goes through all that follows.
 */
const FLOAT_UNTIL = 8;

/**
 * The names of a detector's convolutions that stay in float: those near the picture, and those with a kernel that give
 * scores or boxes themselves (a 1x1 one becomes a matrix product, which gives float from 8 bits).
 */
export function detectorFloat(graph: Graph): Set<string> {
  const read = consumers(graph);
  const sole = soleReaders(graph);
  const kept = new Set<string>();
  /** The convolution that alone reads a pointwise one. */
  const afterPointwise = (node: Node): Node | undefined => {
    if (node.op !== 'Conv' || intAttribute(node, 'group', 1) !== 1 || hasKernel(node)) return undefined;
    const next = sole.get(node.outputs[0] ?? '');
    const reader = next?.op === 'Relu' ? sole.get(next.outputs[0] ?? '') : next;
    return reader?.op === 'Conv' ? reader : undefined;
  };
  const follow = (value: string, narrower: number): void => {
    if (narrower >= FLOAT_UNTIL) return;
    for (const node of read.get(value) ?? []) {
      if (narrower * acrossOf(afterPointwise(node)) >= FLOAT_UNTIL) continue;
      if (node.op === 'Conv') kept.add(node.name);
      if (node.op === 'Conv' || node.op === 'Relu') follow(node.outputs[0] ?? '', narrower * acrossOf(node));
    }
  };
  for (const input of graph.inputs) follow(input.name, 1);
  for (const conv of graph.nodes.filter((node) => node.op === 'Conv')) {
    const next = sole.get(conv.outputs[0] ?? '');
    const gives = next?.op === 'Transpose' && intAttribute(conv, 'group', 1) === 1;
    if (gives && hasKernel(conv)) kept.add(conv.name);
  }
  kept.delete('');
  return kept;
}

function hasKernel(conv: Node): boolean {
  return intsAttribute(conv, 'kernel_shape', [1, 1]).some((side) => side > 1);
}

/** How many columns a step of a convolution is wide. */
function acrossOf(node: Node | undefined): number {
  const [, across = 1] = node === undefined ? [] : intsAttribute(node, 'strides', [1, 1]);
  return across;
}
