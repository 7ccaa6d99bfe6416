import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { copyFile, mkdtemp, rm } from 'node:fs/promises';
import { createConnection, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { type EngineFrame, EngineFrames, engineHeader } from '../../src/inference/engine-wire.js';
import { ROOT } from './data.js';
import { testModels } from './models.js';

const SOURCE = join(ROOT, 'native', 'tensorrt');
/** FACED_ENGINE_SANITIZE=1 lets AddressSanitizer and UBSan watch the server. */
const SANITIZE = process.env.FACED_ENGINE_SANITIZE === '1';
const BUILD = join('build', SANITIZE ? 'opencv-sanitized' : 'opencv');
const SANITIZERS = '-fsanitize=address,undefined';
export const SERVER = join(SOURCE, BUILD, 'faced-tensorrt');

/** Use as a test's `skip` option: false when the server can be built and run here, else the reason. Builds it. */
export function withoutEngine(): string | false {
  // What it serves must belong to root, and a test cannot give files away.
  if (process.getuid?.() !== 0) return 'needs root: an engine is served only when it belongs to root';
  const flags = SANITIZE
    ? [`CXXFLAGS=-O1 -g ${SANITIZERS} -fno-sanitize-recover=undefined`, `LDFLAGS=${SANITIZERS}`]
    : [];
  const built = spawnSync('make', ['-C', SOURCE, 'ENGINE=opencv', `BUILD=${BUILD}`, ...flags], {
    encoding: 'utf8',
  });
  if (built.status === 0) return false;
  if (/opencv2\/dnn.hpp: No such file/.test(built.stderr)) return 'needs Debian package libopencv-dnn-dev';
  throw new Error(`faced-tensorrt does not build:\n${built.stderr}`);
}

export interface EngineProcess {
  readonly child: ChildProcess;
  readonly socket: string;
  /** All of standard error so far. */
  said(): string;
  kill(signal: NodeJS.Signals): Promise<number | null>;
}

/** A folder with a copy of the recogniser that is root's, as the server wants it. */
export async function engineDir(t: TestContext): Promise<{ dir: string; model: string; socket: string }> {
  const dir = await mkdtemp(join(tmpdir(), 'faced-engine-'));
  t.after(() => rm(dir, { recursive: true, force: true }));
  const model = join(dir, 'mobilefacenet.onnx');
  await copyFile(join(await testModels(), 'mobilefacenet.onnx'), model);
  return { dir, model, socket: join(dir, 'engine.sock') };
}

export interface EnginePlace {
  readonly model: string;
  readonly socket: string;
  /** Besides this process's own. */
  readonly env?: Readonly<Record<string, string>>;
  /** A program that runs the server, with its options. */
  readonly through?: readonly string[];
}

/** Starts the server and waits until it serves; rejects with what it said when it ends instead. */
export async function startEngine(
  t: TestContext,
  at: EnginePlace,
  ...options: string[]
): Promise<EngineProcess> {
  const [program = SERVER, ...before] = [...(at.through ?? []), SERVER];
  const child = spawn(program, [...before, '--model', at.model, '--socket', at.socket, ...options], {
    stdio: ['ignore', 'ignore', 'pipe'],
    env: { ...process.env, ...at.env },
  });
  let text = '';
  const kill = async (signal: NodeJS.Signals): Promise<number | null> => {
    if (child.exitCode === null && child.signalCode === null) {
      child.kill(signal);
      await once(child, 'exit');
    }
    return child.exitCode;
  };
  t.after(() => kill('SIGKILL'));
  await new Promise<void>((resolve, reject) => {
    child.stderr.on('data', (chunk) => {
      text += String(chunk);
      if (/ serves /.test(text)) resolve();
    });
    child.once('close', () => reject(new Error(text)));
  });
  return { child, socket: at.socket, said: () => text, kill };
}

/** A connection that can send anything. */
export class RawEngine {
  readonly #frames = new EngineFrames();
  readonly #received: EngineFrame[] = [];
  readonly #waiting: ((frame: EngineFrame | null) => void)[] = [];
  readonly socket: Socket;
  #ended = false;

  private constructor(socket: Socket) {
    this.socket = socket;
    this.#frames.mostRunBytes = 1 << 24;
    socket.on('error', () => {});
    socket.on('data', (chunk) => {
      for (const frame of this.#frames.push(chunk)) {
        const next = this.#waiting.shift();
        if (next === undefined) this.#received.push(frame);
        else next(frame);
      }
    });
    socket.on('close', () => {
      this.#ended = true;
      for (const next of this.#waiting.splice(0)) next(null);
    });
  }

  static async open(t: TestContext, path: string): Promise<RawEngine> {
    const socket = createConnection(path);
    t.after(() => socket.destroy());
    await once(socket, 'connect');
    return new RawEngine(socket);
  }

  send(kind: number, id: number, body: Buffer = Buffer.alloc(0)): void {
    this.socket.write(Buffer.concat([engineHeader(kind, id, body.length), body]));
  }

  /** The next frame; null when the server has ended the connection. */
  next(): Promise<EngineFrame | null> {
    const frame = this.#received.shift();
    if (frame !== undefined) return Promise.resolve(frame);
    if (this.#ended) return Promise.resolve(null);
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  async ask(kind: number, id: number, body?: Buffer): Promise<EngineFrame | null> {
    this.send(kind, id, body);
    return this.next();
  }

  /** The code of the error that comes next. */
  async error(): Promise<string> {
    const frame = await this.next();
    if (frame === null) return 'closed';
    return String((JSON.parse(frame.body.toString()) as { code?: unknown }).code);
  }
}

/** The body of a run: a count and that many pictures. */
export function batch(count: number, floats: Float32Array): Buffer {
  const head = Buffer.alloc(4);
  head.writeUInt32LE(count);
  return Buffer.concat([head, Buffer.from(floats.buffer, floats.byteOffset, floats.byteLength)]);
}
