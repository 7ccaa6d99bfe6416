import { connect, type Socket } from 'node:net';
import { FacedError } from '../domain/errors.js';
import { Serial } from '../lib/serial.js';
import {
  EngineFrames,
  type EngineHello,
  elements,
  engineHeader,
  KINDS,
  parseHello,
  parseObject,
} from './engine-wire.js';

export interface EngineClientOptions {
  /** The engine process's Unix socket. */
  readonly socket: string;
  /** Longest time for an answer, milliseconds. */
  readonly patienceMs: number;
  /** The connection ended, once, when nobody asked it to. */
  readonly onLost: (error: FacedError) => void;
}

interface Waiting {
  readonly id: number;
  readonly kind: number;
  resolve(body: Buffer): void;
  reject(error: FacedError): void;
}

/** One connection to a faced-tensorrt process, with one question at a time. Any failure ends it. */
export class EngineClient {
  readonly #socket: Socket;
  readonly #options: EngineClientOptions;
  readonly #frames = new EngineFrames();
  #hello: EngineHello | undefined;
  #waiting: Waiting | undefined;
  readonly #turns = new Serial();
  #nextId = 1;
  #ended: FacedError | undefined;

  private constructor(options: EngineClientOptions) {
    this.#options = options;
    this.#socket = connect(options.socket);
    this.#socket.on('data', (chunk) => this.#received(chunk));
    this.#socket.on('error', (cause: NodeJS.ErrnoException) =>
      this.#end(away(`${options.socket}: ${cause.code ?? cause.message}`, cause)),
    );
    this.#socket.on('close', () => this.#end(away('the engine process ended the connection')));
  }

  /** Connects and greets. Rejects with `backend.away`, or `model.run-failed` when the other side is not understood. */
  static async open(options: EngineClientOptions): Promise<EngineClient> {
    const client = new EngineClient(options);
    const body = await client.#ask(KINDS.hello, []);
    try {
      client.#hello = parseHello(body.toString('utf8'));
    } catch (error) {
      client.close();
      throw error;
    }
    const answers = client.hello.outputs.reduce((sum, output) => sum + elements(output.shape), 0);
    client.#frames.mostRunBytes = 8 + 4 * answers * client.hello.maxBatch;
    return client;
  }

  get hello(): EngineHello {
    if (this.#hello === undefined) throw new FacedError('internal', 'the engine was not greeted');
    return this.#hello;
  }

  /** Runs `count` pictures; `input` holds exactly those and must stay as it is until the answer has come. */
  async run(input: Float32Array, count: number): Promise<ReadonlyMap<string, Float32Array>> {
    const head = Buffer.alloc(4);
    head.writeUInt32LE(count);
    const body = await this.#ask(KINDS.run, [
      head,
      Buffer.from(input.buffer, input.byteOffset, input.byteLength),
    ]);
    const { outputs } = this.hello;
    const floats = count * outputs.reduce((sum, { shape }) => sum + elements(shape), 0);
    if (body.length !== 8 + 4 * floats || body.readUInt32LE(0) !== count) {
      throw this.#fail(away(`the engine answered ${body.length} bytes to a batch of ${count}`));
    }
    const answers = new Map<string, Float32Array>();
    let at = 8;
    for (const { name, shape } of outputs) {
      const values = new Float32Array(count * elements(shape));
      body.copy(new Uint8Array(values.buffer), 0, at, at + values.byteLength);
      answers.set(name, values);
      at += values.byteLength;
    }
    return answers;
  }

  /** The engine process's own counts. */
  async health(): Promise<Record<string, unknown>> {
    return parseObject((await this.#ask(KINDS.health, [])).toString('utf8'));
  }

  close(): void {
    this.#ended ??= away('the connection was closed');
    this.#socket.destroy();
    this.#waiting?.reject(this.#ended);
    this.#waiting = undefined;
  }

  #ask(kind: number, parts: readonly Buffer[]): Promise<Buffer> {
    return this.#turns.run(() => this.#send(kind, parts));
  }

  #send(kind: number, parts: readonly Buffer[]): Promise<Buffer> {
    return new Promise((resolve, reject) => {
      if (this.#ended !== undefined) {
        reject(this.#ended);
        return;
      }
      const id = this.#nextId;
      this.#nextId = (id % 0xffffffff) + 1;
      const { patienceMs } = this.#options;
      const timer = setTimeout(
        () => this.#fail(away(`the engine process did not answer within ${patienceMs} ms`)),
        patienceMs,
      );
      const settle = (act: () => void): void => {
        clearTimeout(timer);
        act();
      };
      this.#waiting = {
        id,
        kind,
        resolve: (body) => settle(() => resolve(body)),
        reject: (error) => settle(() => reject(error)),
      };
      const length = parts.reduce((sum, part) => sum + part.length, 0);
      this.#socket.cork();
      this.#socket.write(engineHeader(kind, id, length));
      for (const part of parts) this.#socket.write(part);
      this.#socket.uncork();
    });
  }

  #received(chunk: Buffer): void {
    try {
      for (const { kind, id, body } of this.#frames.push(chunk)) {
        const waiting = this.#waiting;
        if (kind === KINDS.error) {
          const { code, message } = parseObject(body.toString('utf8'));
          throw away(`the engine process refused: ${String(message)} (${String(code)})`, { code });
        }
        if (waiting === undefined || waiting.id !== id || waiting.kind !== kind)
          throw away('the engine process answered what was not asked');
        this.#waiting = undefined;
        waiting.resolve(body);
      }
    } catch (error) {
      this.#fail(FacedError.from(error));
    }
  }

  #fail(error: FacedError): FacedError {
    this.#end(error);
    this.#socket.destroy();
    return error;
  }

  #end(error: FacedError): void {
    if (this.#ended !== undefined) return;
    this.#ended = error;
    this.#waiting?.reject(error);
    this.#waiting = undefined;
    if (this.#hello !== undefined) this.#options.onLost(error);
  }
}

/** @param cause with the code of the system, or of the protocol's error */
function away(message: string, cause?: { readonly code?: unknown }): FacedError {
  return new FacedError('backend.away', message, {
    fix: MENDS[String(cause?.code)] ?? 'Look at `systemctl status faced-tensorrt` on the board.',
    ...(cause === undefined ? {} : { cause }),
  });
}

const MENDS: Readonly<Record<string, string>> = {
  ENOENT:
    'Start it on the board: systemctl start faced-tensorrt (deploy/jetson/README.md sets it up); into a container, mount its folder.',
  EACCES: 'Add the user of faced to the group faced-tensorrt.',
  refused:
    'Name the user of faced on the host: deploy/jetson/host.sh --faced-uid, with what `id -u` says where faced runs.',
  busy: 'End what else is connected, or raise --max-clients in the unit of faced-tensorrt.',
};
