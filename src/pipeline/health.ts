import { systemClock } from '../lib/clock.js';
import type { CameraStats, OutboxStats, StageTimes, VisionEvents } from './ports.js';

export interface HealthSources {
  readonly device: string;
  readonly version: string;
  readonly outbox: () => Promise<OutboxStats>;
  /** Why there is no broker; null when there is one. */
  readonly brokerProblem: () => string | null;
  /** Events that the disk did not take yet. */
  readonly unrecorded: () => number;
  /** Bytes of the processes that are not the vision worker's. */
  readonly ownRssBytes: () => number;
  /** Whether the vision worker's bytes are counted in the own ones (a thread). */
  readonly visionIsThread: boolean;
}

interface Problem {
  readonly code: string;
  readonly message: string;
}

/** How the daemon is, from what its parts say of themselves. */
export class Health {
  readonly #sources: HealthSources;
  readonly #startedAt = systemClock.monotonic();
  readonly #cameras = new Map<string, CameraStats>();
  #beatAt = systemClock.monotonic();
  #visionRssBytes = 0;
  #stages: StageTimes = {};

  constructor(sources: HealthSources) {
    this.#sources = sources;
  }

  /** Milliseconds since the vision worker's loop gave a sign of life. */
  sinceBeat(): number {
    return systemClock.monotonic() - this.#beatAt;
  }

  beat({ cameras, stages, rssBytes }: VisionEvents['beat']): void {
    this.#beatAt = systemClock.monotonic();
    this.#visionRssBytes = rssBytes;
    this.#stages = stages;
    for (const camera of cameras) this.camera(camera);
  }

  camera(stats: CameraStats): void {
    this.#cameras.set(stats.camera, stats);
  }

  /** Stage times since the beat before the last. */
  stages(): StageTimes {
    return this.#stages;
  }

  /** The payload of the `health` topic. */
  async report() {
    const { device, version, outbox, ownRssBytes, visionIsThread } = this.#sources;
    const waiting = await outbox().catch((error: unknown) => String(error));
    const problems = this.#problems(waiting);
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
      })),
      outbox: typeof waiting === 'string' ? { waiting: 0, limit: 0, dropped: 0 } : waiting,
      rssBytes: ownRssBytes() + (visionIsThread ? 0 : this.#visionRssBytes),
    };
  }

  #problems(outbox: OutboxStats | string): Problem[] {
    const { brokerProblem, unrecorded } = this.#sources;
    const broker = brokerProblem();
    return [
      ...[...this.#cameras.values()].flatMap(({ camera, problem }) =>
        problem === null ? [] : [{ code: 'source.open-failed', message: `${camera}: ${problem}` }],
      ),
      ...(broker === null ? [] : [{ code: 'mqtt.connect-failed', message: broker }]),
      ...(typeof outbox === 'string' ? [{ code: 'gallery.failed', message: outbox }] : []),
      ...(unrecorded() === 0
        ? []
        : [{ code: 'gallery.disk-full', message: `${unrecorded()} events wait in memory` }]),
    ];
  }
}
