import { crc32 } from 'node:zlib';

/** Writes what `torch.save` and `torch.jit.save` write, so that tests need no PyTorch: pickles in protocol 2, and ZIP. */

/** Opcodes that leave one value on the pickle machine's stack. */
export type Pickled = Buffer;

export interface NamedTensor {
  readonly name: string;
  readonly dims: readonly number[];
  readonly values: Float32Array;
}

const op = (...bytes: number[]): Buffer => Buffer.from(bytes);
const text = (value: string): Buffer => Buffer.from(value, 'latin1');

export const none: Pickled = text('N');
export const truth = (value: boolean): Pickled => op(value ? 0x88 : 0x89);
export const string = (value: string): Pickled => Buffer.concat([text('X'), word(value.length), text(value)]);
export const integer = (value: number): Pickled => Buffer.concat([text('J'), word(value)]);
export const real = (value: number): Pickled => {
  const bytes = Buffer.alloc(9, 'G');
  bytes.writeDoubleBE(value, 1);
  return bytes;
};
export const tuple = (...items: Pickled[]): Pickled => Buffer.concat([text('('), ...items, text('t')]);
export const list = (...items: Pickled[]): Pickled =>
  Buffer.concat([text(']'), text('('), ...items, text('e')]);
export const dict = (...items: [string, Pickled][]): Pickled => setItems(text('}'), items);
export const named = (module: string, name: string): Pickled => text(`c${module}\n${name}\n`);
export const call = (callee: Pickled, args: Pickled): Pickled => Buffer.concat([callee, args, text('R')]);
export const build = (target: Pickled, state: Pickled): Pickled => Buffer.concat([target, state, text('b')]);
export const persistent = (id: Pickled): Pickled => Buffer.concat([id, text('Q')]);
/** An object of a class as pickle makes it: `__new__` without arguments, then its state. */
export const object = (cls: Pickled, ...state: [string, Pickled][]): Pickled =>
  build(Buffer.concat([cls, text(')'), op(0x81)]), dict(...state));
export const orderedDict = (...items: [string, Pickled][]): Pickled =>
  setItems(call(named('collections', 'OrderedDict'), text(')')), items);
/** NumPy's float64, as trainers keep their best accuracy. */
export const numpyScalar = (module: string): Pickled =>
  call(
    named(module, 'scalar'),
    tuple(
      build(
        call(named('numpy', 'dtype'), tuple(string('f8'), integer(0), integer(1))),
        tuple(integer(3), string('<'), none, none, none, integer(-1), integer(-1), integer(0)),
      ),
      call(named('_codecs', 'encode'), tuple(string('\x00\x00\x00\x00\x00\x00\xf0?'), string('latin1'))),
    ),
  );

function setItems(target: Pickled, items: [string, Pickled][]): Pickled {
  return Buffer.concat([
    target,
    text('('),
    ...items.flatMap(([key, value]) => [string(key), value]),
    text('u'),
  ]);
}

export function pickle(root: Pickled): Buffer {
  return Buffer.concat([op(0x80, 2), root, text('.')]);
}

/** The storages of a file, in the order in which its tensors were mentioned. */
export class Storages {
  readonly data: Float32Array[] = [];

  tensor({ dims, values }: Omit<NamedTensor, 'name'>): Pickled {
    const key = String(this.data.push(values) - 1);
    const strides = dims.map((_, axis) => dims.slice(axis + 1).reduce((a, b) => a * b, 1));
    const storage = persistent(
      tuple(
        string('storage'),
        named('torch', 'FloatStorage'),
        string(key),
        string('cpu'),
        integer(values.length),
      ),
    );
    const shape = (numbers: readonly number[]): Pickled => tuple(...numbers.map(integer));
    return call(
      named('torch._utils', '_rebuild_tensor_v2'),
      tuple(storage, integer(0), shape(dims), shape(strides), truth(false), orderedDict()),
    );
  }

  /** `torch.nn.Parameter`, as it stands in the attributes of a module. */
  parameter(tensor: Omit<NamedTensor, 'name'>): Pickled {
    return call(
      named('torch._utils', '_rebuild_parameter'),
      tuple(this.tensor(tensor), truth(true), orderedDict()),
    );
  }

  stateDict(tensors: readonly NamedTensor[], prefix = ''): Pickled {
    return orderedDict(
      ...tensors.map((tensor): [string, Pickled] => [prefix + tensor.name, this.tensor(tensor)]),
    );
  }
}

/** A tree of modules by the dots of the tensors' names: `make` turns one module's own parts into its pickle. */
export function moduleTree(
  tensors: readonly NamedTensor[],
  make: (path: string, own: readonly NamedTensor[], children: [string, Pickled][]) => Pickled,
  path = '',
): Pickled {
  const own = tensors.filter(({ name }) => !name.includes('.'));
  const names = [
    ...new Set(tensors.flatMap(({ name }) => (name.includes('.') ? [name.split('.')[0] ?? ''] : []))),
  ];
  const children = names.map((child): [string, Pickled] => {
    const inner = tensors
      .filter(({ name }) => name.startsWith(`${child}.`))
      .map((tensor) => ({ ...tensor, name: tensor.name.slice(child.length + 1) }));
    return [child, moduleTree(inner, make, path === '' ? child : `${path}.${child}`)];
  });
  return make(path, own, children);
}

/** `torch.save` since 1.6 and `torch.jit.save`: a ZIP of stored files below one folder. */
export function torchZip(
  root: Pickled,
  storages: Storages,
  options: { folder?: string; script?: boolean } = {},
): Buffer {
  const folder = options.folder ?? 'archive';
  const files: [string, Buffer][] = [[`${folder}/data.pkl`, pickle(root)]];
  if (options.script === true) {
    files.unshift([`${folder}/code/__torch__/net.py`, text('class Net(Module):\n  pass\n')]);
    files.push([`${folder}/constants.pkl`, pickle(tuple())]);
  }
  files.push([`${folder}/byteorder`, text('little')]);
  storages.data.forEach((values, key) => {
    files.push([`${folder}/data/${key}`, Buffer.from(values.buffer, values.byteOffset, values.byteLength)]);
  });
  files.push([`${folder}/version`, text('3\n')]);
  return zip(files);
}

/** `torch.save` before 1.6. */
export function torchStream(root: Pickled, storages: Storages): Buffer {
  const magic = Buffer.from('6cfc9c46f9206aa85019', 'hex');
  return Buffer.concat([
    pickle(Buffer.concat([op(0x8a, magic.length), magic])),
    pickle(integer(1001)),
    pickle(dict(['protocol_version', integer(1001)], ['little_endian', truth(true)])),
    pickle(root),
    pickle(list(...storages.data.map((_, key) => string(String(key))))),
    ...storages.data.flatMap((values) => {
      const count = Buffer.alloc(8);
      count.writeBigInt64LE(BigInt(values.length));
      return [count, Buffer.from(values.buffer, values.byteOffset, values.byteLength)];
    }),
  ]);
}

/** PKWARE APPNOTE 6.3: local headers and data, then the directory. */
export function zip(files: readonly (readonly [string, Buffer])[]): Buffer {
  const parts: Buffer[] = [];
  const directory: Buffer[] = [];
  let offset = 0;
  for (const [name, data] of files) {
    const common = Buffer.alloc(26);
    common.writeUInt16LE(20, 0);
    common.writeUInt32LE(crc32(data), 10);
    common.writeUInt32LE(data.length, 14);
    common.writeUInt32LE(data.length, 18);
    common.writeUInt16LE(name.length, 22);
    const place = Buffer.alloc(14);
    place.writeUInt32LE(offset, 10);
    directory.push(text('PK\x01\x02'), word(20).subarray(0, 2), common, place, text(name));
    parts.push(text('PK\x03\x04'), common, text(name), data);
    offset += 30 + name.length + data.length;
  }
  const entries = Buffer.concat(directory);
  const end = Buffer.alloc(18);
  end.writeUInt16LE(files.length, 4);
  end.writeUInt16LE(files.length, 6);
  end.writeUInt32LE(entries.length, 8);
  end.writeUInt32LE(offset, 12);
  return Buffer.concat([...parts, entries, text('PK\x05\x06'), end]);
}

function word(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32LE(value);
  return bytes;
}
