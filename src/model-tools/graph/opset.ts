import { FacedError } from '../../domain/errors.js';
import { floatTensor, int64Tensor } from './tensor.js';
import type { Model, Node } from './types.js';
import {
  addInitializer,
  floatAttribute,
  freshName,
  intAttribute,
  makeNode,
  producers,
  replaceNode,
} from './walk.js';

/** What every file that faced writes is in: the first opset with quantisation per channel. */
export const TARGET_OPSET = 13;

/** Newer files are left in their own opset, up to this one. */
export const NEWEST_OPSET = 21;

type Upgrade = (model: Model, node: Node, from: number) => void;

/** Operators whose attributes became inputs before opset 13 (ONNX Changelog); others keep their form or are refused. */
const UPGRADES: Readonly<Record<string, Upgrade>> = {
  Unsqueeze: (model, node, from) => {
    if (from < 13) attributeToInput(model, node, 'axes', 1);
  },
  Squeeze: (model, node, from) => {
    if (from < 13) attributeToInput(model, node, 'axes', 1);
  },
  ReduceSum: (model, node, from) => {
    if (from < 13) attributeToInput(model, node, 'axes', 1);
  },
  Split: (model, node, from) => {
    if (from < 13) attributeToInput(model, node, 'split', 1);
  },
  Slice: (model, node, from) => {
    if (from >= 10) return;
    const starts = node.attributes.get('starts');
    const axes = node.attributes.get('axes');
    if (axes === undefined && starts?.kind === 'ints')
      node.attributes.set('axes', { kind: 'ints', value: starts.value.map((_, index) => index) });
    attributeToInput(model, node, 'starts', 1);
    attributeToInput(model, node, 'ends', 2);
    attributeToInput(model, node, 'axes', 3);
  },
  Pad: (model, node, from) => {
    if (from >= 11) return;
    attributeToInput(model, node, 'pads', 1);
    const value = floatAttribute(node, 'value', 0);
    node.attributes.delete('value');
    node.inputs[2] = addInitializer(model.graph, `${node.outputs[0]}/value`, floatTensor([], [value]));
  },
  Clip: (model, node, from) => {
    if (from >= 11) return;
    for (const [name, index] of [
      ['min', 1],
      ['max', 2],
    ] as const) {
      const value = node.attributes.get(name);
      node.attributes.delete(name);
      node.inputs[index] =
        value?.kind === 'float'
          ? addInitializer(model.graph, `${node.outputs[0]}/${name}`, floatTensor([], [value.value]))
          : '';
    }
  },
  Softmax: softmaxOverOne,
  LogSoftmax: softmaxOverOne,
  Hardmax: softmaxOverOne,
  Dropout: (_model, node) => {
    node.op = 'Identity';
    node.inputs.length = 1;
    node.outputs.length = 1;
    node.attributes.clear();
  },
  Upsample: (_model, node) => refuse(node),
  Resize: (_model, node, from) => {
    if (from < 11) refuse(node);
  },
  TopK: (_model, node, from) => {
    if (from < 11) refuse(node);
  },
};

/** Brings a model of opset 9 to 12 to 13, in place; newer ones up to 21 stay as they are. */
export function upgradeOpset(model: Model): void {
  const from = model.opsets.get('') ?? 1;
  if (from < 9 || from > NEWEST_OPSET) {
    throw new FacedError(
      'model.unsupported',
      `the model is of opset ${from}; 9 to ${NEWEST_OPSET} can be read`,
      {
        fix: `export it again with opset ${TARGET_OPSET}`,
      },
    );
  }
  refuseForeignDomains(model);
  if (from >= TARGET_OPSET) return;
  for (const node of [...model.graph.nodes]) if (node.domain === '') UPGRADES[node.op]?.(model, node, from);
  model.opsets.set('', TARGET_OPSET);
  model.irVersion = Math.max(model.irVersion, 7);
}

function refuseForeignDomains(model: Model): void {
  const foreign = model.graph.nodes.find((node) => node.domain !== '');
  if (foreign === undefined) return;
  throw new FacedError(
    'model.unsupported',
    `node ${foreign.name} is ${foreign.domain}.${foreign.op}: only operators of the standard domain are handled`,
    { fix: 'export the network without vendor operators' },
  );
}

/**
 * Until opset 12 all dimensions from `axis` (1 unless told) on are one: Flatten, the operation over the last dimension,
 * and the shape as it was. What a Gemm or Flatten gives has two dimensions anyway.
 */
function softmaxOverOne({ graph }: Model, node: Node): void {
  const axis = intAttribute(node, 'axis', 1);
  const [input = '', output = ''] = [node.inputs[0], node.outputs[0]];
  node.attributes.set('axis', { kind: 'int', value: axis });
  const before = producers(graph).get(input)?.op;
  if (axis === -1 || (axis === 1 && (before === 'Gemm' || before === 'Flatten'))) return;
  const name = (part: string): string => freshName(graph, `${output}/${part}`);
  const [shape, flat, answer] = [name('shape'), name('flat'), name('flat-answer')];
  const inner = makeNode(node.op, {
    inputs: [flat],
    outputs: [answer],
    attributes: { axis: { kind: 'int', value: 1 } },
  });
  replaceNode(graph, node, [
    makeNode('Shape', { inputs: [input], outputs: [shape] }),
    makeNode('Flatten', {
      inputs: [input],
      outputs: [flat],
      attributes: { axis: { kind: 'int', value: axis } },
    }),
    inner,
    makeNode('Reshape', { inputs: [answer, shape], outputs: [output] }),
  ]);
}

function attributeToInput(model: Model, node: Node, name: string, index: number): void {
  const attribute = node.attributes.get(name);
  if (attribute?.kind !== 'ints') return;
  node.attributes.delete(name);
  while (node.inputs.length < index) node.inputs.push('');
  node.inputs[index] = addInitializer(
    model.graph,
    `${node.outputs[0]}/${name}`,
    int64Tensor([attribute.value.length], attribute.value),
  );
}

function refuse(node: Node): never {
  throw new FacedError('model.unsupported', `node ${node.name} is ${node.op} in its old form`, {
    fix: `export the model again with opset ${TARGET_OPSET}`,
  });
}
