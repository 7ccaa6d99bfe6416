import { isUtf8 } from 'node:buffer';
import { Ajv, type ValidateFunction } from 'ajv';
import type { Command, ShownSecret } from '../pipeline/ports.js';
import { longestString } from './long-string.js';
import {
  type ControlSet,
  ControlSetSchema,
  type EnrollSet,
  EnrollSetSchema,
  type LockSet,
  LockSetSchema,
} from './schemas.js';

export type CommandKind = 'enroll' | 'lock' | 'control';

/** What is asked about a `lock/set` before it may do anything. `exp` is in seconds since 1970, as it came. */
export interface LockOrder {
  readonly id: string;
  readonly exp: number;
  readonly action: 'lock' | 'unlock' | 'present';
  readonly door: string;
  /** With `present`. */
  readonly shown?: ShownSecret;
}

/** What the gate knows of the doors. */
export interface DoorPort {
  /** Ids of the doors that may be commanded. */
  readonly doors: readonly string[];
  /** When given, a command without a right `hmac` is refused; it compares in constant time. */
  readonly authentic?: (order: LockOrder, hmac: string) => boolean;
  /** Told of each `lock/set` that was refused before any door heard of it; `id` is null when none could be read. */
  readonly refused?: (refusal: { readonly reason: string; readonly id: string | null }) => void;
}

/** A command of the right form. What costs time is done when its turn has come. */
export interface WellFormed {
  readonly id: string;
  readonly expMs: number;
  /** A text instead of the command says what is wrong with it. */
  readonly command: () => Command | string;
}

export interface Malformed {
  readonly reason: 'too-large' | 'retained' | 'not-json' | 'invalid' | 'unsigned';
  /** Null when none could be read: then nobody can be answered. */
  readonly id: string | null;
  readonly message: string;
}

/** Beside the picture a command is short; what is longer is not parsed. */
const MAX_REST_BYTES = 8_192;
/** Stands in the parsed text where a long string was; no JSON text that arrives can hold it, because U+0000 must be escaped. */
const LIFTED = '\\u0000lifted';
const MARK: unknown = JSON.parse(`"${LIFTED}"`);

export class CommandForms {
  readonly #maxBytes: number;
  readonly #door: DoorPort | undefined;
  readonly #validEnroll: ValidateFunction<EnrollSet>;
  readonly #validLock: ValidateFunction<LockSet>;
  readonly #validControl: ValidateFunction<ControlSet>;

  constructor(maxBytes: number, door: DoorPort | undefined) {
    const ajv = new Ajv({ strict: true });
    this.#maxBytes = maxBytes;
    this.#door = door;
    this.#validEnroll = ajv.compile<EnrollSet>(EnrollSetSchema);
    this.#validLock = ajv.compile<LockSet>(LockSetSchema);
    this.#validControl = ajv.compile<ControlSet>(ControlSetSchema);
  }

  read(kind: CommandKind, payload: Uint8Array, retained: boolean): WellFormed | Malformed {
    if (payload.length > this.#maxBytes)
      return { reason: 'too-large', id: null, message: `the payload has more than ${this.#maxBytes} bytes` };
    const bytes = Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength);
    const long = longestString(bytes);
    if (long === undefined || bytes.length - (long.end - long.start) > MAX_REST_BYTES)
      return { reason: 'invalid', id: null, message: 'it has more than a command needs beside the picture' };
    const parsed = isUtf8(bytes) ? parseObject(withoutLong(bytes, long)) : undefined;
    if (parsed === undefined)
      return { reason: 'not-json', id: null, message: 'the payload is not a JSON object' };
    const id = readableId(parsed);
    if (retained) return { reason: 'retained', id, message: 'a command must not be retained' };
    const image = bytes.subarray(long.start, long.end);
    if (image.length > 0 && !isTheImage(parsed))
      return { reason: 'invalid', id: null, message: 'a field is too long' };
    if (kind === 'control') return this.#control(parsed, id);
    return kind === 'lock' ? this.#lock(parsed, id) : this.#enroll(parsed, id, image);
  }

  #enroll(parsed: object, id: string | null, image: Buffer): WellFormed | Malformed {
    const valid = this.#validEnroll;
    if (!valid(parsed)) return { reason: 'invalid', id, message: complaintOf(valid) };
    if ((parsed.image === undefined) === (parsed.camera === undefined))
      return { reason: 'invalid', id, message: 'exactly one of image and camera is needed' };
    const { name, camera = null, image: text } = parsed;
    const head = { kind: 'enroll', id: parsed.id, name, camera } as const;
    return {
      id: parsed.id,
      expMs: parsed.exp * 1000,
      command: () => {
        if (text === undefined) return { ...head, image: null };
        const decoded = decodeBase64(image.length > 0 ? image : Buffer.from(text, 'latin1'));
        return decoded === undefined ? 'image is not base64' : { ...head, image: decoded };
      },
    };
  }

  #control(parsed: object, id: string | null): WellFormed | Malformed {
    const valid = this.#validControl;
    if (!valid(parsed)) return { reason: 'invalid', id, message: complaintOf(valid) };
    const { id: own, exp, action, camera } = parsed;
    if ((action === 'snapshot') !== (camera !== undefined))
      return { reason: 'invalid', id, message: 'camera belongs to the action snapshot, and to no other' };
    return {
      id: own,
      expMs: exp * 1000,
      command: () =>
        camera === undefined
          ? { kind: 'pause', id: own, paused: action === 'pause' }
          : { kind: 'snapshot', id: own, camera },
    };
  }

  #lock(parsed: object, id: string | null): WellFormed | Malformed {
    const valid = this.#validLock;
    if (!valid(parsed)) return { reason: 'invalid', id, message: complaintOf(valid) };
    const { doors, authentic } = this.#door ?? { doors: [] };
    const door = parsed.door ?? (doors.length === 1 ? doors[0] : undefined);
    if (door === undefined) return { reason: 'invalid', id, message: 'door is needed: there are several' };
    const { exp, action, hmac } = parsed;
    const shown = shownIn(parsed);
    if (shown === undefined)
      return {
        reason: 'invalid',
        id,
        message: 'method and secret belong to the action present, and to no other',
      };
    const order = { id: parsed.id, exp, action, door, ...(shown === null ? {} : { shown }) };
    // Before the door's name is looked up: who has no key learns nothing of the house.
    if (authentic !== undefined && (hmac === undefined || !authentic(order, hmac)))
      return { reason: 'unsigned', id, message: 'hmac is missing or wrong' };
    if (!doors.includes(door)) return { reason: 'invalid', id, message: 'there is no such door' };
    return {
      id: parsed.id,
      expMs: exp * 1000,
      command: () => {
        const head = { kind: 'lock', id: parsed.id, door } as const;
        if (shown !== null) return { ...head, action: 'present', shown };
        return { ...head, action: action === 'lock' ? 'lock' : 'unlock' };
      },
    };
  }
}

/** Null for a command that shows nothing; undefined when its fields do not fit together. */
function shownIn({ action, method, secret, reader }: LockSet): ShownSecret | null | undefined {
  if (action !== 'present')
    return method === undefined && secret === undefined && reader === undefined ? null : undefined;
  if (method === undefined || secret === undefined) return undefined;
  return { method, secret, reader: reader ?? null };
}

/** The JSON text with the long string's content taken out. */
function withoutLong(bytes: Buffer, { start, end }: { start: number; end: number }): string {
  if (start === end) return bytes.toString('utf8');
  return `${bytes.toString('utf8', 0, start)}${LIFTED}${bytes.toString('utf8', end)}`;
}

function parseObject(text: string): object | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

/** The long string that was taken out was the value of `image`, and of nothing else. */
function isTheImage(value: object): boolean {
  const lifted = Object.entries(value).filter(([, one]) => one === MARK);
  return lifted.length === 1 && lifted[0]?.[0] === 'image';
}

function readableId(value: object): string | null {
  const id = 'id' in value ? value.id : undefined;
  return typeof id === 'string' && id.length >= 1 && id.length <= 64 ? id : null;
}

/** Where and what, never the value itself. */
function complaintOf(validate: ValidateFunction): string {
  const error = validate.errors?.[0];
  const where =
    error?.instancePath === undefined || error.instancePath === '' ? '' : `${error.instancePath} `;
  return `${where}${error?.message ?? 'the form is wrong'}`;
}

/** A multiple of four characters, small enough that the text of a piece costs no page of fresh memory. */
const PIECE = 32_768;

/**
 * From the bytes of the text, piece by piece: one string of two million characters costs the main thread more than all
 * the rest. `\/`, which some encoders write for `/`, is read too.
 */
function decodeBase64(raw: Buffer): Uint8Array | undefined {
  const text = raw.includes(0x5c)
    ? Buffer.from(raw.toString('latin1').replaceAll('\\/', '/'), 'latin1')
    : raw;
  const padding = text.at(-1) !== 0x3d ? 0 : text.at(-2) === 0x3d ? 2 : 1;
  const bytes = Buffer.allocUnsafeSlow(Math.floor(((text.length - padding) * 3) / 4));
  let written = 0;
  for (let at = 0; at < text.length; at += PIECE)
    written += bytes.write(text.toString('latin1', at, Math.min(text.length, at + PIECE)), written, 'base64');
  // Node skips what is not base64, so the length tells whether something was skipped.
  return bytes.length > 0 && written === bytes.length ? bytes : undefined;
}
