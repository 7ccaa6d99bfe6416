import '../lib/no-telemetry.js';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { FacedError } from '../domain/errors.js';

/** Element types that our models take and give. */
export type TensorType = 'float32' | 'float16' | 'uint8' | 'int8' | 'int32' | 'int64' | 'bool';

export type TensorData = Float32Array | Uint16Array | Uint8Array | Int8Array | Int32Array | BigInt64Array;

/** A tensor as a session takes and gives it. float16 travels as its bits. */
export interface SessionTensor {
  readonly type: TensorType;
  readonly dims: readonly number[];
  readonly data: TensorData;
}

export interface TensorInfo {
  readonly name: string;
  readonly type: string;
  /** A string stands for a dimension that is free. */
  readonly shape: readonly (number | string)[];
}

export interface SessionOptions {
  /** Threads inside one operation; 1 unless told. */
  readonly threads?: number;
  /** ONNX Runtime's graph optimisation level; `all` unless told. */
  readonly optimisation?: 'disabled' | 'basic' | 'extended' | 'all';
  /** Writes a profile (Chrome trace JSON) whose name begins with this path at {@link Session.endProfiling}. */
  readonly profilePrefix?: string;
  /** Keep freed memory for the next run; true unless told. */
  readonly arena?: boolean;
}

/** A loaded model of any inputs and outputs. `run` blocks its thread, although it gives a promise. */
export interface Session {
  readonly inputs: readonly TensorInfo[];
  readonly outputs: readonly TensorInfo[];
  /** Runs the model; `fetches` limits what is given back. Throws `model.run-failed`. */
  run(
    feeds: Readonly<Record<string, SessionTensor>>,
    fetches?: readonly string[],
  ): Promise<Record<string, SessionTensor>>;
  endProfiling(): void;
  release(): Promise<void>;
}

/** Loads a model from a file or from memory on the CPU. Throws `model.run-failed` with ONNX Runtime's reason. */
export async function createSession(
  model: string | Uint8Array,
  options: SessionOptions = {},
): Promise<Session> {
  const settings: InferenceSession.SessionOptions = {
    executionProviders: ['cpu'],
    intraOpNumThreads: options.threads ?? 1,
    interOpNumThreads: 1,
    graphOptimizationLevel: options.optimisation ?? 'all',
    enableCpuMemArena: options.arena ?? true,
    logSeverityLevel: 3,
    ...(options.profilePrefix === undefined
      ? {}
      : { enableProfiling: true, profileFilePrefix: options.profilePrefix }),
  };
  let session: InferenceSession;
  try {
    session =
      typeof model === 'string'
        ? await InferenceSession.create(model, settings)
        : await InferenceSession.create(model, settings);
  } catch (cause) {
    throw runFailed('could not be loaded', cause);
  }
  return {
    inputs: session.inputMetadata.map(infoOf),
    outputs: session.outputMetadata.map(infoOf),
    async run(feeds, fetches) {
      const tensors = Object.fromEntries(
        Object.entries(feeds).map(([name, { type, data, dims }]) => [name, new Tensor(type, data, dims)]),
      );
      let answer: InferenceSession.OnnxValueMapType;
      try {
        answer = await (fetches === undefined ? session.run(tensors) : session.run(tensors, [...fetches]));
      } catch (cause) {
        throw runFailed('could not be run', cause);
      }
      return Object.fromEntries(
        Object.entries(answer).map(([name, value]) => [name, plain(value as Tensor)]),
      );
    },
    endProfiling: () => session.endProfiling(),
    release: () => session.release(),
  };
}

function infoOf(meta: InferenceSession.ValueMetadata): TensorInfo {
  return meta.isTensor
    ? { name: meta.name, type: meta.type, shape: [...meta.shape] }
    : { name: meta.name, type: 'other', shape: [] };
}

function plain(tensor: Tensor): SessionTensor {
  return { type: tensor.type as TensorType, dims: tensor.dims, data: tensor.data as TensorData };
}

function runFailed(what: string, cause: unknown): FacedError {
  const reason = cause instanceof Error ? cause.message : String(cause);
  return new FacedError('model.run-failed', `the model ${what}: ${reason}`, {
    fix: 'check that the file is a complete ONNX model of opset 9 to 21 with operators of the standard domain',
    cause,
  });
}
