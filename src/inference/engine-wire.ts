import { FacedError } from '../domain/errors.js';

/** Version 1 of native/tensorrt/PROTOCOL.md. */
export const PROTOCOL_VERSION = 1;
const MAGIC = 0x54524346;
export const HEADER_BYTES = 16;
export const KINDS = { hello: 1, run: 2, health: 3, error: 4 } as const;
/** Answers in JSON are a few hundred bytes. */
const MOST_TEXT_BYTES = 64 * 1024;
/** Pictures in a run, of this version and those after it; what an answer may take follows from it. */
const MOST_BATCH = 256;

export interface EngineFrame {
  readonly kind: number;
  readonly id: number;
  readonly body: Buffer;
}

export function engineHeader(kind: number, id: number, length: number): Buffer {
  const header = Buffer.alloc(HEADER_BYTES);
  header.writeUInt32LE(MAGIC, 0);
  header.writeUInt16LE(PROTOCOL_VERSION, 4);
  header.writeUInt16LE(kind, 6);
  header.writeUInt32LE(id, 8);
  header.writeUInt32LE(length, 12);
  return header;
}

/** Puts the bytes of a stream together to frames. A header that promises more than is expected ends it with an error. */
export class EngineFrames {
  readonly #header = Buffer.alloc(HEADER_BYTES);
  #headerHave = 0;
  #body = Buffer.alloc(0);
  #bodyHave = 0;
  /** Most bytes that the answer to a run may have; set once the shapes are known. */
  mostRunBytes = 0;

  /** The frames that these bytes complete. Throws `model.run-failed` on what is no frame of this protocol. */
  push(chunk: Buffer): EngineFrame[] {
    const frames: EngineFrame[] = [];
    for (let at = 0; at < chunk.length; ) {
      if (this.#headerHave < HEADER_BYTES) {
        const taken = chunk.copy(this.#header, this.#headerHave, at);
        this.#headerHave += taken;
        at += taken;
        if (this.#headerHave < HEADER_BYTES) break;
        this.#body = Buffer.allocUnsafe(this.#checkedLength());
        this.#bodyHave = 0;
      }
      const taken = chunk.copy(this.#body, this.#bodyHave, at);
      this.#bodyHave += taken;
      at += taken;
      if (this.#bodyHave < this.#body.length) continue;
      frames.push({
        kind: this.#header.readUInt16LE(6),
        id: this.#header.readUInt32LE(8),
        body: this.#body,
      });
      this.#headerHave = 0;
    }
    return frames;
  }

  #checkedLength(): number {
    if (this.#header.readUInt32LE(0) !== MAGIC) throw notUnderstood('it does not speak this protocol');
    const version = this.#header.readUInt16LE(4);
    if (version !== PROTOCOL_VERSION) throw notUnderstood(`it speaks version ${version} of the protocol`);
    const length = this.#header.readUInt32LE(12);
    const most = this.#header.readUInt16LE(6) === KINDS.run ? this.mostRunBytes : MOST_TEXT_BYTES;
    if (length > most) throw notUnderstood(`its answer would have ${length} bytes, at most ${most} fit`);
    return length;
  }
}

function notUnderstood(why: string): FacedError {
  return new FacedError('model.run-failed', `the engine process is not understood: ${why}`, {
    fix: 'Build faced-tensorrt from the same version as faced.',
  });
}

export interface EngineTensor {
  readonly name: string;
  /** Of one picture, without the batch. */
  readonly shape: readonly number[];
}

/** What the engine process says of itself. */
export interface EngineHello {
  readonly engine: string;
  readonly engineVersion: string;
  readonly board: string;
  readonly sha256: string;
  readonly model: string;
  readonly derivedFrom: string;
  readonly precision: string;
  readonly maxBatch: number;
  readonly input: EngineTensor;
  readonly outputs: readonly EngineTensor[];
}

/** By hand: a schema compiler would cost the worker a quarter of its start. */
export function parseHello(text: string): EngineHello {
  const hello = parseObject(text);
  const texts = ['engine', 'engineVersion', 'board', 'sha256', 'model', 'derivedFrom', 'precision'] as const;
  const { maxBatch, input, outputs } = hello;
  const fits =
    texts.every((name) => typeof hello[name] === 'string') &&
    Number.isInteger(maxBatch) &&
    Number(maxBatch) >= 1 &&
    Number(maxBatch) <= MOST_BATCH &&
    isTensor(input) &&
    Array.isArray(outputs) &&
    outputs.length > 0 &&
    outputs.length <= 16 &&
    outputs.every(isTensor);
  if (!fits) throw notUnderstood('its hello lacks members');
  return hello as unknown as EngineHello;
}

export function parseObject(text: string): Record<string, unknown> {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw notUnderstood('it does not answer in JSON');
  }
  if (typeof value !== 'object' || value === null) throw notUnderstood('it does not answer an object');
  return value as Record<string, unknown>;
}

function isTensor(value: unknown): value is EngineTensor {
  if (typeof value !== 'object' || value === null) return false;
  const { name, shape } = value as Record<string, unknown>;
  if (typeof name !== 'string' || !Array.isArray(shape) || shape.length > 8) return false;
  const sides = shape as unknown[];
  return (
    sides.every((side) => Number.isInteger(side) && Number(side) >= 1) &&
    elements(sides as number[]) <= 2 ** 24
  );
}

export function elements(shape: readonly number[]): number {
  return shape.reduce((product, side) => product * side, 1);
}
