import { FacedError } from '../../domain/errors.js';
import {
  damaged,
  decimal,
  long,
  named,
  PickleGlobal,
  PickleObject,
  pairs,
  quoted,
  refused,
} from './pickle-values.js';

export { PickleGlobal, PickleObject } from './pickle-values.js';

/** Values of a pickle: null, booleans, numbers, strings, bytes, arrays (lists, tuples and sets), Maps, and the two above. */
export type PickleValue = unknown;

export interface PickleRules {
  /** What a call of this function gives; undefined refuses it by name. */
  reduce(name: string, args: readonly PickleValue[]): { value: PickleValue } | undefined;
  /** What a persistent id stands for (a storage). */
  persistent(id: PickleValue): PickleValue;
}

const MARK = Symbol('mark');

/**
 * Reads one pickle (Python's pickletools, protocols 0 to 5) and executes nothing: calls are answered by `rules` or
 * refused by name (`checkpoint.refused`), objects of unknown classes become their attributes. Answers the value and
 * where the pickle ended, since PyTorch's stream form is several of them one after the other.
 */
export function readPickle(
  bytes: Uint8Array,
  start: number,
  rules: PickleRules,
): { value: PickleValue; end: number } {
  return new Machine(bytes, start, rules).run();
}

class Machine {
  readonly #bytes: Buffer;
  #at: number;
  readonly #rules: PickleRules;
  #stack: unknown[] = [];
  readonly #memo = new Map<number, unknown>();

  constructor(bytes: Uint8Array, start: number, rules: PickleRules) {
    this.#bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#at = start;
    this.#rules = rules;
  }

  run(): { value: unknown; end: number } {
    try {
      for (;;) {
        const opcode = this.#bytes.readUInt8(this.#at);
        this.#at += 1;
        if (opcode === 0x2e) return { value: this.#pop(), end: this.#at };
        this.#step(opcode);
      }
    } catch (cause) {
      if (cause instanceof FacedError) throw cause;
      throw damaged(`it is damaged or cut off at byte ${this.#at}`, cause);
    }
  }

  #step(opcode: number): void {
    const stack = this.#stack;
    switch (String.fromCharCode(opcode)) {
      case '\x80':
        if (this.#u8() > 5) throw damaged('it is of a protocol after 5');
        return;
      case '\x95':
        this.#take(8);
        return;
      case '(':
        stack.push(MARK);
        return;
      case 'N':
        stack.push(null);
        return;
      case '\x88':
        stack.push(true);
        return;
      case '\x89':
        stack.push(false);
        return;
      case 'J':
        stack.push(this.#take(4).readInt32LE());
        return;
      case 'K':
        stack.push(this.#u8());
        return;
      case 'M':
        stack.push(this.#take(2).readUInt16LE());
        return;
      case '\x8a':
        stack.push(long(this.#take(this.#u8())));
        return;
      case '\x8b':
        stack.push(long(this.#take(this.#take(4).readInt32LE())));
        return;
      case 'G':
        stack.push(this.#take(8).readDoubleBE());
        return;
      case 'X':
        stack.push(this.#take(this.#take(4).readUInt32LE()).toString('utf8'));
        return;
      case '\x8c':
        stack.push(this.#take(this.#u8()).toString('utf8'));
        return;
      case '\x8d':
        stack.push(this.#take(Number(this.#take(8).readBigUInt64LE())).toString('utf8'));
        return;
      case 'U':
        stack.push(this.#take(this.#u8()).toString('latin1'));
        return;
      case 'T':
        stack.push(this.#take(this.#take(4).readInt32LE()).toString('latin1'));
        return;
      case 'C':
        stack.push(this.#take(this.#u8()));
        return;
      case 'B':
        stack.push(this.#take(this.#take(4).readUInt32LE()));
        return;
      case ']':
      case ')':
      case '\x8f':
        stack.push([]);
        return;
      case '}':
        stack.push(new Map());
        return;
      case 't':
      case 'l':
      case '\x91':
        stack.push(this.#popMark());
        return;
      case 'd':
        stack.push(pairs(new Map(), this.#popMark()));
        return;
      case '\x85':
        stack.push([this.#pop()]);
        return;
      case '\x86':
        stack.push(this.#popMany(2));
        return;
      case '\x87':
        stack.push(this.#popMany(3));
        return;
      case 'a': {
        const value = this.#pop();
        this.#list().push(value);
        return;
      }
      case 'e':
      case '\x90': {
        const values = this.#popMark();
        const list = this.#list();
        for (const value of values) list.push(value);
        return;
      }
      case 's': {
        const pair = this.#popMany(2);
        this.#setItems(pair);
        return;
      }
      case 'u':
        this.#setItems(this.#popMark());
        return;
      case '0':
        this.#pop();
        return;
      case '1':
        this.#popMark();
        return;
      case '2': {
        const top = this.#pop();
        stack.push(top, top);
        return;
      }
      case 'q':
        this.#memo.set(this.#u8(), stack.at(-1));
        return;
      case 'r':
        this.#memo.set(this.#take(4).readUInt32LE(), stack.at(-1));
        return;
      case '\x94':
        this.#memo.set(this.#memo.size, stack.at(-1));
        return;
      case 'h':
        stack.push(this.#remembered(this.#u8()));
        return;
      case 'j':
        stack.push(this.#remembered(this.#take(4).readUInt32LE()));
        return;
      case 'c': {
        const [module, name] = [this.#line(), this.#line()];
        stack.push(named(`${module}.${name}`));
        return;
      }
      case 'i': {
        // INST: a class by name and its arguments from the mark on, in protocol 0.
        const cls = named(`${this.#line()}.${this.#line()}`);
        stack.push(this.#instance(cls, this.#popMark()));
        return;
      }
      case 'o': {
        const [cls, ...args] = this.#popMark();
        if (!(cls instanceof PickleGlobal)) throw damaged('it makes an object of no class');
        stack.push(this.#instance(cls, args));
        return;
      }
      case 'S':
        stack.push(quoted(this.#line()));
        return;
      case 'V':
        stack.push(this.#line());
        return;
      case 'I':
      case 'L':
        stack.push(decimal(this.#line()));
        return;
      case 'F':
        stack.push(Number(this.#line()));
        return;
      case 'p':
        this.#memo.set(Number(this.#line()), stack.at(-1));
        return;
      case 'g':
        stack.push(this.#remembered(Number(this.#line())));
        return;
      case '\x93': {
        const [module, name] = this.#popMany(2);
        stack.push(named(`${String(module)}.${String(name)}`));
        return;
      }
      case 'R': {
        const [callee, args] = this.#popMany(2);
        stack.push(this.#call(callee, args));
        return;
      }
      case '\x81': {
        const [cls, args] = this.#popMany(2);
        if (!(cls instanceof PickleGlobal) || !Array.isArray(args))
          throw damaged('it makes an object of no class');
        stack.push(this.#instance(cls, args));
        return;
      }
      case 'b': {
        const state = this.#pop();
        this.#build(stack.at(-1), state);
        return;
      }
      case 'Q':
        stack.push(this.#rules.persistent(this.#pop()));
        return;
      default:
        throw refused(`the pickle operation 0x${opcode.toString(16)}`);
    }
  }

  #call(callee: unknown, args: unknown): unknown {
    if (!(callee instanceof PickleGlobal)) throw refused('a call of something that is no name');
    const answer = Array.isArray(args) ? this.#rules.reduce(callee.name, args) : undefined;
    if (answer === undefined) throw refused(`a call of ${callee.name}`);
    return answer.value;
  }

  /** `cls.__new__(cls)`: attributes come with BUILD. With arguments it is a call. */
  #instance(cls: PickleGlobal, args: unknown[]): unknown {
    const known = this.#rules.reduce(cls.name, args);
    if (known !== undefined) return known.value;
    if (args.length > 0) throw refused(`an object of ${cls.name} made with arguments`);
    return new PickleObject(cls.name);
  }

  /** `object.__setstate__`: attributes are kept, nothing is called. */
  #build(target: unknown, state: unknown): void {
    const attributes = Array.isArray(state) ? (state[0] ?? state[1]) : state;
    if (target instanceof PickleObject && attributes instanceof Map) {
      for (const [key, value] of attributes) target.attributes.set(key, value);
    }
    // Attributes of a plain container (OrderedDict's _metadata) say nothing about tensors.
  }

  #setItems(items: unknown[]): void {
    const target = this.#stack.at(-1);
    if (target instanceof Map) pairs(target, items);
    else if (target instanceof PickleObject) pairs(target.attributes, items);
    else throw damaged('it sets items of what is no dictionary');
  }

  #list(): unknown[] {
    const top = this.#stack.at(-1);
    if (!Array.isArray(top)) throw damaged('it appends to what is no list');
    return top;
  }

  #remembered(index: number): unknown {
    if (!this.#memo.has(index)) throw damaged(`it recalls ${index}, which it never remembered`);
    return this.#memo.get(index);
  }

  #pop(): unknown {
    if (this.#stack.length === 0 || this.#stack.at(-1) === MARK) throw damaged('its stack is empty');
    return this.#stack.pop();
  }

  #popMany(count: number): unknown[] {
    return Array.from({ length: count }, () => this.#pop()).reverse();
  }

  #popMark(): unknown[] {
    const mark = this.#stack.lastIndexOf(MARK);
    if (mark === -1) throw damaged('a mark is missing');
    const values = this.#stack.slice(mark + 1);
    this.#stack.length = mark;
    return values;
  }

  #u8(): number {
    return this.#take(1).readUInt8();
  }

  #take(count: number): Buffer {
    if (count < 0 || this.#at + count > this.#bytes.length) throw damaged('it is cut off');
    this.#at += count;
    return this.#bytes.subarray(this.#at - count, this.#at);
  }

  #line(): string {
    const end = this.#bytes.indexOf(0x0a, this.#at);
    if (end === -1) throw damaged('it is cut off');
    const text = this.#bytes.toString('utf8', this.#at, end);
    this.#at = end + 1;
    return text;
  }
}
