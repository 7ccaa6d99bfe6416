import { closeSync, constants, fstatSync, openSync, readSync, realpathSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { dirname, isAbsolute, join, sep } from 'node:path';
import { FacedError } from '../../domain/errors.js';
import {
  ModelProto,
  type RawAttribute,
  type RawModel,
  type RawNode,
  type RawTensor,
  type RawValueInfo,
  toNumber,
} from './proto.js';
import { BYTES_OF, bytesOf, elementCount } from './tensor.js';
import type { Attribute, DataType, Dimension, Graph, Model, Node, Tensor, ValueInfo } from './types.js';
import { sortTopologically } from './walk.js';

/** TensorProto.DataType by number; what is missing (strings, complex numbers, 4 and 8 bit floats) is refused. */
export const DATA_TYPES: readonly (DataType | undefined)[] = [
  undefined,
  'float32',
  'uint8',
  'int8',
  'uint16',
  'int16',
  'int32',
  'int64',
  undefined,
  'bool',
  'float16',
  'float64',
  'uint32',
  'uint64',
];

/** Tensors of more than this are taken for a lie (2 GiB is what one protobuf message can hold). */
const MAX_TENSOR_BYTES = 2 ** 31;

/** Reads an ONNX file with its external data. Throws `usage.not-found`, `model.unreadable` or `model.unsupported`. */
export async function loadModel(path: string): Promise<Model> {
  return (await loadWithBytes(path)).model;
}

/** The same, and the bytes of the file itself. */
export async function loadWithBytes(path: string): Promise<{ model: Model; bytes: Uint8Array }> {
  let bytes: Uint8Array;
  try {
    bytes = await readFile(path);
  } catch (cause) {
    throw new FacedError('usage.not-found', `${path} cannot be read: ${messageOf(cause)}`, { cause });
  }
  return { model: decodeModel(bytes, { folder: dirname(path), label: path }), bytes };
}

/**
 * Reads an ONNX model from memory. Tensors stay views of `bytes`. External data is read from `folder` alone and
 * refused where no folder is given.
 */
export function decodeModel(bytes: Uint8Array, options: { folder?: string; label?: string } = {}): Model {
  const label = options.label ?? 'the model';
  let raw: RawModel;
  try {
    raw = ModelProto.decode(bytes) as unknown as RawModel;
  } catch (cause) {
    throw unreadable(`${label} is not an ONNX file, or it is cut off: ${messageOf(cause)}`, cause);
  }
  if (raw.graph === null || raw.graph === undefined || raw.graph.node.length === 0)
    throw unreadable(`${label} holds no graph; is it an ONNX file?`);
  if (raw.functions.length > 0) throw unsupported(`${label} defines functions of its own`);
  if (raw.graph.sparseInitializer.length > 0) throw unsupported(`${label} holds sparse tensors`);

  const read = (tensor: RawTensor): Tensor => readTensor(tensor, options.folder);
  const initializers = new Map(raw.graph.initializer.map((tensor) => [tensor.name, read(tensor)]));
  const graph: Graph = {
    name: raw.graph.name,
    nodes: raw.graph.node.map((node) => readNode(node, read)),
    initializers,
    inputs: raw.graph.input.filter((input) => !initializers.has(input.name)).map(readValueInfo),
    outputs: raw.graph.output.map(readValueInfo),
  };
  if (graph.outputs.length === 0) throw unreadable(`${label} has no outputs`);
  checkNames(graph, label);
  graph.nodes = sortTopologically(graph, label);
  return {
    irVersion: toNumber(raw.irVersion),
    opsets: new Map(raw.opsetImport.map(({ domain, version }) => [plainDomain(domain), toNumber(version)])),
    graph,
    metadata: new Map(raw.metadataProps.map(({ key, value }) => [key, value])),
  };
}

function readNode(raw: RawNode, read: (tensor: RawTensor) => Tensor): Node {
  return {
    name: raw.name,
    op: raw.opType,
    domain: plainDomain(raw.domain),
    inputs: [...raw.input],
    outputs: [...raw.output],
    attributes: new Map(
      raw.attribute.map((attribute) => [attribute.name, readAttribute(raw, attribute, read)]),
    ),
  };
}

/** AttributeProto.AttributeType. */
function readAttribute(node: RawNode, raw: RawAttribute, read: (tensor: RawTensor) => Tensor): Attribute {
  const text = new TextDecoder();
  switch (raw.type) {
    case 1:
      return { kind: 'float', value: raw.f };
    case 2:
      return { kind: 'int', value: toNumber(raw.i) };
    case 3:
      return { kind: 'string', value: text.decode(raw.s) };
    case 4:
      if (raw.t !== null) return { kind: 'tensor', value: read(raw.t) };
      break;
    case 6:
      return { kind: 'floats', value: [...raw.floats] };
    case 7:
      return { kind: 'ints', value: raw.ints.map(toNumber) };
    case 8:
      return { kind: 'strings', value: raw.strings.map((bytes) => text.decode(bytes)) };
  }
  throw unsupported(
    `node ${node.name} (${node.opType}) has the attribute ${raw.name} of a type that is not handled`,
  );
}

function readTensor(raw: RawTensor, folder: string | undefined): Tensor {
  const type = DATA_TYPES[raw.dataType];
  const name = raw.name || 'a constant';
  if (type === undefined) throw unsupported(`tensor ${name} has element type ${raw.dataType}`);
  const dims = raw.dims.map(toNumber);
  if (dims.some((dim) => !Number.isSafeInteger(dim) || dim < 0))
    throw unreadable(`tensor ${name} claims the shape [${dims}]`);
  const bytes = elementCount(dims) * BYTES_OF[type];
  if (bytes > MAX_TENSOR_BYTES) throw unreadable(`tensor ${name} claims the shape [${dims}]: ${bytes} bytes`);
  const data = raw.dataLocation === 1 ? readExternal(raw, folder, bytes) : readInline(raw, type);
  if (data.byteLength !== bytes)
    throw unreadable(`tensor ${name} of shape [${dims}] needs ${bytes} bytes and holds ${data.byteLength}`);
  return { type, dims, data };
}

function readInline(raw: RawTensor, type: DataType): Uint8Array {
  if (raw.rawData !== undefined && raw.rawData.byteLength > 0) return bytesOf(raw.rawData);
  switch (type) {
    case 'float32':
      return bytesOf(Float32Array.from(raw.floatData));
    case 'float64':
      return bytesOf(Float64Array.from(raw.doubleData));
    case 'int64':
      return bytesOf(BigInt64Array.from(raw.int64Data, (value) => BigInt(value.toString())));
    case 'uint64':
      return bytesOf(BigUint64Array.from(raw.uint64Data, (value) => BigInt(value.toString())));
    case 'uint32':
      return bytesOf(Uint32Array.from(raw.uint64Data, toNumber));
    case 'int32':
      return bytesOf(Int32Array.from(raw.int32Data));
    case 'int16':
    case 'uint16':
    case 'float16':
      return bytesOf(Uint16Array.from(raw.int32Data));
    default:
      return bytesOf(Uint8Array.from(raw.int32Data));
  }
}

/** ONNX, "External Data": keys location, offset, length. The location must stay in the model's own folder. */
function readExternal(raw: RawTensor, folder: string | undefined, expected: number): Uint8Array {
  const entries = new Map(raw.externalData.map(({ key, value }) => [key, value]));
  const location = entries.get('location') ?? '';
  if (folder === undefined) throw unsupported(`tensor ${raw.name} lies in another file (${location})`);
  if (location === '' || isAbsolute(location) || location.split(/[\\/]/).includes('..'))
    throw unreadable(`tensor ${raw.name} points out of the model's folder: ${location}`);
  const offset = Number(entries.get('offset') ?? 0);
  const length = Number(entries.get('length') ?? expected);
  if (!Number.isSafeInteger(offset) || offset < 0 || length !== expected)
    throw unreadable(
      `tensor ${raw.name} needs ${expected} bytes and ${location} is to give ${length} at ${offset}`,
    );
  const path = join(folder, location);
  let file: number;
  try {
    if (!realpathSync(path).startsWith(`${realpathSync(folder)}${sep}`))
      throw unreadable(`tensor ${raw.name} points out of the model's folder: ${location}`);
    file = openSync(path, constants.O_RDONLY);
  } catch (cause) {
    if (cause instanceof FacedError) throw cause;
    throw unreadable(
      `tensor ${raw.name} lies in ${location}, which cannot be read: ${messageOf(cause)}`,
      cause,
    );
  }
  try {
    const { size } = fstatSync(file);
    if (offset + length > size)
      throw unreadable(`tensor ${raw.name} lies behind the end of ${location} (${size} bytes)`);
    const data = new Uint8Array(length);
    readSync(file, data, 0, length, offset);
    return data;
  } finally {
    closeSync(file);
  }
}

function readValueInfo(raw: RawValueInfo): ValueInfo {
  const tensor = raw.type?.tensorType;
  if (tensor === null || tensor === undefined) throw unsupported(`${raw.name} is no tensor`);
  const type = DATA_TYPES[tensor.elemType];
  if (type === undefined) throw unsupported(`${raw.name} has element type ${tensor.elemType}`);
  const dims = (tensor.shape?.dim ?? []).map((dim): Dimension => {
    if (dim.value === 'dimParam') return dim.dimParam;
    return dim.value === 'dimValue' ? toNumber(dim.dimValue) : null;
  });
  return { name: raw.name, type, dims };
}

/** Single static assignment: every name is given once, and what is read is given somewhere. */
function checkNames(graph: Graph, label: string): void {
  const given = new Set([...graph.initializers.keys(), ...graph.inputs.map((input) => input.name)]);
  for (const output of graph.nodes.flatMap((node) => node.outputs)) {
    if (output === '') continue;
    if (given.has(output)) throw unreadable(`${label} computes ${output} twice`);
    given.add(output);
  }
  const read = [...graph.nodes.flatMap((node) => node.inputs), ...graph.outputs.map((output) => output.name)];
  const missing = read.find((name) => name !== '' && !given.has(name));
  if (missing !== undefined) throw unreadable(`${label} reads ${missing}, which nothing computes`);
}

function plainDomain(domain: string): string {
  return domain === 'ai.onnx' ? '' : domain;
}

function unreadable(message: string, cause?: unknown): FacedError {
  return new FacedError('model.unreadable', message, {
    fix: 'export or download the file again, and keep it in one folder with its data files',
    cause,
  });
}

function unsupported(message: string): FacedError {
  return new FacedError('model.unsupported', message, {
    fix: 'export the network as plain ONNX, opset 13, without control flow or custom operators',
  });
}

function messageOf(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause);
}
