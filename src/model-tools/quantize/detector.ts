import { consumers, type Graph, intAttribute, intsAttribute, soleReaders } from '../graph/index.js';

/**
 * Convolutions stay in float until the map is this many times narrower than the picture. With so few channels, on so many
 * places, 8-bit kernels win nothing on x64 (depthwise ones pay for each place), and what is rounded here goes through
 * all that follows.
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
  const follow = (value: string, narrower: number): void => {
    if (narrower >= FLOAT_UNTIL) return;
    for (const node of read.get(value) ?? []) {
      const [, across = 1] = intsAttribute(node, 'strides', [1, 1]);
      if (node.op === 'Conv') kept.add(node.name);
      if (node.op === 'Conv' || node.op === 'Relu')
        follow(node.outputs[0] ?? '', node.op === 'Conv' ? narrower * across : narrower);
    }
  };
  for (const input of graph.inputs) follow(input.name, 1);
  for (const conv of graph.nodes.filter((node) => node.op === 'Conv')) {
    const next = sole.get(conv.outputs[0] ?? '');
    const kernel = intsAttribute(conv, 'kernel_shape', [1, 1]);
    const gives = next?.op === 'Transpose' && intAttribute(conv, 'group', 1) === 1;
    if (gives && kernel.some((side) => side > 1)) kept.add(conv.name);
  }
  kept.delete('');
  return kept;
}
