import { DATA_TYPES } from './load.js';
import { ModelProto } from './proto.js';
import type { Attribute, Model, Tensor, ValueInfo } from './types.js';

/** AttributeProto.AttributeType by our kind. */
const ATTRIBUTE_TYPES = { float: 1, int: 2, string: 3, tensor: 4, floats: 6, ints: 7, strings: 8 } as const;

/** Beyond the last integer that a double holds, ONNX models mean "to the end": the greatest int64. */
const INT64_MAX = { low: -1, high: 0x7fffffff, unsigned: false };

/** The model as an ONNX file. The same model gives the same bytes: no dates, no names of machines. */
export function encodeModel(model: Model): Uint8Array {
  const { graph } = model;
  const encode = (value: string): Uint8Array => Buffer.from(value, 'utf8');
  const message = {
    irVersion: model.irVersion,
    producerName: 'faced',
    opsetImport: [...model.opsets].map(([domain, version]) => ({ domain, version })),
    metadataProps: [...model.metadata].map(([key, value]) => ({ key, value })),
    graph: {
      name: graph.name || 'graph',
      node: graph.nodes.map((node) => ({
        name: node.name,
        opType: node.op,
        ...(node.domain === '' ? {} : { domain: node.domain }),
        input: node.inputs,
        output: node.outputs,
        attribute: [...node.attributes].map(([name, attribute]) => ({
          name,
          type: ATTRIBUTE_TYPES[attribute.kind],
          ...attributeFields(attribute, encode),
        })),
      })),
      initializer: [...graph.initializers].map(([name, tensor]) => ({ name, ...tensorFields(tensor) })),
      input: graph.inputs.map(valueInfoFields),
      output: graph.outputs.map(valueInfoFields),
    },
  };
  return ModelProto.encode(message).finish();
}

function attributeFields(attribute: Attribute, encode: (value: string) => Uint8Array): object {
  switch (attribute.kind) {
    case 'float':
      return { f: attribute.value };
    case 'int':
      return { i: int64(attribute.value) };
    case 'string':
      return { s: encode(attribute.value) };
    case 'tensor':
      return { t: tensorFields(attribute.value) };
    case 'floats':
      return { floats: attribute.value };
    case 'ints':
      return { ints: attribute.value.map(int64) };
    case 'strings':
      return { strings: attribute.value.map(encode) };
  }
}

function int64(value: number): number | typeof INT64_MAX {
  return value >= 2 ** 63 ? INT64_MAX : value;
}

function tensorFields(tensor: Tensor): object {
  return { dims: tensor.dims, dataType: DATA_TYPES.indexOf(tensor.type), rawData: tensor.data };
}

function valueInfoFields(info: ValueInfo): object {
  if (info.type === null) return { name: info.name };
  const dim = info.dims.map((size) => {
    if (size === null) return {};
    return typeof size === 'number' ? { dimValue: size } : { dimParam: size };
  });
  return {
    name: info.name,
    type: { tensorType: { elemType: DATA_TYPES.indexOf(info.type), shape: { dim } } },
  };
}
