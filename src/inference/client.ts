import '../lib/no-telemetry.js';
import { setTimeout as sleep } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import type { Embedding } from '../domain/embedding.js';
import { FacedError } from '../domain/errors.js';
import { TypedEvents } from '../lib/events.js';
import type { Logger } from '../lib/log.js';
import { Caller, channelOf } from '../lib/rpc.js';
import type { Pace } from '../pipeline/heat-governor.js';
import type { AnalyseOptions, ImageAnalysis, MemoryLevel, Vision, VisionEvents } from '../pipeline/ports.js';
import { DEFAULT_ANALYSE_QUEUE, type VisionOptions } from '../pipeline/vision-options.js';
import { endWorker, forkWorker, STOP_PATIENCE_MS } from './worker-ends.js';

export interface VisionClientOptions {
  /** `thread`: less memory. `process`: a crash of a driver or model costs a moment, not the daemon, and ending it gives memory back. */
  readonly isolation: 'thread' | 'process';
  /** The compiled vision-worker.js. */
  readonly workerUrl: URL;
  readonly options: VisionOptions;
  readonly log: Logger;
  /** Without a sign of life for so long the worker is ended and started again. Default 7 s: with the time that the models take, seeing goes on within ten. While it loads a model it has `startMs`. */
  readonly silenceMs?: number;
  /** How long the models may take to load. Default 60 s. */
  readonly startMs?: number;
  /** Pauses before the first, second, … start after crashes in a row, milliseconds. */
  readonly pausesMs?: readonly number[];
  /** Nothing is seen any more, and only a new start of the daemon can change that: workers hang and cannot be ended. */
  readonly onFailed?: (error: FacedError) => void;
}

export const DEFAULT_SILENCE_MS = 7000;
const DEFAULT_START_MS = 60_000;
const DEFAULT_PAUSES_MS = [0, 1000, 2000, 5000, 10_000, 30_000];
/** A worker that lived this long was well: the pauses begin anew. */
const WELL_AFTER_MS = 60_000;
/** Workers that were ended and have not gone: each holds its models' memory, and perhaps the camera. */
const MOST_STUCK = 2;

interface Running {
  readonly caller: Caller;
  readonly startedAt: number;
  lastSign: number;
  /** It loads a model, and its loop may stand still. */
  loading: boolean;
  /** It has answered `start`: from here on its end is a crash. */
  ready: boolean;
  /** Ends it at once; nothing of it is heard any more. */
  end(): Promise<void>;
}

interface PendingAnalysis {
  readonly image: Uint8Array;
  readonly options: AnalyseOptions | undefined;
  retried: boolean;
  resolve(value: ImageAnalysis): void;
  reject(error: Error): void;
}

/** The vision worker, supervised. See {@link createVision}. */
class SupervisedVision implements Vision {
  readonly #options: VisionClientOptions;
  readonly #events: TypedEvents<VisionEvents>;
  readonly #pending = new Set<PendingAnalysis>();
  readonly #stopping = new AbortController();
  /** Workers that are to end and have not yet. */
  readonly #ending = new Set<Promise<void>>();
  #running: Running | undefined;
  #restarting: Promise<void> = Promise.resolve();
  #watch: NodeJS.Timeout | undefined;
  #failed: FacedError | undefined;
  #crashes = 0;
  #restarts = 0;
  #pace: Pace | null = null;
  #memory: MemoryLevel = 0;

  constructor(options: VisionClientOptions) {
    this.#options = options;
    this.#events = new TypedEvents((error) =>
      options.log.error({ reason: String(error) }, 'a listener of the vision worker failed'),
    );
  }

  on<Name extends keyof VisionEvents>(
    name: Name,
    listener: (payload: VisionEvents[Name]) => void,
  ): () => void {
    return this.#events.on(name, listener);
  }

  /** Resolves when the models are loaded and the cameras are being opened. Rejects when that can never work. */
  async start(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    const giveUp = (): void => void this.#running?.end();
    signal.addEventListener('abort', giveUp, { once: true });
    try {
      await this.#launch();
      signal.throwIfAborted();
    } catch (error) {
      signal.throwIfAborted();
      throw error;
    } finally {
      signal.removeEventListener('abort', giveUp);
    }
    const silence = this.#options.silenceMs ?? DEFAULT_SILENCE_MS;
    this.#watch = setInterval(() => this.#checkSigns(silence), Math.min(250, silence / 4));
    this.#watch.unref();
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    clearInterval(this.#watch);
    if (this.#running?.ready === false) await this.#running.end();
    await this.#restarting;
    const running = this.#running;
    this.#running = undefined;
    if (running !== undefined) {
      const patience = sleep(STOP_PATIENCE_MS, undefined, { ref: false });
      await Promise.race([running.caller.call('stop').catch(() => undefined), patience]);
      await running.end();
    }
    this.#rejectPending(new FacedError('rpc.closed', 'the vision worker was stopped'));
  }

  analyse(image: Uint8Array, options?: AnalyseOptions): Promise<ImageAnalysis> {
    if (this.#stopping.signal.aborted) {
      return Promise.reject(new FacedError('rpc.closed', 'the vision worker was stopped'));
    }
    if (this.#failed !== undefined) return Promise.reject(this.#failed);
    const limit = this.#options.options.analyseQueue ?? DEFAULT_ANALYSE_QUEUE;
    if (this.#pending.size >= limit) {
      return Promise.reject(
        new FacedError('busy', `${limit} pictures wait already`, { fix: 'Send fewer at a time.' }),
      );
    }
    return new Promise((resolve, reject) => {
      const one: PendingAnalysis = { image, options, retried: false, resolve, reject };
      this.#pending.add(one);
      if (this.#running?.ready === true) void this.#ask(one, this.#running);
    });
  }

  pace(pace: Pace): void {
    this.#pace = pace;
    // One that starts is told when it is ready.
    if (this.#running?.ready === true) this.#running.caller.call('pace', pace).catch(() => undefined);
  }

  memory(level: MemoryLevel): void {
    this.#memory = level;
    if (this.#running?.ready === true) this.#running.caller.call('memory', level).catch(() => undefined);
  }

  judged(sightings: number): void {
    // A worker that has ended waits for nothing.
    this.#running?.caller.call('judged', sightings).catch(() => undefined);
  }

  async embedCrops(crops: readonly Uint8Array[]): Promise<(Embedding | null)[]> {
    const running = this.#running;
    if (running?.ready !== true) throw new FacedError('busy', 'the vision worker is not ready');
    return running.caller.call('embedCrops', crops);
  }

  async watch(request: { camera: string; forMs: number; fps: number }): Promise<void> {
    await this.#running?.caller.call('watch', request);
  }

  label(label: { track: string; text: string; tone: 'known' | 'unknown' | 'spoof' }): void {
    // Of a worker that ended nobody sees the boxes.
    this.#running?.caller.call('label', label).catch(() => undefined);
  }

  async snapshot(camera: string): Promise<Uint8Array | null> {
    const names = this.#options.options.cameras.map(({ name }) => name);
    if (!names.includes(camera)) {
      const there = names.join(', ') || 'none';
      throw new FacedError('source.invalid', `there is no camera ${camera}; the cameras are: ${there}`);
    }
    const running = this.#running;
    if (this.#failed !== undefined) throw this.#failed;
    if (running?.ready !== true) {
      throw new FacedError('busy', 'the models are still being loaded', { fix: 'Try again in a moment.' });
    }
    return running.caller.call<Uint8Array | null>('snapshot', camera);
  }

  async #ask(one: PendingAnalysis, running: Running): Promise<void> {
    try {
      const argument = { image: one.image, ...(one.options === undefined ? {} : { options: one.options }) };
      const analysis = await running.caller.call<ImageAnalysis>('analyse', argument);
      this.#pending.delete(one);
      one.resolve(analysis);
    } catch (thrown) {
      const error = FacedError.from(thrown);
      // It goes to the next worker, once: a picture that kills workers must not do so for ever.
      if (error.code === 'vision.crashed' && !one.retried && !this.#stopping.signal.aborted) {
        one.retried = true;
        return;
      }
      this.#pending.delete(one);
      one.reject(error);
    }
  }

  async #launch(): Promise<void> {
    const running = this.#spawn();
    this.#running = running;
    const timeout = new FacedError('rpc.timeout', 'the vision worker was not ready in time', {
      fix: 'Run `faced doctor`; a slow card or too little memory are the usual reasons.',
    });
    const timer = setTimeout(() => running.caller.fail(timeout), this.#options.startMs ?? DEFAULT_START_MS);
    try {
      await running.caller.call('start', { ...this.#options.options, memory: this.#memory });
    } catch (error) {
      if (this.#running === running) this.#running = undefined;
      await running.end();
      throw error;
    } finally {
      clearTimeout(timer);
    }
    running.lastSign = performance.now();
    running.ready = true;
    if (this.#pace !== null) this.pace(this.#pace);
    if (this.#memory > 0) this.memory(this.#memory);
    for (const one of this.#pending) void this.#ask(one, running);
  }

  #spawn(): Running {
    const { isolation, workerUrl } = this.#options;
    const end = isolation === 'thread' ? new Worker(workerUrl) : forkWorker(workerUrl);
    const caller = new Caller(channelOf(end), {
      reviveError: (error) => FacedError.from(error),
      onEvent: (name, payload) => {
        if (!ended) this.#relay(running, name as keyof VisionEvents, payload);
      },
    });
    let ended = false;
    const gone = (reason: string): void => {
      if (ended) return;
      ended = true;
      caller.fail(new FacedError('vision.crashed', `the vision worker ended: ${reason}`));
      this.#crashed(running, reason);
    };
    const exited = new Promise<void>((resolve) => end.once('exit', () => resolve()));
    const leave = (): Promise<void> => {
      this.#ending.add(exited);
      void exited.then(() => this.#ending.delete(exited));
      if (isolation === 'thread') void caller.call('leave').catch(() => undefined);
      return endWorker(end, exited);
    };
    // Each message that cannot be sent is an error of its own; one that nobody hears would end the daemon.
    end.on('error', (error: Error) => {
      gone(error.message);
      void leave();
    });
    end.once('exit', (code: number | null, signal?: string | null) =>
      gone(signal ? `signal ${signal}` : `exit code ${code}`),
    );
    const now = performance.now();
    const running: Running = {
      caller,
      startedAt: now,
      lastSign: now,
      loading: false,
      ready: false,
      end: async () => {
        ended = true;
        const left = leave();
        caller.fail(new FacedError('vision.crashed', 'the vision worker was ended'));
        await left;
      },
    };
    return running;
  }

  #relay(running: Running, name: keyof VisionEvents, payload: unknown): void {
    running.lastSign = performance.now();
    if (name === 'loading') running.loading = (payload as VisionEvents['loading']).on;
    this.#events.emit(name, payload as VisionEvents[typeof name]);
  }

  #checkSigns(silenceMs: number): void {
    const running = this.#running;
    if (running?.ready !== true) return;
    const patience = running.loading ? (this.#options.startMs ?? DEFAULT_START_MS) : silenceMs;
    if (performance.now() - running.lastSign < patience) return;
    void running.end();
    this.#crashed(running, `no sign of life for ${Math.round(patience / 1000)} s`);
  }

  /** A worker that had started is gone. One that never started is its launcher's business. */
  #crashed(running: Running, reason: string): void {
    if (this.#running !== running || !running.ready || this.#stopping.signal.aborted) return;
    this.#running = undefined;
    if (performance.now() - running.startedAt > WELL_AFTER_MS) this.#crashes = 0;
    this.#restarts++;
    this.#events.emit('restarted', { reason, count: this.#restarts });
    this.#options.log.warn(
      { reason, restarts: this.#restarts },
      'the vision worker ended and is started again',
    );
    this.#restarting = this.#restart();
  }

  async #restart(): Promise<void> {
    const pauses = this.#options.pausesMs ?? DEFAULT_PAUSES_MS;
    const { signal } = this.#stopping;
    while (!signal.aborted) {
      const pause = pauses[Math.min(this.#crashes, pauses.length - 1)] ?? 0;
      this.#crashes++;
      if (pause > 0) await sleep(pause, undefined, { signal }).catch(() => undefined);
      if (signal.aborted) return;
      if (await this.#tooManyStuck()) return;
      try {
        await this.#launch();
        break;
      } catch (error) {
        if (signal.aborted) return;
        const { code, message } = FacedError.from(error);
        this.#options.log.error({ code, reason: message }, 'the vision worker could not be started again');
        this.#rejectPending(
          new FacedError('vision.crashed', `the vision worker could not be started: ${message}`),
        );
      }
    }
  }

  /** Native code that does not come back cannot be ended. More of the same would only take the memory of the house. */
  async #tooManyStuck(): Promise<boolean> {
    const patience = sleep(STOP_PATIENCE_MS);
    if (this.#ending.size >= MOST_STUCK) await Promise.race([...this.#ending, patience]);
    if (this.#ending.size < MOST_STUCK) return false;
    const error = new FacedError(
      'vision.stuck',
      `${this.#ending.size} vision workers hang and cannot be ended`,
      {
        fix: 'Restart faced; when it comes back, unplug the camera or restart the machine.',
      },
    );
    this.#options.log.error({ code: error.code, fix: error.fix }, error.message);
    this.#rejectPending(error);
    this.#failed = error;
    this.#options.onFailed?.(error);
    return true;
  }

  #rejectPending(error: FacedError): void {
    for (const one of this.#pending) one.reject(error);
    this.#pending.clear();
  }
}

/**
 * The {@link Vision} port over a worker thread or a child process. When the worker ends unexpectedly, or gives no sign of
 * life, it is ended and started again at once (with growing pauses when that happens in a row), which is said with
 * `restarted`. Pictures that were being analysed are given to the next worker once, then rejected with `vision.crashed`.
 */
export function createVision(options: VisionClientOptions): Vision {
  return new SupervisedVision(options);
}
