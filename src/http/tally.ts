import type { NoticeKind, Notices } from '../pipeline/notices.js';
import { NOTICE_KINDS } from '../pipeline/notices.js';
import type { CameraStats, ModelCounts, StageTimes, Vision } from '../pipeline/ports.js';
import { STAGE_BOUNDS_MS } from '../pipeline/stage-clock.js';
import type { EventFeed } from './parts.js';

/** Seconds, of an answer: from what a page takes to a picture in a full queue. */
export const HTTP_BOUNDS_S: readonly number[] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];

export interface TallyParts {
  readonly vision: Pick<Vision, 'on'>;
  readonly events: EventFeed;
  readonly notices: Pick<Notices, 'on'>;
}

/** Durations counted by how long they were. */
export interface Counts {
  /** As many as there are bounds, and one for what is longer. */
  readonly buckets: number[];
  /** Seconds. */
  sum: number;
}

export interface Answered {
  /** Of the interface; not the address that was asked for. */
  readonly route: string;
  readonly method: string;
  readonly status: number;
  readonly seconds: number;
}

/** What /metrics tells of the time since the daemon's start, counted before anybody asks, and before anybody could. */
export class Tally {
  /** The last figures of each camera: its own counters begin anew with the vision worker. */
  readonly cameras = new Map<string, CameraStats>();
  readonly stages = new Map<string, Counts>();
  /** By method, route and status, with spaces between. */
  readonly answers = new Map<string, Counts>();
  /** By model. */
  readonly models = new Map<string, { loads: number; evictions: number }>();
  /** By camera. */
  readonly looks = new Map<string, number>();
  readonly tracks = new Map<string, number>();
  /** By camera and decision. */
  readonly decisions = new Map<string, Map<string, number>>();
  readonly notices = new Map<NoticeKind, number>(NOTICE_KINDS.map((kind) => [kind, 0]));
  restarts = 0;

  constructor({ vision, events, notices }: TallyParts) {
    vision.on('beat', ({ cameras, stages, models }) => {
      for (const camera of cameras) this.cameras.set(camera.camera, camera);
      this.#addStages(stages);
      this.#addModels(models);
    });
    vision.on('sighted', ({ camera }) => count(this.looks, camera));
    vision.on('trackEnded', ({ camera }) => count(this.tracks, camera));
    vision.on('restarted', () => {
      this.restarts++;
    });
    events.on(({ camera, decision }) => {
      const counts = this.decisions.get(camera) ?? new Map<string, number>();
      this.decisions.set(camera, counts);
      count(counts, decision);
    });
    notices.on(({ kind, state }) => {
      if (state !== 'cleared') count(this.notices, kind);
    });
  }

  answered({ route, method, status, seconds }: Answered): void {
    const counts = countsOf(this.answers, `${method} ${route} ${status}`, HTTP_BOUNDS_S);
    const bound = HTTP_BOUNDS_S.findIndex((one) => seconds <= one);
    const index = bound < 0 ? HTTP_BOUNDS_S.length : bound;
    counts.buckets[index] = (counts.buckets[index] ?? 0) + 1;
    counts.sum += seconds;
  }

  /** The vision worker counts into buckets itself; they are only added up here. */
  #addStages(times: StageTimes): void {
    for (const [stage, { buckets = [], totalMs }] of Object.entries(times)) {
      const counts = countsOf(this.stages, stage, STAGE_BOUNDS_MS);
      counts.sum += totalMs / 1000;
      for (const [index, more] of buckets.entries())
        counts.buckets[index] = (counts.buckets[index] ?? 0) + more;
    }
  }

  #addModels(models: ModelCounts): void {
    for (const [model, { loads, evictions }] of Object.entries(models)) {
      const counts = this.models.get(model) ?? { loads: 0, evictions: 0 };
      counts.loads += loads;
      counts.evictions += evictions;
      this.models.set(model, counts);
    }
  }
}

function countsOf(all: Map<string, Counts>, key: string, bounds: readonly number[]): Counts {
  const counts = all.get(key) ?? { buckets: Array<number>(bounds.length + 1).fill(0), sum: 0 };
  all.set(key, counts);
  return counts;
}

function count<K>(counts: Map<K, number>, key: K): void {
  counts.set(key, (counts.get(key) ?? 0) + 1);
}
