import { spawn } from 'node:child_process';
import { accessSync, constants, readFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { FacedError } from '../domain/errors.js';
import type { Model } from './graph/index.js';

/** Where JetPack, NVIDIA's containers and its tar files put it, after PATH. */
const USUAL_PLACES = ['/usr/src/tensorrt/bin', '/usr/local/tensorrt/bin', '/opt/tensorrt/bin'];
/** What trtexec says at most that is kept, for its error. */
const MOST_OUTPUT = 64 * 1024;
/** Faces that share a run of an engine whose batch is free. */
const MOST_BATCH = 8;

/** The program that makes engines. Throws `backend.tool-missing` with the places that were looked at. */
export function findTrtexec(env: NodeJS.ProcessEnv, given?: string): string {
  const places =
    given === undefined
      ? [...(env.PATH ?? '').split(delimiter).filter(Boolean), ...USUAL_PLACES].map((dir) =>
          join(dir, 'trtexec'),
        )
      : [given];
  const found = places.find(isProgram);
  if (found !== undefined) return found;
  throw new FacedError(
    'backend.tool-missing',
    given === undefined
      ? `trtexec is neither in PATH nor in ${USUAL_PLACES.join(', ')}`
      : `${given} is no program`,
    {
      fix: 'Run this on the Jetson, with JetPack installed, or name it: --trtexec PATH.',
    },
  );
}

function isProgram(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** Throws `model.unsupported` for a network with 8-bit parts: a Nano's GPU has none, and others need another calibration. */
export function refuseQuantised(model: Model, label: string): void {
  const node = model.graph.nodes.find(({ op }) =>
    /^(Quantize|Dequantize|DynamicQuantize)Linear$|^QLinear|Integer$/.test(op),
  );
  if (node === undefined) return;
  throw new FacedError(
    'model.unsupported',
    `${label} is quantised (${node.op}); an engine is made from a float model`,
    {
      fix: 'Give the stock model, or the one that `faced model half` makes.',
    },
  );
}

/** trtexec's arguments for this model. */
export function trtexecArguments(model: Model, files: { onnx: string; engine: string }): string[] {
  const shapes = model.graph.inputs
    .filter(({ name }) => !model.graph.initializers.has(name))
    .filter(({ dims }) => typeof dims?.[0] !== 'number' || dims[0] < 1)
    .map(
      ({ name, dims }) =>
        (batch: number) =>
          `${name}:${[batch, ...(dims ?? []).slice(1)].join('x')}`,
    );
  const shapeOf = (batch: number): string => shapes.map((shape) => shape(batch)).join(',');
  const free =
    shapes.length === 0
      ? []
      : [`--minShapes=${shapeOf(1)}`, `--optShapes=${shapeOf(2)}`, `--maxShapes=${shapeOf(MOST_BATCH)}`];
  return [`--onnx=${files.onnx}`, '--fp16', `--saveEngine=${files.engine}`, ...free];
}

export interface Trtexec {
  readonly program: string;
  readonly args: readonly string[];
  readonly signal: AbortSignal;
}

/** Runs trtexec; answers what it said. Throws `backend.build-failed` with its last error. */
export async function runTrtexec({ program, args, signal }: Trtexec): Promise<string> {
  const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'], signal });
  let text = '';
  const keep = (chunk: Buffer): void => {
    // Its banner comes first and its error last; what is between is long.
    text += String(chunk);
    if (text.length > MOST_OUTPUT) text = text.slice(0, MOST_OUTPUT / 2) + text.slice(-MOST_OUTPUT / 2);
  };
  child.stdout.on('data', keep);
  child.stderr.on('data', keep);
  const code = await new Promise<number | null>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (exit) => resolve(exit));
  });
  if (code === 0) return text;
  const reason = text
    .split('\n')
    .filter((line) => /\[E\]|error/i.test(line))
    .at(-1);
  throw new FacedError(
    'backend.build-failed',
    `trtexec ended with ${code ?? 'a signal'}: ${reason?.trim() ?? 'it gave no reason'}`,
    { fix: `Run it by hand to see all it says: ${program} ${args.join(' ')}` },
  );
}

/** TensorRT's version from trtexec's banner: `[TensorRT v8201]` is 8.2.1, `[TensorRT v100001]` is 10.0.1. */
export function trtexecVersion(text: string): string {
  const number = Number(/\[TensorRT v(\d{4,6})\]/.exec(text)?.[1]);
  if (!Number.isInteger(number)) {
    throw new FacedError('backend.build-failed', 'trtexec does not say which TensorRT it belongs to', {
      fix: 'Use the trtexec of TensorRT 8.2 or later.',
    });
  }
  const unit = number >= 100_000 ? 10_000 : 1000;
  return `${Math.floor(number / unit)}.${Math.floor((number % unit) / 100)}.${number % 100}`;
}

/** What faced-tensorrt calls this board as well: its device tree's name, else the GPU that trtexec chose. */
export function boardName(text: string, root = '/'): string {
  try {
    const model = readFileSync(join(root, 'proc/device-tree/model'), 'utf8').replace(/[\0\s]+$/, '');
    if (model !== '') return model;
  } catch {
    // A PC has no device tree.
  }
  return /Selected Device: (.+)$/m.exec(text)?.[1]?.trim() ?? 'unknown';
}
