import '../lib/no-telemetry.js';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { FacedError } from '../domain/errors.js';
import { Serial } from '../lib/serial.js';
import { inputSize, type ModelCard, type ModelOutput } from './card.js';
import { type Device, deviceName, executionProvider } from './device.js';

/** Faces that share a run when the model allows it: more gains nothing at these sizes and costs memory. */
const MAX_BATCH = 8;

export interface ModelRunner {
  /** Pictures that fit one run; 1 when the model's batch is fixed. */
  readonly maxBatch: number;
  /** Elements of one picture. */
  readonly stride: number;
  /** The caller writes here, picture after picture, and then calls {@link run}. Belongs to the runner. */
  readonly input: Float32Array;
  /** There where the network reads pictures as they are: rows of pixels, BGR or grey. It is written to instead. */
  readonly bytes?: Uint8Array;
  /** Between runs it has no model in memory that could be let go. */
  readonly holdsNothing?: boolean;
  /** Runs the first `count` pictures. The answers are valid until the next run. Throws `model.run-failed`. */
  run(count: number): Promise<ReadonlyMap<string, Float32Array>>;
  release(): Promise<void>;
}

export interface RunnerOptions {
  /** `extended` answers the same bit for bit however a graph is cut; `all` is the fastest. */
  readonly graphLevel?: 'disabled' | 'basic' | 'extended' | 'all';
  /** The file was already optimised for this processor: nothing more is done to it. */
  readonly optimised?: boolean;
  /** Where it runs; the processor when left out. */
  readonly device?: Device;
  /** Pictures that may share a run; when left out 8 faces for a recogniser and 1 picture for every other, which suits a camera. */
  readonly maxBatch?: number;
  /** Threads of one run; 1 when left out. */
  readonly threads?: number;
  /** What is written to, when it has the size and type that the file needs; else the runner makes its own. */
  readonly input?: Float32Array | Uint8Array | null;
}

type Metadata = InferenceSession['inputMetadata'][number];

/** One ONNX Runtime session on one thread, with input and output tensors that are made once. */
export class OrtRunner implements ModelRunner {
  readonly maxBatch: number;
  readonly stride: number;
  readonly input: Float32Array;
  declare readonly bytes?: Uint8Array;
  readonly #session: InferenceSession;
  readonly #card: ModelCard;
  readonly #batches = new Map<number, Batch>();
  /** Runs share the tensors, so one waits for the other. */
  readonly #turns = new Serial();

  private constructor(
    session: InferenceSession,
    card: ModelCard,
    { maxBatch, input = null }: { maxBatch: number; input: RunnerOptions['input'] | undefined },
  ) {
    this.#session = session;
    this.#card = card;
    this.maxBatch = typeof shapeOf(inputOf(session, card))[0] === 'number' ? 1 : maxBatch;
    this.stride = product(card.input.shape);
    const size = this.stride * this.maxBatch;
    const asBytes = readsBytes(inputOf(session, card));
    const given = input?.length === size ? input : null;
    this.input = !asBytes && given instanceof Float32Array ? given : new Float32Array(asBytes ? 0 : size);
    if (asBytes) this.bytes = given instanceof Uint8Array ? given : new Uint8Array(size);
  }

  /** Loads the file and checks inputs and outputs against the card: throws `model.mismatch` with both values said. */
  static async open(path: string, card: ModelCard, options: RunnerOptions = {}): Promise<OrtRunner> {
    const { device = { kind: 'cpu' }, threads = 1 } = options;
    const { maxBatch = card.role === 'recogniser' ? MAX_BATCH : 1 } = options;
    let session: InferenceSession;
    try {
      session = await InferenceSession.create(path, {
        executionProviders: [executionProvider(device)],
        intraOpNumThreads: threads,
        interOpNumThreads: 1,
        executionMode: 'sequential',
        // Measured in the daemon: without memory patterns 20 MB less at no time; without the arena 11 MB less, and a run
        // takes 2 % longer (docs/performance.md).
        enableMemPattern: false,
        enableCpuMemArena: false,
        graphOptimizationLevel: options.graphLevel ?? 'all',
        logSeverityLevel: 3,
        // Threads that wait must not burn what the camera and the rest could use.
        ...(threads > 1 && { extra: { session: { intra_op: { allow_spinning: '0' } } } }),
      });
    } catch (cause) {
      if (device.kind !== 'cpu') throw deviceFailed(device, cause);
      throw new FacedError('model.mismatch', `${path} cannot be loaded as ${card.id}: ${messageOf(cause)}`, {
        fix: 'The file is cut off, damaged, or not ONNX; fetch or export it again.',
        cause,
      });
    }
    const wrong = mismatches(session, card);
    if (wrong.length === 0) {
      const runner = new OrtRunner(session, card, { maxBatch, input: options.input });
      // The first run takes its memory and finds what loads and cannot be run: no face should wait for that.
      await runner.run(1);
      return runner;
    }
    await session.release();
    throw new FacedError(
      'model.mismatch',
      `${path} is not what the card ${card.id} says: ${wrong.join('; ')}`,
      {
        fix: "Correct the card's input or output, or bring the file that it describes.",
      },
    );
  }

  run(count: number): Promise<ReadonlyMap<string, Float32Array>> {
    return this.#turns.run(() => this.#run(count));
  }

  async release(): Promise<void> {
    await this.#turns.idle();
    this.#batches.clear();
    await this.#session.release();
  }

  async #run(count: number): Promise<ReadonlyMap<string, Float32Array>> {
    if (count < 1 || count > this.maxBatch)
      throw new RangeError(`1 to ${this.maxBatch} pictures (is ${count})`);
    const batch = this.#batch(count);
    try {
      const answers = await this.#session.run(batch.feeds, batch.fetches);
      if (batch.fixed) return batch.views;
      return new Map(Object.entries(answers).map(([name, tensor]) => [name, tensor.data as Float32Array]));
    } catch (cause) {
      throw new FacedError('model.run-failed', `${this.#card.id} could not be run: ${messageOf(cause)}`, {
        cause,
      });
    }
  }

  /** Tensors for this many pictures: views of the one input, and outputs of their own. */
  #batch(count: number): Batch {
    const known = this.#batches.get(count);
    if (known !== undefined) return known;
    const { name, shape } = this.#card.input;
    const size = count * this.stride;
    const input =
      this.bytes === undefined
        ? new Tensor('float32', this.input.subarray(0, size), [count, ...shape.slice(1)])
        : new Tensor('uint8', this.bytes.subarray(0, size), [count, ...pictureShape(this.#card).slice(1)]);
    const feeds = { [name]: input };
    const outputs = outputNames(this.#card.output).map((output) => {
      const meta = this.#session.outputMetadata.find((one) => one.name === output);
      const dims =
        meta === undefined
          ? []
          : shapeOf(meta).map((dim, at) => (at === 0 && typeof dim !== 'number' ? count : dim));
      return { output, dims };
    });
    const fixed = outputs.every(({ dims }) => dims.every((dim) => typeof dim === 'number' && dim > 0));
    const views = new Map<string, Float32Array>();
    const fetches: Record<string, Tensor | null> = {};
    for (const { output, dims } of outputs) {
      if (!fixed) {
        fetches[output] = null;
        continue;
      }
      const view = new Float32Array(product(dims as number[]));
      views.set(output, view);
      fetches[output] = new Tensor('float32', view, dims as number[]);
    }
    const batch = { feeds, fetches, views, fixed };
    this.#batches.set(count, batch);
    return batch;
  }
}

interface Batch {
  readonly feeds: Record<string, Tensor>;
  readonly fetches: Record<string, Tensor | null>;
  readonly views: ReadonlyMap<string, Float32Array>;
  /** All output shapes are known, so that ONNX Runtime writes into `views`. */
  readonly fixed: boolean;
}

/** Names of the outputs that a form needs. */
export function outputNames(output: ModelOutput): string[] {
  if (output.form === 'ultraface') return [output.scores, output.boxes];
  if (output.form === 'yunet') return [...output.cls, ...output.obj, ...output.bbox, ...output.kps];
  return [output.name];
}

function mismatches(session: InferenceSession, card: ModelCard): string[] {
  const wrong: string[] = [];
  const inputs = session.inputMetadata.map((one) => one.name);
  if (inputs.length !== 1 || inputs[0] !== card.input.name) {
    wrong.push(`input is ${inputs.join(', ')} in the file and ${card.input.name} in the card`);
  } else {
    const input = inputOf(session, card);
    const shape = shapeOf(input);
    const expected = readsBytes(input) ? pictureShape(card) : card.input.shape;
    if (!fits(shape, expected))
      wrong.push(`input shape is [${shape}] in the file and [${expected}] in the card`);
    if (input.isTensor && input.type !== 'float32' && input.type !== 'uint8')
      wrong.push(`input type is ${input.type}, faced feeds float32 or uint8`);
  }
  for (const name of outputNames(card.output)) {
    const meta = session.outputMetadata.find((one) => one.name === name);
    if (meta === undefined) {
      const names = session.outputMetadata.map((one) => one.name);
      wrong.push(`outputs are ${names.join(', ')} in the file, the card names ${name}`);
      continue;
    }
    const width = lastWidth(card.output, name);
    const last = shapeOf(meta).at(-1);
    if (width !== undefined && typeof last === 'number' && last !== width) {
      wrong.push(`output ${name} ends with ${last} in the file and ${width} in the card`);
    }
  }
  return wrong;
}

/** What an output's last dimension must be. */
function lastWidth(output: ModelOutput, name: string): number | undefined {
  if (output.form === 'embedding') return output.size;
  if (output.form === 'landmarks68') return 136;
  if (output.form === 'liveness') return output.classes;
  if (output.form === 'ultraface') return name === output.scores ? 2 : 4;
  if (output.bbox.includes(name)) return 4;
  return output.kps.includes(name) ? 10 : undefined;
}

function readsBytes(input: Metadata): boolean {
  return input.isTensor && input.type === 'uint8';
}

/** One picture as bytes. */
function pictureShape({ input }: ModelCard): number[] {
  const { width, height, channels } = inputSize(input);
  return [1, height, width, channels];
}

/** A named dimension in the file takes any number. */
function fits(file: readonly (number | string)[], card: readonly number[]): boolean {
  return file.length === card.length && file.every((dim, at) => typeof dim !== 'number' || dim === card[at]);
}

function inputOf(session: InferenceSession, card: ModelCard): Metadata {
  const found = session.inputMetadata.find((one) => one.name === card.input.name);
  if (found === undefined) throw new FacedError('internal', `no input ${card.input.name}`);
  return found;
}

function shapeOf(meta: Metadata): readonly (number | string)[] {
  return meta.isTensor ? meta.shape : [];
}

function product(shape: readonly number[]): number {
  return shape.reduce((a, b) => a * b, 1);
}

function deviceFailed(device: Device, cause: unknown): FacedError {
  return new FacedError(
    'model.run-failed',
    `${deviceName(device)} cannot be used: ${messageOf(cause).split('\n')[0]}`,
    { fix: 'name devices that this machine and this build of ONNX Runtime have; cpu always works', cause },
  );
}

function messageOf(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause);
}
