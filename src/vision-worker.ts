/**
 * The vision worker's composition root: cameras, models and loops, on a thread or in a child process of their own.
 * It holds neither the gallery's key nor the lock. The runs of the models block it, which is what it is there for.
 */
import { setMaxListeners } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { parentPort } from 'node:worker_threads';
import { createSource } from './camera/index.js';
import type { Embedding } from './domain/embedding.js';
import { FacedError } from './domain/errors.js';
import { decode, releaseFreeMemory } from './image/index.js';
import { FOR_PICTURES, ModelStore, openModels } from './inference/index.js';
import { TypedEvents } from './lib/events.js';
import { collectGarbage } from './lib/garbage.js';
import { createLogger, type Logger } from './lib/log.js';
import { channelOf, serve } from './lib/rpc.js';
import { decodeCrop, ImageAnalyser } from './pipeline/analyse.js';
import { CameraLoop } from './pipeline/camera-loop.js';
import { Flow } from './pipeline/flow.js';
import { PACES, type Pace } from './pipeline/heat-governor.js';
import { type Label, LiveView } from './pipeline/live-view.js';
import type {
  AnalyseOptions,
  FaceEmbedder,
  FrameSource,
  ImageAnalysis,
  MemoryLevel,
  VisionEvents,
} from './pipeline/ports.js';
import { sameFaceLimits } from './pipeline/same-face.js';
import { StageClock } from './pipeline/stage-clock.js';
import { Turns } from './pipeline/turns.js';
import { type CameraSettings, DEFAULT_ANALYSE_QUEUE, type VisionOptions } from './pipeline/vision-options.js';
import { freeMemory, memoryFigures, processMemory } from './system/memory.js';

const BEAT_MS = 1000;
/** A model for which there was no room is tried again after so long. */
const TRY_AGAIN_MS = 2000;
/** A model that nobody has used for so long is let go while memory is low, and while it is critical. */
const IDLE_MS = { 1: 30_000, 2: 3000 } as const;
/** Of these kinds a source may end by itself; a camera's never does. */
const LIVE_SOURCE = /^(v4l2|csi|rtsps?|gstreamer):/;

class VisionWorker {
  readonly #events = new TypedEvents<VisionEvents>((error) => this.#sayFailure(FacedError.from(error)));
  readonly #stages = new StageClock();
  readonly #turns = new Turns();
  readonly #stopping = new AbortController();
  readonly #saidFailures = new Set<string>();
  readonly #emit: (name: string, payload: unknown) => void;
  readonly #flow = new Flow();
  #logger: Logger = createLogger('info');
  #sources: FrameSource[] = [];
  #loops = new Map<string, CameraLoop>();
  readonly #views = new Map<string, LiveView>();
  #running: Promise<unknown> = Promise.resolve();
  #beat: NodeJS.Timeout | undefined;
  #models: ModelStore | undefined;
  #analyser: ImageAnalyser | undefined;
  #embedder: FaceEmbedder | undefined;
  #pace: Pace = PACES[0];
  #memory: MemoryLevel = 0;
  /** Why there are no models; null when there are, or are about to be. */
  #noMemory: FacedError | null = null;
  #queueLimit = DEFAULT_ANALYSE_QUEUE;
  #waiting = 0;

  constructor(emit: (name: string, payload: unknown) => void) {
    this.#emit = emit;
  }

  /**
   * Loads the models and begins to look. Rejects when a model or a source can never work, and when there is no room for a
   * model, unless that is waited for (`awaitMemory`).
   */
  async start(options: VisionOptions): Promise<void> {
    // Every source and pause of every camera listens to it.
    setMaxListeners(0, this.#stopping.signal);
    this.#logger = createLogger(options.logLevel ?? 'info').child({ part: 'vision' });
    this.#queueLimit = options.analyseQueue ?? DEFAULT_ANALYSE_QUEUE;
    for (const name of [
      'sighted',
      'trackEnded',
      'livenessChanged',
      'cameraChanged',
      'sourcesEnded',
      'beat',
      'backendChanged',
      'loading',
      'viewed',
    ] as const) {
      this.#events.on(name, (payload) => this.#emit(name, payload));
    }
    if (options.awaitJudgement === true) this.#events.on('sighted', () => this.#flow.sent());
    this.#beat = setInterval(() => this.#sayBeat(), BEAT_MS);
    const { engineSocket, memoryBudget, memory = 0 } = options;
    this.#memory = memory;
    const store = new ModelStore({
      dir: options.modelsDir,
      logger: this.#logger,
      room: () => freeMemory(memoryFigures()),
      onLoading: (on) => this.#events.emit('loading', { on }),
      ...(memoryBudget === undefined ? {} : { budgetLeft: () => memoryBudget - residentTogether() }),
      ...(options.variant === undefined ? {} : { wish: options.variant }),
      ...(options.variantFirst === undefined ? {} : { first: options.variantFirst }),
      ...(options.threads === undefined ? {} : { runner: { threads: options.threads } }),
      ...(engineSocket === undefined
        ? {}
        : {
            engine: {
              socket: engineSocket,
              onState: (state) => this.#events.emit('backendChanged', state),
            },
          }),
    });
    this.#models = store;
    await store.setInShards(memory === 2);
    try {
      await this.#begin(store, options);
    } catch (error) {
      if (options.awaitMemory !== true || !isOfMemory(error) || endsByItself(options.cameras)) throw error;
      const { code, message: reason, fix } = error;
      this.#logger.error({ code, reason, fix }, 'nothing is looked at until there is room for the models');
      this.#noMemory = error;
      this.#running = this.#beginWhenItFits(store, options);
    }
  }

  /** What there is no room for is tried again, until it comes or something else is wrong. */
  async #beginWhenItFits(store: ModelStore, options: VisionOptions): Promise<void> {
    const { signal } = this.#stopping;
    while (this.#noMemory !== null) {
      await sleep(TRY_AGAIN_MS, undefined, { signal }).catch(() => undefined);
      if (signal.aborted) return;
      try {
        await this.#begin(store, options);
        this.#noMemory = null;
      } catch (error) {
        if (signal.aborted) return;
        // Whoever watches over this worker starts it again and says what is wrong.
        if (!isOfMemory(error)) process.exit(1);
        this.#noMemory = error;
      }
    }
    await this.#running;
  }

  async #begin(store: ModelStore, options: VisionOptions): Promise<void> {
    const { signal } = this.#stopping;
    const wanted = {
      store,
      models: options.models,
      signal,
      ...(options.flip === undefined ? {} : { embedder: { flip: options.flip } }),
    };
    const models = await openModels(wanted);
    // The same networks; pictures get more looks than frames.
    const forPictures = await openModels({
      ...wanted,
      detector: { ...FOR_PICTURES, secondLook: () => this.#memory === 0 },
    });
    await this.#sayModels(store, options);
    const { embedder, liveness } = models;
    this.#embedder = embedder;
    const parts = { detector: forPictures.detector, embedder };
    this.#analyser = new ImageAnalyser(liveness === null ? parts : { ...parts, liveness });
    for (const camera of options.cameras) {
      const source = await this.#sourceOf(camera, options);
      const liveView = new LiveView({
        camera: camera.name,
        onViewed: (view) => this.#events.emit('viewed', view),
      });
      liveView.off = this.#memory > 0;
      this.#views.set(camera.name, liveView);
      const loop = new CameraLoop({
        liveView,
        source,
        view: camera.view,
        detector: models.detector,
        stillDetector: forPictures.detector,
        embedder,
        liveness,
        ...(camera.liveness === undefined ? {} : { life: camera.liveness }),
        turns: this.#turns,
        stages: this.#stages,
        events: this.#events,
        onFailure: (error) => this.#sayFailure(error),
        crops: options.crops ?? false,
        tracker: sameFaceLimits(models.recogniser.curve),
        flow: this.#flow,
        ...(camera.looks === undefined ? {} : { looks: camera.looks }),
      });
      this.#sources.push(source);
      loop.setPace(this.#pace);
      this.#loops.set(camera.name, loop);
    }
    for (const source of this.#sources) await source.start(signal);
    collectGarbage();
    this.#running = this.#runLoops(options.cameras);
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    await Promise.all(this.#sources.map((source) => source.stop()));
    await this.#running;
    clearInterval(this.#beat);
  }

  async analyse(request: { image: Uint8Array; options?: AnalyseOptions }): Promise<ImageAnalysis> {
    const analyser = this.#analyser;
    if (analyser === undefined) throw this.#notYet();
    if (this.#waiting >= this.#queueLimit) {
      throw new FacedError('busy', `${this.#waiting} pictures wait already`, {
        fix: 'Send fewer at a time.',
      });
    }
    this.#waiting++;
    try {
      return await this.#turns.takeBehind(async (giveWay) => {
        const image = decode(request.image);
        await giveWay();
        const analysis = await analyser.analyse(image, request.options ?? {}, giveWay);
        // Lets the answer out before the next picture.
        await giveWay();
        return analysis;
      });
    } finally {
      this.#waiting--;
    }
  }

  /** Also of loops that are made later. */
  pace(pace: Pace): void {
    this.#pace = pace;
    for (const loop of this.#loops.values()) loop.setPace(pace);
  }

  /** What costs memory and decides nothing is left out while there is little. */
  memory(level: MemoryLevel): void {
    this.#memory = level;
    for (const view of this.#views.values()) view.off = level > 0;
    this.#models
      ?.setInShards(level === 2)
      .catch((error: unknown) => this.#sayFailure(FacedError.from(error)));
    if (level === 0) void this.#reload();
  }

  /** What was let go comes back when there is room again, while nobody waits for it. */
  async #reload(): Promise<void> {
    const store = this.#models;
    for (const id of store?.absent ?? []) {
      if (this.#memory > 0) return;
      await this.#turns
        .takeBehind(async () => store?.reload(id))
        .catch((error: unknown) => this.#sayFailure(FacedError.from(error)));
    }
  }

  #releaseIdle(): void {
    if (this.#memory === 0) return;
    this.#models
      ?.releaseIdle(IDLE_MS[this.#memory])
      .catch((error: unknown) => this.#sayFailure(FacedError.from(error)));
  }

  judged(sightings: number): void {
    this.#flow.judged(sightings);
  }

  /** One run of the recogniser for all; the cards' own alignment is in the crops already. */
  embedCrops(crops: readonly Uint8Array[]): Promise<(Embedding | null)[]> {
    const embedder = this.#embedder;
    if (embedder === undefined) throw this.#notYet();
    return this.#turns.takeBehind(() => embedder.embed(crops.map((jpeg) => ({ crop: decodeCrop(jpeg) }))));
  }

  #notYet(): FacedError {
    return this.#noMemory ?? new FacedError('busy', 'the models are still being loaded');
  }

  async snapshot(camera: string): Promise<Uint8Array | null> {
    return this.#named(this.#loops, camera).snapshot();
  }

  watch({ camera, ...request }: { camera: string; forMs: number; fps: number }): void {
    this.#named(this.#views, camera).watch(request);
  }

  label(label: Label): void {
    for (const view of this.#views.values()) view.label(label);
  }

  #named<Part>(parts: ReadonlyMap<string, Part>, camera: string): Part {
    const part = parts.get(camera);
    if (part !== undefined) return part;
    if (this.#noMemory !== null) throw this.#noMemory;
    const names = [...parts.keys()].join(', ') || 'none';
    throw new FacedError('source.invalid', `there is no camera ${camera}; the cameras are: ${names}`);
  }

  async #runLoops(cameras: readonly CameraSettings[]): Promise<void> {
    if (this.#loops.size === 0) return;
    const { signal } = this.#stopping;
    const run = async (loop: CameraLoop): Promise<void> => {
      try {
        await loop.run(signal);
      } catch (error) {
        this.#sayFailure(FacedError.from(error));
      }
    };
    await Promise.all([...this.#loops.values()].map(run));
    if (!signal.aborted && endsByItself(cameras)) this.#events.emit('sourcesEnded', {});
  }

  /** Which form of each model runs, and why; the recogniser's stands in the health report too. */
  async #sayModels(store: ModelStore, { models, engineSocket, cameras }: VisionOptions): Promise<void> {
    for (const id of store.loaded) {
      const { kind, why, card } = await store.inUse(id);
      // Whoever starts a service wants to know; whoever asks who is in a picture does not.
      this.#logger[cameras.length > 0 ? 'info' : 'debug']({ model: id, form: kind, why }, 'model in use');
      if (card.id !== models.recogniser || engineSocket !== undefined) continue;
      const precision = kind === 'int8' ? 'int8' : kind === 'half' ? 'fp16' : 'fp32';
      this.#events.emit('backendChanged', { model: id, using: 'onnxruntime', precision, why, problem: null });
    }
  }

  #sourceOf(camera: CameraSettings, options: VisionOptions): Promise<FrameSource> {
    return createSource(
      {
        name: camera.name,
        source: camera.source,
        ...(camera.view.fps === undefined ? {} : { maxFps: camera.view.fps }),
        ...(camera.freezeAfterMs === undefined ? {} : { freezeAfterMs: camera.freezeAfterMs }),
        ...(options.photographs === undefined ? {} : { photographs: options.photographs }),
      },
      { logger: this.#logger },
    );
  }

  #sayBeat(): void {
    const loops = [...this.#loops.values()];
    for (const loop of loops) loop.tick();
    // Each run of a model leaves holes in the heap; a millisecond once a second gives them back (docs/performance.md).
    this.#releaseIdle();
    releaseFreeMemory();
    this.#events.emit('beat', {
      cameras: loops.map((loop) => loop.stats()),
      stages: this.#stages.take(),
      models: this.#models?.takeCounts() ?? {},
      refused: this.#models?.refused ?? [],
      rssBytes: process.memoryUsage.rss(),
    });
  }

  /** Each kind of failure is said once; how often it happened stands in the beat. */
  #sayFailure(error: FacedError): void {
    const kind = `${error.code} ${error.message}`;
    if (this.#saidFailures.has(kind) || this.#saidFailures.size >= 100) return;
    this.#saidFailures.add(kind);
    this.#logger.error(
      { code: error.code, reason: error.message, fix: error.fix },
      'the work on a frame failed; the next one goes on',
    );
  }
}

function endsByItself(cameras: readonly CameraSettings[]): boolean {
  return cameras.length > 0 && !cameras.some(({ source }) => LIVE_SOURCE.test(source));
}

function isOfMemory(error: unknown): error is FacedError {
  return error instanceof FacedError && error.code === 'model.no-memory';
}

/** Of the daemon and this worker, bytes. */
function residentTogether(): number {
  const own = process.memoryUsage.rss();
  return parentPort === null ? own + (processMemory(process.ppid).rss ?? 0) : own;
}

const channel = channelOf(parentPort ?? process);
const server = serve(channel, {
  start: (options: VisionOptions) => worker.start(options),
  stop: () => worker.stop(),
  // Of a thread that ends itself no native code is cut off.
  leave: () => process.exit(),
  analyse: (request: { image: Uint8Array; options?: AnalyseOptions }) => worker.analyse(request),
  pace: (pace: Pace) => worker.pace(pace),
  memory: (level: MemoryLevel) => worker.memory(level),
  judged: (sightings: number) => worker.judged(sightings),
  embedCrops: (crops: readonly Uint8Array[]) => worker.embedCrops(crops),
  snapshot: (camera: string) => worker.snapshot(camera),
  watch: (request: { camera: string; forMs: number; fps: number }) => worker.watch(request),
  label: (label: Label) => worker.label(label),
});
const worker = new VisionWorker((name, payload) => server.emit(name, payload));

if (parentPort === null) {
  // The parent decides when this process ends: a terminal's Ctrl-C and systemd's SIGTERM reach it as well.
  process.on('SIGINT', () => {});
  process.on('SIGTERM', () => {});
  // Without a parent there is nobody to see for. A camera's driver may hold a thread, so the process does not wait for it.
  process.on('disconnect', () => process.exit(0));
}
