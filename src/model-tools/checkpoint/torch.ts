import { FacedError } from '../../domain/errors.js';
import { type PickleGlobal, PickleObject, type PickleRules, readPickle } from './pickle.js';
import { ZipArchive } from './zip.js';

/** A tensor of a checkpoint as float32, contiguous, row-major. Integer counters come along as floats. */
export interface CheckpointTensor {
  readonly dims: readonly number[];
  readonly values: Float32Array;
}

/** Names and tensors in the order of the file, which is the order in which the network was declared. */
export type StateDict = ReadonlyMap<string, CheckpointTensor>;

interface Storage {
  readonly type: string;
  readonly count: number;
  /** Filled before use: the stream form has the data behind the pickle. */
  data: Uint8Array | null;
}

/** A tensor before its data is read. */
class LazyTensor {
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

/** PyTorch's serialization.py: the number that the stream form begins with. */
const STREAM_MAGIC = Number(0x1950a86a20f9469cfc6cn);
const STREAM_PROTOCOL = 1001;
const MAX_ELEMENTS = 2 ** 28;

const ELEMENT_BYTES: Readonly<Record<string, number>> = {
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

/** True for the beginnings of both PyTorch forms. */
export function isCheckpoint(bytes: Uint8Array): boolean {
  return (bytes[0] === 0x50 && bytes[1] === 0x4b) || (bytes[0] === 0x80 && (bytes[1] ?? 9) <= 5);
}

/**
 * The tensors of a PyTorch checkpoint: the zip form (also TorchScript archives) or the older stream form; bare or
 * inside containers and modules. Executes nothing. Throws `model.unreadable` or `checkpoint.refused`.
 */
export function readCheckpoint(bytes: Uint8Array): StateDict {
  const root = bytes[0] === 0x50 ? readZip(bytes) : readStream(bytes);
  const found = tensorsOf(root);
  if (found.size === 0)
    throw new FacedError('checkpoint.mismatch', 'the checkpoint holds no tensors', {
      fix: 'save the state_dict of the network',
    });
  return withoutPrefixes(new Map([...found].map(([name, tensor]) => [name, contiguous(name, tensor)])));
}

/** What wrappers put before the names of a network's own tensors: DataParallel, compiled modules, training classes. */
const WRAPPERS = new Set([
  'module',
  'backbone',
  'model',
  'net',
  'network',
  'encoder',
  '_orig_mod',
  'embedder',
  'student',
  'recogniser',
]);

/** Takes wrappers' prefixes off, together with what lies outside of the wrapped network (a margin head, say). */
export function withoutPrefixes(state: StateDict): StateDict {
  const groups = new Map<string, number>();
  for (const name of state.keys()) {
    const first = name.split('.')[0] ?? '';
    groups.set(first, (groups.get(first) ?? 0) + 1);
  }
  const wrapper = [...groups].find(([name, count]) => WRAPPERS.has(name) && count > state.size / 2)?.[0];
  if (wrapper === undefined) return state;
  const inner = [...state].filter(([name]) => name.startsWith(`${wrapper}.`));
  return withoutPrefixes(new Map(inner.map(([name, tensor]) => [name.slice(wrapper.length + 1), tensor])));
}

function readZip(bytes: Uint8Array): unknown {
  const archive = new ZipArchive(bytes);
  const pickle = archive.names.find((name) => /(^|\/)data\.pkl$/.test(name));
  if (pickle === undefined) throw notPyTorch('the archive has no data.pkl');
  const folder = pickle.slice(0, -'data.pkl'.length);
  const order = archive.read(`${folder}byteorder`);
  if (order !== undefined && Buffer.from(order).toString('latin1').trim() !== 'little')
    throw notPyTorch('it was saved on a big-endian machine');
  const storages = new Map<string, Storage>();
  const rules = rulesFor((type, key, count) => {
    const known = storages.get(key);
    if (known !== undefined) return known;
    const data = archive.read(`${folder}data/${key}`);
    if (data === undefined) throw notPyTorch(`storage ${key} is missing`);
    const storage = { type, count, data };
    storages.set(key, storage);
    return storage;
  });
  const content = archive.read(pickle);
  if (content === undefined) throw notPyTorch('data.pkl is missing');
  return readPickle(content, 0, rules).value;
}

/** Four pickles (magic number, protocol, machine, object), a list of storage keys, then each storage: count and data. */
function readStream(bytes: Uint8Array): unknown {
  const storages = new Map<string, Storage>();
  const rules = rulesFor((type, key, count) => {
    const storage = storages.get(key) ?? { type, count, data: null };
    storages.set(key, storage);
    return storage;
  });
  let at = 0;
  const next = (): unknown => {
    const { value, end } = readPickle(bytes, at, rules);
    at = end;
    return value;
  };
  const first = next();
  // A bare pickle (pickle.dump of a state_dict of plain lists) has no magic number and no storages.
  if (first !== STREAM_MAGIC) throw notPyTorch('it is a pickle, but not one that torch.save wrote');
  if (next() !== STREAM_PROTOCOL) throw notPyTorch('its stream protocol is unknown');
  const machine = next();
  if (machine instanceof Map && machine.get('little_endian') === false)
    throw notPyTorch('it was saved on a big-endian machine');
  const root = next();
  const keys = next();
  if (!Array.isArray(keys)) throw notPyTorch('its list of storages is missing');
  const view = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (const key of keys) {
    const storage = storages.get(String(key));
    if (storage === undefined) throw notPyTorch(`storage ${String(key)} belongs to no tensor`);
    const size = storage.count * (ELEMENT_BYTES[storage.type] ?? 0);
    if (at + 8 + size > view.length) throw notPyTorch('it is cut off in the middle of its tensors');
    if (Number(view.readBigInt64LE(at)) !== storage.count)
      throw notPyTorch(`storage ${String(key)} has another size`);
    storage.data = view.subarray(at + 8, at + 8 + size);
    at += 8 + size;
  }
  return root;
}

function rulesFor(open: (type: string, key: string, count: number) => Storage): PickleRules {
  return {
    persistent(id) {
      if (!Array.isArray(id)) throw notPyTorch('a persistent id is no tuple');
      // The stream form of whole modules names class and source text: the class is all that is kept.
      if (id[0] === 'module') return id[1];
      const [kind, type, key, , count] = id as [unknown, PickleGlobal, unknown, unknown, unknown];
      const name = type?.name?.replace(/^torch\.(cuda\.)?/, '') ?? '';
      if (kind !== 'storage' || !(name in ELEMENT_BYTES))
        throw notPyTorch(`storage of type ${name || 'unknown'}`);
      if (typeof count !== 'number' || count < 0 || count > MAX_ELEMENTS)
        throw notPyTorch(`a storage claims ${String(count)} elements`);
      return open(name, String(key), count);
    },
    reduce(name, args) {
      const call = CALLS[name];
      return call === undefined ? undefined : { value: call(args) };
    },
  };
}

/** Every function that a checkpoint may name, and what it means here. */
const CALLS: Readonly<Record<string, (args: readonly unknown[]) => unknown>> = {
  'collections.OrderedDict': (args) =>
    new Map(Array.isArray(args[0]) ? (args[0] as [unknown, unknown][]) : []),
  'collections.defaultdict': () => new Map(),
  'collections.Counter': () => new Map(),
  'torch.Size': (args) => args[0] ?? [],
  'torch._utils._rebuild_tensor': rebuildTensor,
  'torch._utils._rebuild_tensor_v2': rebuildTensor,
  'torch._utils._rebuild_parameter': (args) => args[0],
  'torch._utils._rebuild_parameter_with_state': (args) => args[0],
  'torch.jit._pickle.build_intlist': (args) => args[0],
  'torch.jit._pickle.build_doublelist': (args) => args[0],
  'torch.jit._pickle.build_boollist': (args) => args[0],
  'torch.jit._pickle.build_tensorlist': (args) => args[0],
  'torch.jit._pickle.restore_type_tag': (args) => args[0],
  'torch.device': (args) => String(args[0]),
  'builtins.set': (args) => args[0] ?? [],
  '__builtin__.set': (args) => args[0] ?? [],
  'builtins.list': (args) => args[0] ?? [],
};

function rebuildTensor(args: readonly unknown[]): LazyTensor {
  const [storage, offset, dims, strides] = args as [Storage, number, number[], number[]];
  const numbersOnly = (list: unknown): boolean =>
    Array.isArray(list) && list.every((value) => Number.isSafeInteger(value) && value >= 0);
  if (!numbersOnly(dims) || !numbersOnly(strides) || dims.length !== strides.length || !numbersOnly([offset]))
    throw notPyTorch('a tensor has no proper shape');
  return new LazyTensor({ storage, offset, dims, strides });
}

/** The group of tensors that makes the network: the largest one among containers and modules, names joined by dots. */
function tensorsOf(root: unknown): Map<string, LazyTensor> {
  let best = new Map<string, LazyTensor>();
  const seen = new Set<unknown>();
  const visit = (value: unknown, depth: number): void => {
    if (depth > 8 || seen.has(value) || typeof value !== 'object' || value === null) return;
    seen.add(value);
    const tensors = flatTensors(value);
    if (tensors.size > best.size) best = tensors;
    const children =
      value instanceof Map
        ? [...value.values()]
        : value instanceof PickleObject
          ? [...value.attributes.values()]
          : Array.isArray(value)
            ? value
            : [];
    for (const child of children) visit(child, depth + 1);
  };
  visit(root, 0);
  return best;
}

/** Tensors directly in a dictionary, or all those of a module (its parameters, buffers, then sub-modules). */
function flatTensors(value: object): Map<string, LazyTensor> {
  const found = new Map<string, LazyTensor>();
  if (value instanceof Map) {
    for (const [key, item] of value) if (item instanceof LazyTensor) found.set(String(key), item);
    return found;
  }
  if (!(value instanceof PickleObject)) return found;
  const walk = (object: PickleObject, prefix: string, depth: number): void => {
    if (depth > 32) return;
    for (const [key, item] of object.attributes) {
      if (item instanceof LazyTensor) found.set(prefix + String(key), item);
      else if (item instanceof PickleObject) walk(item, `${prefix}${String(key)}.`, depth + 1);
    }
    for (const group of ['_parameters', '_buffers', '_modules']) {
      const items = object.attributes.get(group);
      if (!(items instanceof Map)) continue;
      for (const [key, item] of items) {
        if (item instanceof LazyTensor) found.set(prefix + String(key), item);
        else if (item instanceof PickleObject) walk(item, `${prefix}${String(key)}.`, depth + 1);
      }
    }
  };
  walk(value, '', 0);
  return found;
}

function contiguous(name: string, tensor: LazyTensor): CheckpointTensor {
  const { storage, dims, strides, offset } = tensor;
  const count = dims.reduce((product, dim) => product * dim, 1);
  if (count > MAX_ELEMENTS) throw notPyTorch(`${name} claims the shape [${dims}]`);
  const elements = decode(storage, name);
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

function notPyTorch(what: string): FacedError {
  return new FacedError('model.unreadable', `the checkpoint cannot be read: ${what}`, {
    fix: 'save it again with torch.save(model.state_dict(), …), or copy the file again',
  });
}
