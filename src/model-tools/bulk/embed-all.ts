import type { ErrorCode } from '../../domain/errors.js';
import type { FaceQuality } from '../../domain/face.js';
import type { Device } from '../../inference/device.js';
import type { ModelChoice } from '../../inference/index.js';
import { entry } from '../../lib/program.js';
import { Pool } from './pool.js';

/**
 * Which face of a picture counts. `main`: the one that is large and near the middle, good or not (a data set).
 * `subject`: the one that enrolment would take, else the reason why it takes none.
 */
export type FaceRule = 'main' | 'subject';

export interface BulkOptions {
  readonly files: readonly string[];
  /** Pictures that go through the networks together. */
  readonly batch: number;
  /** Threads that decode, detect and align ahead of the embedding. */
  readonly workers: number;
  /** One embedding thread for each. */
  readonly devices: readonly Device[];
  readonly modelsDir: string;
  readonly models?: Partial<ModelChoice>;
  readonly rule: FaceRule;
  /** Batches before this one are left out: they were done by an earlier run. */
  readonly firstBatch?: number;
  readonly signal: AbortSignal;
}

/** What one picture gave. */
export type PictureOutcome =
  | { readonly vector: Float32Array; readonly quality: FaceQuality }
  | { readonly vector: null; readonly code: ErrorCode; readonly reason: string };

/** A picture as the preparing thread leaves it. */
export type PreparedPicture =
  | { readonly crop: Uint8Array; readonly quality: FaceQuality }
  | { readonly crop: null; readonly code: ErrorCode; readonly reason: string };

/** How much of their time the threads worked, 0 to 1: the higher one is where more threads would help. */
export interface BulkLoad {
  readonly prepare: number;
  readonly embed: number;
}

/**
 * Embeddings of a large set of pictures: `workers` threads decode, detect and align ahead of one embedding thread for
 * each device. `onBatch` is told of each batch in order; a batch is the same pictures however many threads there are,
 * so that the answers are the same bytes. What is in flight is bounded. Rejects with the first failure that is not
 * about one picture; the threads have ended then.
 */
export async function embedAll(
  options: BulkOptions,
  onBatch: (batch: number, outcomes: readonly PictureOutcome[]) => Promise<void>,
): Promise<BulkLoad> {
  const { files, batch, workers, devices, modelsDir, models = {}, rule, signal } = options;
  const common = { modelsDir, models, batch };
  const preparing = new Pool(
    entry('model-tools/bulk/prepare-worker.js'),
    Array.from({ length: workers }, () => ({ ...common, rule })),
  );
  const embedding = new Pool(
    entry('model-tools/bulk/device-worker.js'),
    devices.map((device) => ({ ...common, device })),
  );
  const giveUp = (): void => void Promise.all([preparing.stop(), embedding.stop()]);
  signal.addEventListener('abort', giveUp, { once: true });
  const started = performance.now();
  const work = async (at: number): Promise<PictureOutcome[]> => {
    const pictures = files.slice(at * batch, (at + 1) * batch);
    const prepared = await preparing.call<PreparedPicture[]>('prepare', pictures);
    return embedding.call<PictureOutcome[]>('embed', prepared);
  };
  // Every thread has work, each embedding thread a batch more to go on with; the oldest batch is waited for.
  const window = workers + 2 * devices.length;
  const inFlight: { at: number; outcomes: Promise<PictureOutcome[]> }[] = [];
  const deliver = async (): Promise<void> => {
    const oldest = inFlight.shift();
    if (oldest !== undefined) await onBatch(oldest.at, await oldest.outcomes);
  };
  try {
    for (let at = options.firstBatch ?? 0; at * batch < files.length; at += 1) {
      signal.throwIfAborted();
      const outcomes = work(at);
      // Its failure is met when its turn comes; until then it must not end the process.
      outcomes.catch(() => undefined);
      inFlight.push({ at, outcomes });
      if (inFlight.length >= window) await deliver();
    }
    while (inFlight.length > 0) await deliver();
  } finally {
    signal.removeEventListener('abort', giveUp);
    await Promise.all([preparing.stop(), embedding.stop()]);
  }
  const elapsed = Math.max(performance.now() - started, 1e-9);
  return {
    prepare: preparing.busyMs / (elapsed * preparing.size),
    embed: embedding.busyMs / (elapsed * embedding.size),
  };
}
