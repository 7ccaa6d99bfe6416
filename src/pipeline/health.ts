import { type ErrorCode, FacedError } from '../domain/errors.js';
import type { MachineLook } from '../domain/machine.js';
import type { Problem } from '../domain/problem.js';
import { systemClock } from '../lib/clock.js';
import type { BackendState, CameraStats, OutboxStats, StageTimes, VisionEvents } from './ports.js';
import type { RecognitionStats } from './recognition.js';

/** The vision worker beats once a second. Without a beat for so long the daemon calls itself neither alive nor ready. */
export const BEAT_PATIENCE_MS = 15_000;

export interface HealthSources {
  readonly device: string;
  readonly version: string;
  readonly outbox: () => Promise<OutboxStats>;
  /** Why there is no broker; null when there is one. */
  readonly brokerProblem: () => string | null;
  readonly recognition: () => Pick<RecognitionStats, 'unrecorded' | 'lost' | 'searchProblem'>;
  /** Why nothing can be decided: a promise that no measurement supports; null when it can. */
  readonly promiseProblem: () => FacedError | null;
  /** Temperature and memory of the whole machine. */
  readonly machine?: () => Promise<MachineReport>;
  /** Of parts that not every house has (doors). */
  readonly others?: () => readonly Problem[];
  /** Bytes of the processes that are not the vision worker's. */
  readonly ownRssBytes: () => number;
  /** Whether the vision worker's bytes are counted in the own ones (a thread). */
  readonly visionIsThread: boolean;
}

/** What of the machine goes into the report. */
export type MachineReport = Pick<MachineLook, 'temperatureC' | 'memoryLevel' | 'heatLevel' | 'heatSteps'>;

/** A frame rate is taken over at least so long. */
const RATE_OVER_MS = 5_000;
const UNKNOWN_MACHINE: MachineReport = {
  temperatureC: null,
  memoryLevel: null,
  heatLevel: 0,
  heatSteps: 0,
};

/** How the daemon is, from what its parts say of themselves. */
export class Health {
  readonly #sources: HealthSources;
  readonly #startedAt = systemClock.monotonic();
  readonly #cameras = new Map<string, CameraStats>();
  readonly #rates = new Map<string, { at: number; processed: number; fps: number | null }>();
  #backend: BackendState | null = null;
  #beatAt = systemClock.monotonic();
  #refused: readonly Problem[] = [];
  #visionRssBytes = 0;
  #stages: StageTimes = {};
  #visionProblem: string | null = null;

  constructor(sources: HealthSources) {
    this.#sources = sources;
  }

  /** Milliseconds since the vision worker's loop gave a sign of life. */
  sinceBeat(): number {
    return systemClock.monotonic() - this.#beatAt;
  }

  beat({ cameras, stages, rssBytes, refused = [] }: VisionEvents['beat']): void {
    this.#beatAt = systemClock.monotonic();
    this.#visionRssBytes = rssBytes;
    this.#refused = refused;
    this.#stages = stages;
    this.#visionProblem = null;
    for (const camera of cameras) {
      this.camera(camera);
      this.#rate(camera);
    }
  }

  camera(stats: CameraStats): void {
    this.#cameras.set(stats.camera, stats);
  }

  /** The vision worker has ended and is not back yet. */
  visionEnded({ reason }: VisionEvents['restarted']): void {
    this.#visionProblem = reason;
  }

  backend(state: BackendState): void {
    this.#backend = state;
  }

  /** Stage times since the beat before the last. */
  stages(): StageTimes {
    return this.#stages;
  }

  #rate({ camera, processed }: CameraStats): void {
    const now = systemClock.monotonic();
    const last = this.#rates.get(camera);
    // A vision worker that was started again counts from nothing.
    if (last === undefined || processed < last.processed) {
      this.#rates.set(camera, { at: now, processed, fps: null });
      return;
    }
    const ms = now - last.at;
    if (ms < RATE_OVER_MS) return;
    const fps = Math.round(((processed - last.processed) * 10_000) / ms) / 10;
    this.#rates.set(camera, { at: now, processed, fps });
  }

  /** The payload of the `health` topic. */
  async report() {
    const { device, version, outbox, machine, ownRssBytes, visionIsThread } = this.#sources;
    const waiting = await outbox().catch((error: unknown) => FacedError.from(error));
    const problems = this.#problems(waiting);
    // Whoever looks at the machine says by itself when it cannot.
    const { temperatureC, memoryLevel, heatLevel, heatSteps } =
      (await machine?.().catch(() => null)) ?? UNKNOWN_MACHINE;
    return {
      v: 1 as const,
      time: new Date().toISOString(),
      device,
      version,
      uptimeS: Math.round((systemClock.monotonic() - this.#startedAt) / 1000),
      state: problems.length === 0 ? ('ok' as const) : ('degraded' as const),
      problems,
      cameras: [...this.#cameras.values()].map(({ camera, state, received, dropped, reopened, problem }) => ({
        camera,
        state,
        received,
        dropped,
        reopened,
        problem,
        fps: this.#rates.get(camera)?.fps ?? null,
      })),
      ...(this.#backend === null
        ? {}
        : {
            backend: {
              using: this.#backend.using,
              precision: this.#backend.precision,
              ...(this.#backend.why === undefined ? {} : { why: this.#backend.why }),
            },
          }),
      outbox: waiting instanceof FacedError ? { waiting: 0, limit: 0, dropped: 0 } : waiting,
      rssBytes: ownRssBytes() + (visionIsThread ? 0 : this.#visionRssBytes),
      machine: { temperatureC, memoryLevel, heatLevel, heatSteps },
    };
  }

  #problems(outbox: OutboxStats | FacedError): Problem[] {
    const { brokerProblem, recognition, promiseProblem, others } = this.#sources;
    const problems: Problem[] = [];
    const add = (code: ErrorCode, message: string): void => {
      problems.push({ code, message });
    };
    for (const { camera, problem, problemCode } of this.#cameras.values())
      if (problem !== null) add(problemCode ?? 'source.failed', `${camera}: ${problem}`);
    if (this.#visionProblem !== null) add('vision.crashed', this.#visionProblem);
    const away = this.#backend?.problem ?? null;
    if (away !== null) add(away.code, away.message);
    problems.push(...this.#refused);
    const broker = brokerProblem();
    if (broker !== null) add('mqtt.connect-failed', broker);
    const promise = promiseProblem();
    if (promise !== null) add(promise.code, promise.message);
    if (outbox instanceof FacedError) add(outbox.code, outbox.message);
    const { unrecorded, lost, searchProblem } = recognition();
    if (searchProblem !== null)
      add(
        searchProblem.code,
        `the gallery does not answer (${searchProblem.message}); ${lost} looks are lost`,
      );
    if (unrecorded !== null) {
      const { events, problem } = unrecorded;
      add(problem.code, `${events} events wait in memory: ${problem.message}`);
    }
    return [...problems, ...(others?.() ?? [])];
  }
}
