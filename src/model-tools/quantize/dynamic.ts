import {
  addInitializer,
  cloneModel,
  constantInput,
  floats,
  floatTensor,
  type Graph,
  int8Tensor,
  type Model,
  makeNode,
  type Node,
  removeDead,
  replaceNode,
} from '../graph/index.js';
import { quantisePerChannel } from './qdq.js';

/**
 * Dynamic quantisation: the steps of each convolution's input are found anew for every picture (DynamicQuantizeLinear
 * and ConvInteger, ONNX opset 11). Needs no calibration, and is slower than float for networks of convolutions.
 */
export function quantizeDynamic(original: Model): Model {
  const model = cloneModel(original);
  for (const conv of model.graph.nodes.filter((node) => node.op === 'Conv')) {
    const weight = constantInput(model.graph, conv, 1);
    if (weight?.type === 'float32') replaceNode(model.graph, conv, dynamicForm(model.graph, conv));
  }
  removeDead(model.graph);
  return model;
}

function dynamicForm(graph: Graph, conv: Node): Node[] {
  const weight = constantInput(graph, conv, 1);
  const output = conv.outputs[0] ?? '';
  if (weight === undefined) return [conv];
  const channels = weight.dims[0] ?? 1;
  const { values, scales } = quantisePerChannel(floats(weight), weight.dims, { axis: 0, weightMax: 127 });
  const stored = addInitializer(graph, `${output}/weight8`, int8Tensor(weight.dims, values));
  const steps = addInitializer(graph, `${output}/steps`, floatTensor([1, channels, 1, 1], scales));
  const value = (kind: string): string => `${output}/${kind}`;
  const bias = constantInput(graph, conv, 2);
  const nodes = [
    makeNode('DynamicQuantizeLinear', {
      inputs: [conv.inputs[0] ?? ''],
      outputs: [value('q'), value('scale'), value('zero')],
    }),
    {
      ...makeNode('ConvInteger', { inputs: [value('q'), stored, value('zero')], outputs: [value('sum')] }),
      attributes: new Map(conv.attributes),
    },
    makeNode('Cast', {
      inputs: [value('sum')],
      outputs: [value('float')],
      attributes: { to: { kind: 'int', value: 1 } },
    }),
    makeNode('Mul', { inputs: [value('scale'), steps], outputs: [value('both')] }),
    makeNode('Mul', {
      inputs: [value('float'), value('both')],
      outputs: [bias === undefined ? output : value('scaled')],
    }),
  ];
  if (bias === undefined) return nodes;
  const offset = addInitializer(graph, `${output}/offset`, floatTensor([1, channels, 1, 1], floats(bias)));
  return [...nodes, makeNode('Add', { inputs: [value('scaled'), offset], outputs: [output] })];
}
