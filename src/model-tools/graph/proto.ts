import protobuf from 'protobufjs';

/**
 * The part of onnx.proto3 (ONNX IR version 3 to 10) that faced reads and writes. Field numbers are those of
 * the public specification, https://onnx.ai/onnx/repo-docs/IR.html; what a float or quantised network has no
 * need of (training information, sparse tensors, functions, sub-graphs) is declared so that it can be refused.
 */
const f = (type: string, id: number) => ({ type, id });
const many = (type: string, id: number) => ({ rule: 'repeated', type, id });
const packed = (type: string, id: number) => ({ rule: 'repeated', type, id, options: { packed: true } });

const root = protobuf.Root.fromJSON({
  nested: {
    ModelProto: {
      fields: {
        irVersion: f('int64', 1),
        producerName: f('string', 2),
        producerVersion: f('string', 3),
        domain: f('string', 4),
        modelVersion: f('int64', 5),
        docString: f('string', 6),
        graph: f('GraphProto', 7),
        opsetImport: many('OperatorSetIdProto', 8),
        metadataProps: many('StringStringEntryProto', 14),
        functions: many('bytes', 25),
      },
    },
    OperatorSetIdProto: { fields: { domain: f('string', 1), version: f('int64', 2) } },
    StringStringEntryProto: { fields: { key: f('string', 1), value: f('string', 2) } },
    GraphProto: {
      fields: {
        node: many('NodeProto', 1),
        name: f('string', 2),
        initializer: many('TensorProto', 5),
        docString: f('string', 10),
        input: many('ValueInfoProto', 11),
        output: many('ValueInfoProto', 12),
        sparseInitializer: many('bytes', 15),
      },
    },
    NodeProto: {
      fields: {
        input: many('string', 1),
        output: many('string', 2),
        name: f('string', 3),
        opType: f('string', 4),
        attribute: many('AttributeProto', 5),
        domain: f('string', 7),
      },
    },
    AttributeProto: {
      fields: {
        name: f('string', 1),
        f: f('float', 2),
        i: f('int64', 3),
        s: f('bytes', 4),
        t: f('TensorProto', 5),
        floats: packed('float', 7),
        ints: packed('int64', 8),
        strings: many('bytes', 9),
        type: f('int32', 20),
        refAttrName: f('string', 21),
      },
    },
    TensorProto: {
      fields: {
        dims: packed('int64', 1),
        dataType: f('int32', 2),
        floatData: packed('float', 4),
        int32Data: packed('int32', 5),
        stringData: many('bytes', 6),
        int64Data: packed('int64', 7),
        name: f('string', 8),
        rawData: f('bytes', 9),
        doubleData: packed('double', 10),
        uint64Data: packed('uint64', 11),
        externalData: many('StringStringEntryProto', 13),
        dataLocation: f('int32', 14),
      },
    },
    ValueInfoProto: { fields: { name: f('string', 1), type: f('TypeProto', 2) } },
    TypeProto: { fields: { tensorType: f('TensorTypeProto', 1) } },
    TensorTypeProto: { fields: { elemType: f('int32', 1), shape: f('TensorShapeProto', 2) } },
    TensorShapeProto: { fields: { dim: many('DimensionProto', 1) } },
    DimensionProto: {
      oneofs: { value: { oneof: ['dimValue', 'dimParam'] } },
      fields: { dimValue: f('int64', 1), dimParam: f('string', 2) },
    },
  },
});

export const ModelProto = root.lookupType('ModelProto');

/** What protobufjs gives for an int64: a number, or a Long where the `long` package is installed. */
export type Int64 = number | { toNumber(): number; low: number; high: number };

export interface StringEntry {
  key: string;
  value: string;
}

export interface RawTensor {
  dims: Int64[];
  dataType: number;
  floatData: number[];
  int32Data: number[];
  stringData: Uint8Array[];
  int64Data: Int64[];
  name: string;
  rawData?: Uint8Array;
  doubleData: number[];
  uint64Data: Int64[];
  externalData: StringEntry[];
  dataLocation: number;
}

export interface RawAttribute {
  name: string;
  f: number;
  i: Int64;
  s: Uint8Array;
  t: RawTensor | null;
  floats: number[];
  ints: Int64[];
  strings: Uint8Array[];
  type: number;
  refAttrName: string;
}

export interface RawNode {
  input: string[];
  output: string[];
  name: string;
  opType: string;
  attribute: RawAttribute[];
  domain: string;
}

export interface RawValueInfo {
  name: string;
  type: {
    tensorType: {
      elemType: number;
      shape: { dim: { dimValue: Int64; dimParam: string; value?: string }[] } | null;
    } | null;
  } | null;
}

export interface RawModel {
  irVersion: Int64;
  producerName: string;
  producerVersion: string;
  graph: {
    node: RawNode[];
    name: string;
    initializer: RawTensor[];
    input: RawValueInfo[];
    output: RawValueInfo[];
    sparseInitializer: Uint8Array[];
  } | null;
  opsetImport: { domain: string; version: Int64 }[];
  metadataProps: StringEntry[];
  functions: Uint8Array[];
}

export function toNumber(value: Int64): number {
  return typeof value === 'number' ? value : value.toNumber();
}
