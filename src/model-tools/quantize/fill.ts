import {
  addInitializer,
  constantInput,
  floats,
  floatTensor,
  type Graph,
  intAttribute,
  removeDead,
  soleReaders,
} from '../graph/index.js';

/** Output channels that ONNX Runtime's 8-bit convolutions on x64 compute together. */
const TOGETHER = 16;

/**
 * Channels of zeros that fill up the last sixteen, where a convolution with more than eight outputs is read by one other
 * alone: ONNX Runtime's fast 8-bit convolutions take whole sixteens, and copy the picture out for the rest. The same
 * sums; in place.
 */
export function fillChannels(graph: Graph): number {
  const sole = soleReaders(graph);
  let count = 0;
  for (const conv of graph.nodes.filter(
    (node) => node.op === 'Conv' && intAttribute(node, 'group', 1) === 1,
  )) {
    const weight = constantInput(graph, conv, 1);
    const outputs = weight?.dims[0] ?? 0;
    const missing = (TOGETHER - (outputs % TOGETHER)) % TOGETHER;
    if (weight === undefined || missing === 0 || outputs <= TOGETHER / 2) continue;
    const next = sole.get(conv.outputs[0] ?? '');
    const reader = next?.op === 'Relu' ? sole.get(next.outputs[0] ?? '') : next;
    const readers = reader === undefined ? undefined : constantInput(graph, reader, 1);
    if (reader?.op !== 'Conv' || readers === undefined || intAttribute(reader, 'group', 1) !== 1) continue;
    const bias = constantInput(graph, conv, 2);
    const kernels = floats(weight);
    conv.inputs[1] = addInitializer(
      graph,
      `${conv.inputs[1]}/filled`,
      floatTensor(
        [outputs + missing, ...weight.dims.slice(1)],
        filled(kernels, { each: kernels.length, missing: (kernels.length / outputs) * missing }),
      ),
    );
    if (bias !== undefined)
      conv.inputs[2] = addInitializer(
        graph,
        `${conv.inputs[2]}/filled`,
        floatTensor([outputs + missing], filled(floats(bias), { each: outputs, missing })),
      );
    const area = readers.dims.slice(2).reduce((product, side) => product * side, 1);
    reader.inputs[1] = addInitializer(
      graph,
      `${reader.inputs[1]}/filled`,
      floatTensor(
        [readers.dims[0] ?? 0, outputs + missing, ...readers.dims.slice(2)],
        filled(floats(readers), { each: outputs * area, missing: missing * area }),
      ),
    );
    count += 1;
  }
  removeDead(graph);
  return count;
}

/** So many zeros after every so many values. */
function filled(values: Float32Array, { each, missing }: { each: number; missing: number }): Float32Array {
  const parts = values.length / each;
  const result = new Float32Array(values.length + parts * missing);
  for (let part = 0; part < parts; part += 1)
    result.set(values.subarray(part * each, (part + 1) * each), part * (each + missing));
  return result;
}
