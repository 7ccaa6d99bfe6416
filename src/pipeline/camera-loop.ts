import { setTimeout as sleep } from 'node:timers/promises';
import { ulid } from 'ulid';
import { FacedError } from '../domain/errors.js';
import type { Box, Face } from '../domain/face.js';
import type { Frame, Image } from '../domain/frame.js';
import { encodeJpeg } from '../image/index.js';
import type { TypedEvents } from '../lib/events.js';
import type { ShotPlanOptions } from './best-shot.js';
import { Company } from './company.js';
import type { Flow } from './flow.js';
import { FrameView } from './frame-view.js';
import { PACES, type Pace } from './heat-governor.js';
import { LifeWatch } from './life-watch.js';
import type { LiveView } from './live-view.js';
import { MotionGate, THUMBNAIL_HEIGHT, THUMBNAIL_WIDTH } from './motion.js';
import type {
  CameraStats,
  FaceDetector,
  FaceEmbedder,
  FrameSource,
  LivenessScorer,
  Sighting,
  VisionEvents,
} from './ports.js';
import { type EmbeddedShot, type Moment, Shots } from './shots.js';
import type { StageClock } from './stage-clock.js';
import { type Identity, type Track, Tracker, type TrackerOptions } from './tracker.js';
import type { Turns } from './turns.js';
import { type CameraView, counts, watchedPixels } from './view.js';
import type { CameraLiveness } from './vision-options.js';

export interface CameraLoopParts {
  readonly source: FrameSource;
  readonly view: CameraView;
  /** For frames of a stream. */
  readonly detector: FaceDetector;
  /** For pictures that stand for themselves (a folder): may look twice. */
  readonly stillDetector: FaceDetector;
  readonly embedder: FaceEmbedder;
  readonly liveness: LivenessScorer | null;
  /** Which signs of life are gathered. Default: none. */
  readonly life?: CameraLiveness;
  readonly turns: Turns;
  /** For people who watch. */
  readonly liveView?: LiveView;
  readonly stages: StageClock;
  readonly events: TypedEvents<VisionEvents>;
  /** The work on one frame failed. Said each time; whoever listens says it once. */
  readonly onFailure: (error: FacedError) => void;
  readonly tracker?: Partial<TrackerOptions>;
  /** Sightings carry their aligned crop. */
  readonly crops?: boolean;
  /** Holds up a source that can wait until what it showed is judged; without it nothing does. */
  readonly flow?: Flow;
  readonly looks?: ShotPlanOptions;
  /** Without a frame for so long (a frozen camera) nobody is in view any more, milliseconds. Default 3000. */
  readonly silenceMs?: number;
}

/** However hot it is: fewer looks would miss who walks by. */
const LEAST_FPS = 3;
const SILENCE_MS = 3000;
const SNAPSHOT_TIMEOUT_MS = 5000;
const DEFAULT_MOTION_THRESHOLD = 0.002;
const DEFAULT_LOOK_EVERY_MS = 2000;
const HOLD_MS = 1000;

/** One camera's frames from the source to sightings. The error of one frame never ends the loop. */
export class CameraLoop {
  readonly #parts: CameraLoopParts;
  readonly #view: FrameView;
  readonly #tracker: Tracker;
  readonly #shots: Shots;
  readonly #life: LifeWatch;
  readonly #company = new Company();
  #gate: MotionGate;
  #processed = 0;
  #asleep = 0;
  #failed = 0;
  #unusable = 0;
  #lastMs = Number.NEGATIVE_INFINITY;
  #detectedMs = Number.NEGATIVE_INFINITY;
  #frameAt = performance.now();
  #said = '';
  #snapshots: ((jpeg: Uint8Array | null) => void)[] = [];
  #over = false;
  #pace: Pace = PACES[0];
  /** Of the last frame. */
  #size: { readonly width: number; readonly height: number } | null = null;
  #held = false;
  /** As of the last detection, for people who watch. */
  #inView: readonly { track: string; box: Box }[] = [];
  readonly #onUnusable = (): void => {
    this.#unusable++;
  };

  constructor(parts: CameraLoopParts) {
    this.#parts = parts;
    this.#view = new FrameView(parts.view);
    this.#tracker = new Tracker(parts.tracker);
    this.#life = new LifeWatch({
      camera: parts.source.camera,
      options: parts.life ?? { mode: 'off' },
      liveness: parts.liveness,
      stages: parts.stages,
      onChange: (change) => parts.events.emit('livenessChanged', change),
    });
    this.#shots = new Shots({
      crops: parts.crops ?? false,
      camera: parts.source.camera,
      embedder: parts.embedder,
      liveness: parts.liveness,
      stages: parts.stages,
      onUnusable: this.#onUnusable,
      ...(parts.looks === undefined ? {} : { plan: parts.looks }),
    });
    this.#gate = newGate(parts.view);
  }

  /** Resolves when the source has ended or `signal` aborts, and every track with it. */
  async run(signal: AbortSignal): Promise<void> {
    const { source, turns } = this.#parts;
    let dueMs = Number.NEGATIVE_INFINITY;
    for (;;) {
      const frame = await source.next();
      this.#sayChange();
      if (frame === null || signal.aborted) break;
      this.#frameAt = performance.now();
      const fps = this.#fps(frame);
      if (!frame.still && fps !== undefined) {
        const interval = 1000 / fps;
        const now = timeOf(frame);
        if (frame.mediaMs !== undefined && now < dueMs && now >= this.#lastMs) continue;
        // A camera's own jitter must not turn every second frame away.
        dueMs = now + interval * 0.9;
      }
      const startedAt = performance.now();
      await turns.take(() => this.#guard(() => this.#process(frame)));
      await this.#pause(frame, startedAt, signal);
    }
    this.#over = true;
    for (const resolve of this.#snapshots.splice(0)) resolve(null);
    await turns.take(() => this.#guard(() => this.#endAll()));
  }

  /** From the next frame on. */
  setPace(pace: Pace): void {
    this.#pace = pace;
    this.#parts.source.resize?.(pace.frame);
  }

  stats(): CameraStats {
    return {
      camera: this.#parts.source.camera,
      ...this.#parts.source.stats(),
      processed: this.#processed,
      asleep: this.#asleep,
      failed: this.#failed,
      unusable: this.#unusable,
    };
  }

  /** To be called about once a second: what has to happen when no frames come. */
  tick(): void {
    this.#sayChange();
    const silenceMs = this.#parts.silenceMs ?? SILENCE_MS;
    if (
      this.#over ||
      this.#held ||
      this.#tracker.alive === 0 ||
      performance.now() - this.#frameAt < silenceMs
    )
      return;
    this.#frameAt = performance.now();
    this.#parts.turns.take(() => this.#guard(() => this.#endAll()));
  }

  /** The next frame as JPEG, upright and with masks painted over; null when none comes. */
  snapshot(): Promise<Uint8Array | null> {
    if (this.#over) return Promise.resolve(null);
    return new Promise((resolve) => {
      const timer = setTimeout(() => {
        this.#snapshots = this.#snapshots.filter((one) => one !== answer);
        resolve(null);
      }, SNAPSHOT_TIMEOUT_MS);
      const answer = (jpeg: Uint8Array | null): void => {
        clearTimeout(timer);
        resolve(jpeg);
      };
      this.#snapshots.push(answer);
    });
  }

  async #process(frame: Frame): Promise<void> {
    const { stages } = this.#parts;
    const startedAt = stages.now();
    const image = this.#view.prepare(frame);
    const nowMs = timeOf(frame);
    this.#processed++;
    if (this.#snapshots.length > 0) {
      const jpeg = encodeJpeg(image);
      for (const resolve of this.#snapshots.splice(0)) resolve(jpeg);
    }
    if (frame.still) await this.#still({ frame, image, nowMs });
    else await this.#moving({ frame, image, nowMs });
    const viewAt = stages.lap('frame', startedAt);
    if (this.#parts.liveView?.show(image, this.#inView) === true) stages.lap('view', viewAt);
  }

  async #moving(moment: Moment): Promise<void> {
    const { stages } = this.#parts;
    const { image, nowMs } = moment;
    // A clip that begins anew: nobody of before is in view. In a frame of another size nothing is where it was.
    if (nowMs < this.#lastMs || this.#sizeChanged(image)) await this.#endAll();
    this.#lastMs = nowMs;
    const gateAt = stages.now();
    const open = this.#gate.look(this.#view.thumbnail(image), nowMs, this.#tracker.alive > 0);
    const detectAt = stages.lap('motion', gateAt);
    if (!open) {
      this.#asleep++;
      this.#inView = [];
      return;
    }
    const settled = this.#shots.settled(nowMs) && this.#life.settled;
    if (nowMs - this.#detectedMs < this.#settledEveryMs(moment.frame) && settled) return;
    this.#detectedMs = nowMs;
    const faces = await this.#detect(this.#parts.detector, moment);
    const trackAt = stages.lap('detect', detectAt);
    const { seen, ended } = this.#tracker.update(faces, nowMs);
    stages.lap('track', trackAt);
    for (const track of ended) await this.#end(track);
    const believed = seen.filter((one) => one.confirmed);
    this.#inView = seen.map(({ id, face: { box } }) => ({ track: id, box }));
    this.#company.see(believed);
    await this.#life.look(believed, moment);
    const shots = await this.#shots.take(believed, moment);
    let left = shots;
    for (let one = left[0]; one !== undefined; one = left[0]) {
      const identity = await this.#place(one, moment);
      left = left.slice(1);
      // The other's shot of this frame shows the face that is now this track's.
      if (identity?.kind === 'exchanged') left = exchanged(left, identity.track, identity.other);
    }
  }

  /** Whose shot it turned out to be. */
  async #place(one: EmbeddedShot, moment: Moment): Promise<Identity | undefined> {
    const { nowMs } = moment;
    const identity = this.#tracker.identify(one.track, one.embedding, one.shot.quality.score);
    if (identity === undefined) return undefined;
    if (identity.kind === 'exchanged') {
      this.#shots.forget(identity.other);
      this.#life.forget(identity.other, moment);
      this.#life.forget(identity.track, moment);
    }
    if (identity.kind === 'doubtful') {
      this.#life.forget(identity.track, moment);
      this.#shots.doubted(identity.track, nowMs);
      return identity;
    }
    if (identity.kind === 'resumed') {
      this.#shots.drop(identity.instead);
      this.#life.resume(identity.track, identity.instead);
      this.#company.merge(identity.track, identity.instead);
    }
    if (identity.kind === 'replaced') {
      this.#company.replace(identity.ended.id, identity.track);
      await this.#end(identity.ended);
    }
    this.#shots.done(identity.track, one.shot, nowMs);
    this.#sight(this.#shots.sighting({ ...one, track: identity.track }, false));
    return identity;
  }

  async #still(moment: Moment): Promise<void> {
    const { stages, stillDetector, events } = this.#parts;
    const detectAt = stages.now();
    const faces = await this.#detect(stillDetector, moment);
    stages.lap('detect', detectAt);
    for (const sighting of await this.#shots.still(faces, moment, ulid)) {
      events.emit('sighted', this.#life.ofPicture(sighting));
      events.emit('trackEnded', { camera: sighting.camera, track: sighting.track, lastSeenMs: moment.nowMs });
    }
  }

  async #detect(detector: FaceDetector, { image, frame }: Moment): Promise<Face[]> {
    const { view } = this.#parts;
    // The same people count in a smaller frame: those as near as before.
    const minFace = view.minFace === undefined ? undefined : view.minFace * (frame.reduced ?? 1);
    const onUnusable = this.#onUnusable;
    const faces = await detector.detect(
      image,
      minFace === undefined ? { onUnusable } : { onUnusable, minSize: minFace },
    );
    return faces.filter((one) => counts(view, one.box, image.width, image.height));
  }

  #sizeChanged({ width, height }: Image): boolean {
    const before = this.#size;
    this.#size = { width, height };
    return before !== null && (before.width !== width || before.height !== height);
  }

  async #end(track: Track): Promise<void> {
    const { events, source } = this.#parts;
    // Even when its last shot comes to nothing: a track whose end is not said would count as in view for ever.
    await this.#guard(async () => {
      const last = await this.#shots.finish(track.id);
      if (last !== null) this.#sight(last);
    });
    this.#life.drop(track.id);
    this.#company.end(track.id);
    events.emit('trackEnded', { camera: source.camera, track: track.id, lastSeenMs: track.lastSeenMs });
  }

  #sight(sighting: Sighting): void {
    const alongside = this.#company.of(sighting.track);
    const look = this.#life.of(sighting);
    this.#parts.events.emit('sighted', alongside.length === 0 ? look : { ...look, alongside });
  }

  async #endAll(): Promise<void> {
    for (const track of this.#tracker.endAll()) await this.#end(track);
    this.#gate = newGate(this.#parts.view);
    this.#detectedMs = Number.NEGATIVE_INFINITY;
  }

  async #guard(work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (thrown) {
      this.#failed++;
      this.#parts.onFailure(FacedError.from(thrown));
    }
  }

  /** Lets messages and timers through, and waits until the next frame is due. A clip has its own clock and is not waited for. */
  async #pause(frame: Frame, startedAt: number, signal: AbortSignal): Promise<void> {
    const fps = this.#fps(frame);
    const live = !frame.still && frame.mediaMs === undefined && fps !== undefined;
    const rest = live ? 1000 / fps - (performance.now() - startedAt) : 0;
    if (rest > 1) await sleep(rest, undefined, { signal }).catch(() => undefined);
    else await new Promise((resolve) => setImmediate(resolve));
    if (frame.still || frame.mediaMs !== undefined) await this.#hold(signal);
  }

  /** A clip has its own clock: a slower pace would skip what it shows, and cool nothing. */
  #fps(frame: Frame): number | undefined {
    const { fps } = this.#parts.view;
    if (fps === undefined || frame.mediaMs !== undefined) return fps;
    return Math.min(fps, Math.max(LEAST_FPS, fps * this.#pace.share));
  }

  /** When everybody in view has been looked at enough, few detections are enough to see who comes and goes. */
  #settledEveryMs(frame: Frame): number {
    return (frame.mediaMs === undefined ? this.#pace : PACES[0]).settledEveryMs;
  }

  async #hold(signal: AbortSignal): Promise<void> {
    this.#held = true;
    await this.#parts.flow?.room(signal);
    this.#held = false;
    this.#frameAt = performance.now();
  }

  #sayChange(): void {
    const { source, events } = this.#parts;
    const { state, problem } = source.stats();
    const now = `${state} ${problem ?? ''}`;
    if (now === this.#said) return;
    this.#said = now;
    events.emit('cameraChanged', this.stats());
  }
}

/** Shots of two tracks that have changed places, by the names that the tracks have now. */
function exchanged(shots: readonly EmbeddedShot[], a: string, b: string): EmbeddedShot[] {
  const nameOf = (track: string): string => (track === a ? b : track === b ? a : track);
  return shots.map((one) => ({ ...one, track: nameOf(one.track) }));
}

function newGate(view: CameraView): MotionGate {
  return new MotionGate({
    threshold: view.motionThreshold ?? DEFAULT_MOTION_THRESHOLD,
    lookEveryMs: view.lookEveryMs ?? DEFAULT_LOOK_EVERY_MS,
    holdMs: HOLD_MS,
    watched: watchedPixels(view, THUMBNAIL_WIDTH, THUMBNAIL_HEIGHT),
  });
}

function timeOf(frame: Frame): number {
  return frame.mediaMs ?? frame.capturedAt.monotonicMs;
}
