import { FacedError } from '../../domain/errors.js';
import { elementCount } from '../graph/tensor.js';
import { PickleGlobal, PickleObject, type PickleRules, readPickle } from './pickle.js';
import {
  contiguous,
  ELEMENT_BYTES,
  LazyTensor,
  notPyTorch,
  type StateDict,
  type Storage,
} from './storage.js';
import { ZipArchive } from './zip.js';

export { type CheckpointTensor, halfToFloat, type StateDict } from './storage.js';

/** PyTorch's serialization.py: the number that the stream form begins with. */
const STREAM_MAGIC = Number(0x1950a86a20f9469cfc6cn);
const STREAM_PROTOCOL = 1001;
const MAX_ELEMENTS = 2 ** 28;

/** True for the beginnings of both PyTorch forms, and for the names that PyTorch's users give to their files. */
export function isCheckpoint(bytes: Uint8Array, path = ''): boolean {
  const zip = bytes[0] === 0x50 && bytes[1] === 0x4b;
  const pickle = bytes[0] === 0x80 && (bytes[1] ?? 9) <= 5;
  return zip || pickle || /\.(pt|pth|ckpt|pkl|pickle)$/i.test(path);
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
  const claimed = [...found.values()].reduce((sum, { dims }) => sum + elementCount(dims), 0);
  if (!(claimed <= MAX_ELEMENTS)) throw notPyTorch(`its tensors claim ${claimed} elements`);
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
      if (NUMPY.test(name)) return { value: null };
      const call = Object.hasOwn(CALLS, name) ? CALLS[name] : undefined;
      return call === undefined ? undefined : { value: call(args) };
    },
  };
}

/** NumPy's numbers and arrays, which trainers leave beside the network (a best accuracy, say): none of its tensors. */
const NUMPY = /^numpy\.(dtype|_?core\.multiarray\.(scalar|_reconstruct)|_core\.numeric\._frombuffer)$/;

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
  'torch._tensor._rebuild_from_type_v2': ([rebuild, , args]) => {
    const name = rebuild instanceof PickleGlobal ? rebuild.name : '';
    if (!/^torch\._utils\._rebuild_(tensor|parameter)/.test(name) || !Array.isArray(args))
      throw notPyTorch(`a tensor is made by ${name || 'no function'}`);
    return CALLS[name]?.(args);
  },
  // How protocol 2 writes bytes: a Latin-1 string and the word latin1.
  '_codecs.encode': (args) => args[0],
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
    const tensors = flatTensors(value, seen);
    seen.add(value);
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

/**
 * Tensors directly in a dictionary, or all those of a module (its parameters, buffers, then sub-modules). Each module is
 * walked once, so that one which refers to itself comes to an end.
 */
function flatTensors(value: object, seen: Set<unknown>): Map<string, LazyTensor> {
  const found = new Map<string, LazyTensor>();
  if (value instanceof Map) {
    for (const [key, item] of value) if (item instanceof LazyTensor) found.set(String(key), item);
    return found;
  }
  if (!(value instanceof PickleObject)) return found;
  const walk = (object: PickleObject, prefix: string, depth: number): void => {
    if (depth > 32 || seen.has(object)) return;
    seen.add(object);
    checkEpsilon(object, prefix);
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

/** Modules say what a bare state_dict cannot. */
function checkEpsilon({ className, attributes }: PickleObject, prefix: string): void {
  const epsilon = attributes.get('eps');
  if (!/BatchNorm/.test(className) || typeof epsilon !== 'number' || epsilon === 1e-5) return;
  throw new FacedError(
    'checkpoint.mismatch',
    `${prefix}eps is ${epsilon}, and every MobileFaceNet has 1e-5`,
    {
      fix: 'export this network to ONNX with its own code and import the ONNX file',
    },
  );
}
