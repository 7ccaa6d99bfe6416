import { FacedError } from '../../domain/errors.js';

/** A name that the pickle mentions; nothing is imported for it. */
export class PickleGlobal {
  readonly name: string;
  constructor(name: string) {
    this.name = name;
  }
}

/** An instance of a class that we do not have: its attributes alone. */
export class PickleObject {
  readonly className: string;
  attributes: Map<unknown, unknown> = new Map();
  constructor(className: string) {
    this.className = className;
  }
}

/** Modules whose mere mention has no place among tensors. */
const FORBIDDEN =
  /^(os|posix|nt|sys|subprocess|shutil|socket|pty|runpy|importlib|ctypes|pickle|_pickle|marshal|code|timeit|operator|functools|webbrowser|platform|asyncio|multiprocessing|threading|builtins|__builtin__|commands|pip|bdb|pdb)(\.|$)/;
const PLAIN_BUILTINS = new Set([
  'set',
  'frozenset',
  'dict',
  'list',
  'tuple',
  'int',
  'float',
  'bool',
  'str',
  'bytes',
  'object',
]);

export function named(name: string): PickleGlobal {
  const builtin = /^(builtins|__builtin__)\.(.*)$/.exec(name);
  const plain = builtin !== null && PLAIN_BUILTINS.has(builtin[2] ?? '');
  if (!plain && FORBIDDEN.test(name)) throw refused(name);
  return new PickleGlobal(name);
}

/** A string of protocol 0, as Python's repr writes it: what lies between the quotes (no checkpoint escapes anything). */
export function quoted(text: string): string {
  return text.replace(/^(["'])(.*)\1$/s, '$2');
}

/** An integer of protocol 0; `01` and `00` are True and False, a long ends with L. */
export function decimal(text: string): number | boolean {
  if (text === '01' || text === '00') return text === '01';
  return Number(text.replace(/L$/, ''));
}

export function pairs(target: Map<unknown, unknown>, items: unknown[]): Map<unknown, unknown> {
  for (let index = 0; index + 1 < items.length; index += 2) target.set(items[index], items[index + 1]);
  return target;
}

/** Little-endian two's complement; beyond 2^53 the nearest number (such are magic numbers and hashes, not sizes). */
export function long(bytes: Buffer): number {
  let value = 0n;
  for (let index = bytes.length - 1; index >= 0; index -= 1)
    value = (value << 8n) | BigInt(bytes[index] ?? 0);
  return Number(BigInt.asIntN(bytes.length * 8, value));
}

export function refused(what: string): FacedError {
  return new FacedError(
    'checkpoint.refused',
    `the checkpoint asks for ${what}, which tensors have no need of`,
    {
      fix: 'do not open this file with PyTorch unless you trust its maker; save the state_dict alone and import that',
    },
  );
}

export function damaged(what: string, cause?: unknown): FacedError {
  return new FacedError('model.unreadable', `the checkpoint's pickle cannot be read: ${what}`, {
    fix: 'copy or download the checkpoint again',
    cause,
  });
}
