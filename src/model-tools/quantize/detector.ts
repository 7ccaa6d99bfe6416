import { consumers, type Graph, intAttribute, type Node } from '../graph/index.js';

/**
 * The names of a detector's convolutions that stay in float: the one that reads the picture, and a depthwise one behind
 * it. With so few channels ONNX Runtime's 8-bit kernels on x64 take longer than its float ones, which work in blocks of
 * channels, and float is the nearer answer.
 */
export function detectorFloat(graph: Graph): Set<string> {
  const read = consumers(graph);
  const readers = (name: string | undefined): Node[] => read.get(name ?? '') ?? [];
  const first = graph.inputs.flatMap((input) => readers(input.name)).filter((node) => node.op === 'Conv');
  const behind = first
    .flatMap((node) => readers(node.outputs[0]))
    .flatMap((node) => (node.op === 'Relu' ? readers(node.outputs[0]) : [node]))
    .filter((node) => node.op === 'Conv' && intAttribute(node, 'group', 1) > 1);
  return new Set([...first, ...behind].map((node) => node.name).filter((name) => name !== ''));
}
