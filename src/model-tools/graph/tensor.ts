import { endianness } from 'node:os';
import type { DataType, Tensor } from './types.js';

// Tensors are little-endian by specification and are viewed, not converted: every board that faced runs on is.
if (endianness() !== 'LE') throw new Error('the model tools need a little-endian processor');

export const BYTES_OF: Readonly<Record<DataType, number>> = {
  float32: 4,
  uint8: 1,
  int8: 1,
  uint16: 2,
  int16: 2,
  int32: 4,
  int64: 8,
  bool: 1,
  float16: 2,
  float64: 8,
  uint32: 4,
  uint64: 8,
};

export function elementCount(dims: readonly number[]): number {
  return dims.reduce((product, dim) => product * dim, 1);
}

/** A float32 tensor; `values` is copied. */
export function floatTensor(dims: readonly number[], values: ArrayLike<number>): Tensor {
  return { type: 'float32', dims: [...dims], data: bytesOf(Float32Array.from(values)) };
}

export function int64Tensor(dims: readonly number[], values: readonly number[]): Tensor {
  return { type: 'int64', dims: [...dims], data: bytesOf(BigInt64Array.from(values, toInt64)) };
}

/** ONNX writes "to the end" as the greatest int64, which as a number is rounded up beyond it. */
function toInt64(value: number): bigint {
  return value >= 2 ** 63 ? 2n ** 63n - 1n : BigInt(value);
}

export function int32Tensor(dims: readonly number[], values: ArrayLike<number>): Tensor {
  return { type: 'int32', dims: [...dims], data: bytesOf(Int32Array.from(values)) };
}

export function int8Tensor(dims: readonly number[], values: ArrayLike<number>): Tensor {
  return { type: 'int8', dims: [...dims], data: bytesOf(Int8Array.from(values)) };
}

export function uint8Tensor(dims: readonly number[], values: ArrayLike<number>): Tensor {
  return { type: 'uint8', dims: [...dims], data: Uint8Array.from(values) };
}

/** The elements of a float32 tensor; throws for another type. Not to be written to. */
export function floats(tensor: Tensor): Float32Array {
  if (tensor.type !== 'float32') throw new TypeError(`float32 expected, not ${tensor.type}`);
  const data = aligned(tensor.data, 4);
  return new Float32Array(data.buffer, data.byteOffset, data.byteLength / 4);
}

/** The elements of any tensor as numbers; 64-bit integers beyond 2^53 are clamped to it by rounding. */
export function numbers(tensor: Tensor): number[] {
  const { type } = tensor;
  const data = aligned(tensor.data, BYTES_OF[type]);
  const count = data.byteLength / BYTES_OF[type];
  switch (type) {
    case 'float32':
      return [...new Float32Array(data.buffer, data.byteOffset, count)];
    case 'float64':
      return [...new Float64Array(data.buffer, data.byteOffset, count)];
    case 'int64':
      return Array.from(new BigInt64Array(data.buffer, data.byteOffset, count), Number);
    case 'uint64':
      return Array.from(new BigUint64Array(data.buffer, data.byteOffset, count), Number);
    case 'int32':
      return [...new Int32Array(data.buffer, data.byteOffset, count)];
    case 'uint32':
      return [...new Uint32Array(data.buffer, data.byteOffset, count)];
    case 'int16':
      return [...new Int16Array(data.buffer, data.byteOffset, count)];
    case 'uint16':
    case 'float16':
      return [...new Uint16Array(data.buffer, data.byteOffset, count)];
    case 'int8':
      return [...new Int8Array(data.buffer, data.byteOffset, count)];
    case 'uint8':
    case 'bool':
      return [...data];
  }
}

export function bytesOf(view: ArrayBufferView): Uint8Array {
  return new Uint8Array(view.buffer, view.byteOffset, view.byteLength);
}

function aligned(data: Uint8Array, size: number): Uint8Array {
  return data.byteOffset % size === 0 ? data : new Uint8Array(data);
}
