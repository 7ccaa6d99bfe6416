import { FacedError } from '../domain/errors.js';
import type { Logger } from '../lib/log.js';
import { Serial } from '../lib/serial.js';
import type { BackendState } from '../pipeline/ports.js';
import type { ModelCard } from './card.js';
import { checkEngine, DEFAULT_PATIENCE_MS, MAX_BATCH } from './engine-check.js';
import { EngineClient } from './engine-client.js';
import { type EngineHello, elements } from './engine-wire.js';
import type { ModelRunner } from './session.js';
import { answersOf, fillProbes, PROBES, storedAnswers } from './stored-answers.js';

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
  /** Codes that were said since the engine was last well. */
  readonly #warned = new Set<string>();

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
      await checkEngine(client, { ...this.#options, expected: () => this.#expectedOnce() });
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

  /** What failed is asked for again next time. */
  #expectedOnce(): Promise<Float32Array[]> {
    this.#expected ??= this.#expectedAnswers();
    this.#expected.catch(() => {
      this.#expected = undefined;
    });
    return this.#expected;
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
    this.#said = key;
    if (problem === null && hello !== undefined) {
      this.#warned.clear();
      const { engine, engineVersion, board, precision } = hello;
      log.info({ model: card.id, engine, engineVersion, board, precision }, 'the engine runs the recogniser');
      onState({ model: card.id, using: engine, precision, problem: null });
      return;
    }
    if (problem === null) return;
    const { code, message, fix } = problem;
    onState({ model: card.id, using: 'onnxruntime', precision: 'fp32', problem: { code, message } });
    // Each kind of reason once until the engine is well: that it is still away an hour later is not news, that it came
    // back and was refused is.
    if (this.#warned.has(code)) return;
    this.#warned.add(code);
    log.warn(
      { model: card.id, code, reason: message, fix },
      'the engine cannot be used; ONNX Runtime takes over',
    );
  }
}
