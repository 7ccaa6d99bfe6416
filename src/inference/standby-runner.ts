import { FacedError } from '../domain/errors.js';
import type { Logger } from '../lib/log.js';
import { Serial } from '../lib/serial.js';
import type { BackendState } from '../pipeline/ports.js';
import type { ModelCard } from './card.js';
import { EngineClient } from './engine-client.js';
import { type EngineHello, elements } from './engine-wire.js';
import { type ModelRunner, outputNames } from './session.js';
import { answersOf, fillProbes, LEAST_COSINE, leastCosine, PROBES, storedAnswers } from './stored-answers.js';

/** Pictures that share a run; more gains nothing at these sizes and costs memory. */
const MAX_BATCH = 8;
const DEFAULT_PATIENCE_MS = 2000;
const DEFAULT_WATCH_MS = 5000;
/** Pauses before the engine is tried again; the last one goes on for ever. */
const DEFAULT_PAUSES_MS = [1000, 2000, 5000, 10_000, 30_000];

export interface StandbyOptions {
  readonly card: ModelCard;
  /** The engine process's Unix socket. */
  readonly socket: string;
  /** Opens the model in this process; called when it is first needed. */
  readonly openFallback: () => Promise<ModelRunner>;
  readonly log: Logger;
  /** Said on change only. */
  readonly onState: (state: BackendState) => void;
  /** Longest time for an answer of the engine. Default 2 s. */
  readonly patienceMs?: number;
  /** How often an engine that has nothing to do is asked how it is. Default 5 s. */
  readonly watchMs?: number;
  readonly pausesMs?: readonly number[];
}

/**
 * A recogniser that an engine process runs (native/tensorrt), with ONNX Runtime standing by. An engine is used once it
 * has answered like the stored FP32 answers; when it fails, the same batch is run here, and the engine is tried again
 * later. No run fails for the engine's sake.
 */
export class StandbyRunner implements ModelRunner {
  readonly maxBatch = MAX_BATCH;
  readonly stride: number;
  readonly input: Float32Array;
  readonly #options: StandbyOptions;
  #client: EngineClient | undefined;
  #fallback: Promise<ModelRunner> | undefined;
  #expected: Promise<Float32Array[]> | undefined;
  /** Runs share the input, so one waits for the other. */
  readonly #turns = new Serial();
  #timer: NodeJS.Timeout | undefined;
  #watch: NodeJS.Timeout | undefined;
  #failures = 0;
  #released = false;
  #said: string | undefined;

  private constructor(options: StandbyOptions) {
    this.#options = options;
    this.stride = elements(options.card.input.shape);
    this.input = new Float32Array(this.stride * MAX_BATCH);
  }

  /** Tries the engine once, then opens what stands by if it has to. Rejects only when the model cannot be opened here either. */
  static async open(options: StandbyOptions): Promise<StandbyRunner> {
    const runner = new StandbyRunner(options);
    await runner.#connect();
    if (runner.#client === undefined) await runner.#openFallback();
    return runner;
  }

  run(count: number): Promise<ReadonlyMap<string, Float32Array>> {
    return this.#turns.run(() => this.#run(count));
  }

  async release(): Promise<void> {
    this.#released = true;
    clearTimeout(this.#timer);
    clearInterval(this.#watch);
    await this.#turns.idle();
    this.#client?.close();
    this.#client = undefined;
    const fallback = this.#fallback;
    this.#fallback = undefined;
    await (await fallback)?.release();
  }

  async #run(count: number): Promise<ReadonlyMap<string, Float32Array>> {
    if (count < 1 || count > MAX_BATCH) throw new RangeError(`1 to ${MAX_BATCH} pictures (is ${count})`);
    const client = this.#client;
    if (client !== undefined) {
      try {
        return await client.run(this.input.subarray(0, count * this.stride), count);
      } catch (error) {
        this.#lost(FacedError.from(error), client);
      }
    }
    return this.#runHere(count);
  }

  /** In as many runs as the model here needs. */
  async #runHere(count: number): Promise<ReadonlyMap<string, Float32Array>> {
    const runner = await this.#openFallback();
    const answers = new Map<string, Float32Array>();
    for (let first = 0; first < count; first += runner.maxBatch) {
      const size = Math.min(runner.maxBatch, count - first);
      runner.input.set(this.input.subarray(first * this.stride, (first + size) * this.stride));
      for (const [name, values] of await runner.run(size)) {
        const each = values.length / size;
        const whole = answers.get(name) ?? new Float32Array(each * count);
        whole.set(values, first * each);
        answers.set(name, whole);
      }
    }
    return answers;
  }

  #openFallback(): Promise<ModelRunner> {
    if (this.#fallback === undefined) {
      const opening = this.#options.openFallback();
      this.#fallback = opening;
      // What failed is tried again next time.
      opening.catch(() => {
        this.#fallback = undefined;
      });
    }
    return this.#fallback;
  }

  async #connect(): Promise<void> {
    let client: EngineClient | undefined;
    try {
      const opened = await EngineClient.open({
        socket: this.#options.socket,
        patienceMs: this.#options.patienceMs ?? DEFAULT_PATIENCE_MS,
        onLost: (error) => this.#lost(error, opened),
      });
      client = opened;
      await this.#check(client);
    } catch (error) {
      client?.close();
      if (this.#released) return;
      this.#say(FacedError.from(error));
      this.#tryLater();
      return;
    }
    if (this.#released) {
      client.close();
      return;
    }
    this.#client = client;
    this.#failures = 0;
    this.#say(null, client.hello);
    this.#watchOver(client);
  }

  /** Whether it runs our model, and answers as that does in FP32. */
  async #check(client: EngineClient): Promise<void> {
    const { card } = this.#options;
    const wrong = mismatch(client.hello, card);
    if (wrong !== null) {
      throw new FacedError('backend.refused', `the engine at ${this.#options.socket} ${wrong}`, {
        fix: `Make the engine from this model: faced model engine ${card.id}`,
      });
    }
    this.#expected ??= this.#expectedAnswers();
    this.#expected.catch(() => {
      this.#expected = undefined;
    });
    const expected = await this.#expected;
    const probes = new Float32Array(this.stride * PROBES);
    fillProbes(probes, card);
    const cosine = leastCosine(expected, answersOf(card, await client.run(probes, PROBES)));
    if (cosine >= LEAST_COSINE) return;
    throw new FacedError(
      'backend.refused',
      `the engine answers differently from FP32: cosine ${cosine.toFixed(5)}, at least ${LEAST_COSINE} is needed`,
      { fix: `Make the engine again from the half or float model: faced model engine ${card.id}` },
    );
  }

  /** Shipped with the model; for a model of the user's own, from ONNX Runtime. */
  async #expectedAnswers(): Promise<Float32Array[]> {
    const { card } = this.#options;
    const stored = await storedAnswers(card);
    if (stored !== null) return stored;
    const runner = await this.#openFallback();
    const answers: Float32Array[] = [];
    const probes = new Float32Array(this.stride * PROBES);
    fillProbes(probes, card);
    for (let at = 0; at < PROBES; at++) {
      runner.input.set(probes.subarray(at * this.stride, (at + 1) * this.stride));
      answers.push(...answersOf(card, await runner.run(1), 1));
    }
    return answers;
  }

  #lost(error: FacedError, client: EngineClient): void {
    client.close();
    if (this.#released || this.#client !== client) return;
    this.#client = undefined;
    clearInterval(this.#watch);
    this.#say(error);
    this.#tryLater();
  }

  #tryLater(): void {
    const pauses = this.#options.pausesMs ?? DEFAULT_PAUSES_MS;
    const pause = pauses[Math.min(this.#failures, pauses.length - 1)] ?? 0;
    this.#failures++;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => void this.#connect(), pause);
    this.#timer.unref();
  }

  /** One that hangs is noticed before somebody stands at the door. */
  #watchOver(client: EngineClient): void {
    clearInterval(this.#watch);
    let asking = false;
    this.#watch = setInterval(() => {
      if (asking) return;
      asking = true;
      client
        .health()
        .catch((error: unknown) => this.#lost(FacedError.from(error), client))
        .finally(() => {
          asking = false;
        });
    }, this.#options.watchMs ?? DEFAULT_WATCH_MS);
    this.#watch.unref();
  }

  /** Once for each change: an engine that is away for a week is one line. */
  #say(problem: FacedError | null, hello?: EngineHello): void {
    const { card, log, onState } = this.#options;
    const key = problem === null ? 'engine' : `${problem.code} ${problem.message}`;
    if (this.#said === key) return;
    const before = this.#said;
    this.#said = key;
    if (problem === null && hello !== undefined) {
      const { engine, engineVersion, board, precision } = hello;
      log.info({ model: card.id, engine, engineVersion, board, precision }, 'the engine runs the recogniser');
      onState({ model: card.id, using: engine, precision, problem: null });
      return;
    }
    if (problem === null) return;
    const { code, message, fix } = problem;
    onState({ model: card.id, using: 'onnxruntime', precision: 'fp32', problem: { code, message } });
    // The first reason is the one that helps; that the socket is still not there an hour later is not news.
    if (before !== undefined && before !== 'engine') return;
    log.warn(
      { model: card.id, code, reason: message, fix },
      'the engine cannot be used; ONNX Runtime takes over',
    );
  }
}

/** What is wrong with the engine, as the end of a sentence; null when it is the card's model. */
function mismatch(hello: EngineHello, card: ModelCard): string | null {
  if (![hello.model, hello.derivedFrom, hello.sha256].includes(card.sha256))
    return `runs another model than ${card.id} (made from ${hello.model.slice(0, 12)}…)`;
  if (elements(hello.input.shape) !== elements(card.input.shape))
    return `takes [${hello.input.shape}] and the card says [${card.input.shape}]`;
  if (hello.maxBatch < MAX_BATCH) return `takes batches of ${hello.maxBatch}, ${MAX_BATCH} are needed`;
  const names = hello.outputs.map(({ name }) => name);
  const missing = outputNames(card.output).find((name) => !names.includes(name));
  return missing === undefined ? null : `answers ${names.join(', ')}, the card names ${missing}`;
}
