import { FacedError } from '../../domain/errors.js';
import { elementCount } from '../graph/tensor.js';

/** A tensor of a checkpoint as float32, contiguous, row-major. Integer counters come along as floats. */
export interface CheckpointTensor {
  readonly dims: readonly number[];
  readonly values: Float32Array;
}

/** Names and tensors in the order of the file, which is the order in which the network was declared. */
export type StateDict = ReadonlyMap<string, CheckpointTensor>;

/** The elements behind one or more tensors. */
export interface Storage {
  readonly type: string;
  readonly count: number;
  /** Filled before use: the stream form has the data behind the pickle. */
  data: Uint8Array | null;
  /** Decoded on first use, since many tensors may be views of one storage. */
  elements?: ArrayLike<number>;
}

/** A tensor before its data is read. */
export class LazyTensor {
  readonly storage: Storage;
  readonly offset: number;
  readonly dims: readonly number[];
  readonly strides: readonly number[];

  constructor(parts: { storage: Storage; offset: number; dims: number[]; strides: number[] }) {
    this.storage = parts.storage;
    this.offset = parts.offset;
    this.dims = parts.dims;
    this.strides = parts.strides;
  }
}

/** Bytes of an element, by the name of the storage class. */
export const ELEMENT_BYTES: Readonly<Record<string, number>> = {
  FloatStorage: 4,
  HalfStorage: 2,
  BFloat16Storage: 2,
  DoubleStorage: 8,
  LongStorage: 8,
  IntStorage: 4,
  ShortStorage: 2,
  CharStorage: 1,
  ByteStorage: 1,
  BoolStorage: 1,
};

/** A tensor's elements in row-major order, as float32. Throws `model.unreadable` when its storage is too short. */
export function contiguous(name: string, tensor: LazyTensor): CheckpointTensor {
  const { storage, dims, strides, offset } = tensor;
  const count = elementCount(dims);
  storage.elements ??= decode(storage, name);
  const { elements } = storage;
  const last = offset + dims.reduce((sum, dim, axis) => sum + Math.max(dim - 1, 0) * (strides[axis] ?? 0), 0);
  if (count > 0 && last >= elements.length) throw notPyTorch(`${name} reaches beyond its storage`);
  const values = new Float32Array(count);
  const index = dims.map(() => 0);
  for (let at = 0; at < count; at += 1) {
    let from = offset;
    for (let axis = 0; axis < dims.length; axis += 1) from += (index[axis] ?? 0) * (strides[axis] ?? 0);
    values[at] = elements[from] ?? 0;
    for (let axis = dims.length - 1; axis >= 0; axis -= 1) {
      index[axis] = (index[axis] ?? 0) + 1;
      if ((index[axis] ?? 0) < (dims[axis] ?? 0)) break;
      index[axis] = 0;
    }
  }
  return { dims, values };
}

function decode(storage: Storage, name: string): ArrayLike<number> {
  if (storage.data === null) throw notPyTorch(`the data of ${name} is missing`);
  const size = ELEMENT_BYTES[storage.type] ?? 1;
  if (storage.data.byteLength < storage.count * size) throw notPyTorch(`the data of ${name} is cut off`);
  const copy = new Uint8Array(storage.data.subarray(0, storage.count * size)).buffer;
  switch (storage.type) {
    case 'FloatStorage':
      return new Float32Array(copy);
    case 'DoubleStorage':
      return new Float64Array(copy);
    case 'LongStorage':
      return Array.from(new BigInt64Array(copy), Number);
    case 'IntStorage':
      return new Int32Array(copy);
    case 'ShortStorage':
      return new Int16Array(copy);
    case 'CharStorage':
      return new Int8Array(copy);
    case 'HalfStorage':
      return Float32Array.from(new Uint16Array(copy), halfToFloat);
    case 'BFloat16Storage':
      return new Float32Array(Uint32Array.from(new Uint16Array(copy), (bits) => bits << 16).buffer);
    default:
      return new Uint8Array(copy);
  }
}

/** IEEE 754 binary16. */
export function halfToFloat(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 0x1f;
  const fraction = bits & 0x3ff;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 31) return fraction === 0 ? sign * Number.POSITIVE_INFINITY : Number.NaN;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

export function notPyTorch(what: string): FacedError {
  return new FacedError('model.unreadable', `the checkpoint cannot be read: ${what}`, {
    fix: 'save it again with torch.save(model.state_dict(), …), or copy the file again',
  });
}
