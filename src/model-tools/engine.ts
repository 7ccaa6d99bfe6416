import { spawn } from 'node:child_process';
import { accessSync, constants, readFileSync, statSync } from 'node:fs';
import { stat } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { FacedError } from '../domain/errors.js';
import type { Model } from './graph/index.js';

/** Where JetPack, NVIDIA's containers and its tar files put it, after PATH. */
const USUAL_PLACES = ['/usr/src/tensorrt/bin', '/usr/local/tensorrt/bin', '/opt/tensorrt/bin'] as const;
/** What trtexec says at most that is kept, for its error. */
const MOST_OUTPUT = 64 * 1024;
/** Faces that share a run of an engine whose batch is free. */
const MOST_BATCH = 8;

/** The first of these is JetPack's: what is shown where none is installed. */
export const JETPACKS_TRTEXEC = join(USUAL_PLACES[0], 'trtexec');

/**
 * The program that makes engines. Throws `backend.tool-missing` with the places that were looked at.
 * @param given its path, or the folder that it is in
 */
export function findTrtexec(env: NodeJS.ProcessEnv, given?: string): string {
  const places =
    given === undefined
      ? [...(env.PATH ?? '').split(delimiter).filter(Boolean), ...USUAL_PLACES].map((dir) =>
          join(dir, 'trtexec'),
        )
      : [given, join(given, 'trtexec')];
  const found = places.find(isProgram);
  if (found !== undefined) return found;
  throw new FacedError(
    'backend.tool-missing',
    given === undefined
      ? `trtexec is neither in PATH nor in ${USUAL_PLACES.join(', ')}`
      : `${given} is no program`,
    {
      fix: 'Run this on the Jetson, with JetPack installed (apt install libnvinfer-bin), or name it: --trtexec PATH.',
    },
  );
}

function isProgram(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch {
    return false;
  }
}

/**
 * Throws `model.unsupported` for what no engine is made from: a network with 8-bit parts (a Nano's GPU has none, and
 * others need another calibration), or one that takes or answers anything but float32, which faced-tensorrt does not serve.
 */
export function refuseUnfit(model: Model, label: string): void {
  const node = model.graph.nodes.find(({ op }) =>
    /^(Quantize|Dequantize|DynamicQuantize)Linear$|^QLinear|^QGemm$|^QAttention$|Integer$/.test(op),
  );
  const fix = 'Give the stock model, or the one that `faced model half` makes.';
  if (node !== undefined)
    throw new FacedError(
      'model.unsupported',
      `${label} is quantised (${node.op}); an engine is made from a float model`,
      { fix },
    );
  const { inputs, outputs, initializers } = model.graph;
  const other = [...inputs, ...outputs].find(
    ({ name, type }) => !initializers.has(name) && type !== null && type !== 'float32',
  );
  if (other !== undefined)
    throw new FacedError(
      'model.unsupported',
      `${label} has ${other.name} as ${other.type}; an engine takes and answers float32`,
      { fix },
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
          `${quoted(name)}:${[batch, ...(dims ?? []).slice(1)].join('x')}`,
    );
  const shapeOf = (batch: number): string => shapes.map((shape) => shape(batch)).join(',');
  const free =
    shapes.length === 0
      ? []
      : [`--minShapes=${shapeOf(1)}`, `--optShapes=${shapeOf(2)}`, `--maxShapes=${shapeOf(MOST_BATCH)}`];
  return [`--onnx=${files.onnx}`, '--fp16', `--saveEngine=${files.engine}`, ...free];
}

/** trtexec parts name and shape at colons and shapes at commas, unless the name is in single quotes. */
function quoted(name: string): string {
  return /[:,]/.test(name) ? `'${name}'` : name;
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
  const ended = await new Promise<number | NodeJS.Signals>((resolve, reject) => {
    child.once('error', (cause) =>
      reject(
        new FacedError('backend.build-failed', `${program} cannot be run: ${cause.message}`, {
          fix: 'Name the trtexec of this board: --trtexec PATH.',
          cause,
        }),
      ),
    );
    child.once('close', (exit, killedBy) => resolve(killedBy ?? exit ?? 1));
  });
  if (ended === 0) return text;
  const lines = text.split('\n').filter((line) => line.trim() !== '');
  const reason = (lines.filter((line) => /\[E\]|error/i.test(line)).at(-1) ?? lines.at(-1))?.trim();
  const killed = ended === 'SIGKILL';
  throw new FacedError(
    'backend.build-failed',
    `trtexec ended with ${ended}: ${killed ? 'most likely the memory was not enough' : (reason ?? 'it gave no reason')}`,
    {
      fix: killed
        ? 'End other programs, or add swap, and try again.'
        : `Run it by hand to see all it says: ${program} ${args.join(' ')}`,
    },
  );
}

/** Throws `backend.build-failed` when trtexec said that all is well and wrote nothing. */
export async function assertEngine(path: string): Promise<void> {
  const size = await stat(path).then(
    (facts) => facts.size,
    () => 0,
  );
  if (size > 0) return;
  throw new FacedError('backend.build-failed', `trtexec ended well and wrote no engine to ${path}`, {
    fix: 'Look whether the disk is full, and whether this trtexec knows --saveEngine.',
  });
}

/** TensorRT's version from trtexec's banner: `[TensorRT v8201]` is 8.2.1, `[TensorRT v100001]` is 10.0.1. */
export function trtexecVersion(text: string): string {
  const number = Number(/\[TensorRT v(\d{4,6})\]/.exec(text)?.[1]);
  const fix = 'Use the trtexec of TensorRT 8.2 or later: on a Jetson Nano that of JetPack 4.6.1 or later.';
  if (!Number.isInteger(number))
    throw new FacedError('backend.build-failed', 'trtexec does not say which TensorRT it belongs to', {
      fix,
    });
  const unit = number >= 100_000 ? 10_000 : 1000;
  const version = `${Math.floor(number / unit)}.${Math.floor((number % unit) / 100)}.${number % 100}`;
  if (number >= 8000) return version;
  throw new FacedError('backend.build-failed', `TensorRT ${version} is too old for faced-tensorrt`, { fix });
}

/** What faced-tensorrt calls this board as well: its device tree's name, else the GPU that trtexec chose. */
export function boardName(text: string, root = '/'): string {
  try {
    const model = readFileSync(join(root, 'proc/device-tree/model'), 'utf8').replace(/[\0\s]+$/, '');
    if (model !== '') return model;
  } catch {
    // A PC has no device tree.
  }
  const gpu = /Selected Device: (.+)$/m.exec(text)?.[1]?.trim();
  if (gpu !== undefined) return gpu;
  throw new FacedError('backend.build-failed', 'neither the device tree nor trtexec names this board', {
    fix: 'Run this on the host of the board, where /proc/device-tree is, and not in a container.',
  });
}
