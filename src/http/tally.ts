import type { NoticeKind, Notices } from '../pipeline/notices.js';
import { NOTICE_KINDS } from '../pipeline/notices.js';
import type { CameraStats, StageTimes, Vision } from '../pipeline/ports.js';
import { STAGE_BOUNDS_MS } from '../pipeline/stage-clock.js';
import type { EventFeed } from './parts.js';

export interface TallyParts {
  readonly vision: Pick<Vision, 'on'>;
  readonly events: EventFeed;
  readonly notices: Pick<Notices, 'on'>;
}

export interface StageCounts {
  /** As many as STAGE_BOUNDS_MS has bounds, and one for what is longer. */
  readonly buckets: number[];
  /** Seconds. */
  sum: number;
}

/** What /metrics tells of the time since the daemon's start, counted before anybody asks. */
export class Tally {
  /** The last figures of each camera: its own counters begin anew with the vision worker. */
  readonly cameras = new Map<string, CameraStats>();
  readonly stages = new Map<string, StageCounts>();
  /** By camera. */
  readonly looks = new Map<string, number>();
  readonly tracks = new Map<string, number>();
  /** By camera and decision. */
  readonly decisions = new Map<string, Map<string, number>>();
  readonly notices = new Map<NoticeKind, number>(NOTICE_KINDS.map((kind) => [kind, 0]));
  restarts = 0;
  readonly #unsubscribe: readonly (() => void)[];

  constructor({ vision, events, notices }: TallyParts) {
    this.#unsubscribe = [
      vision.on('beat', ({ cameras, stages }) => {
        for (const camera of cameras) this.cameras.set(camera.camera, camera);
        this.#addStages(stages);
      }),
      vision.on('sighted', ({ camera }) => count(this.looks, camera)),
      vision.on('trackEnded', ({ camera }) => count(this.tracks, camera)),
      vision.on('restarted', () => {
        this.restarts++;
      }),
      events.on(({ camera, decision }) => {
        const counts = this.decisions.get(camera) ?? new Map<string, number>();
        this.decisions.set(camera, counts);
        count(counts, decision);
      }),
      notices.on(({ kind, state }) => {
        if (state !== 'cleared') count(this.notices, kind);
      }),
    ];
  }

  stop(): void {
    for (const unsubscribe of this.#unsubscribe) unsubscribe();
  }

  /** The vision worker counts into buckets itself; they are only added up here. */
  #addStages(times: StageTimes): void {
    for (const [stage, { buckets = [], totalMs }] of Object.entries(times)) {
      const counts = this.stages.get(stage) ?? {
        buckets: Array<number>(STAGE_BOUNDS_MS.length + 1).fill(0),
        sum: 0,
      };
      this.stages.set(stage, counts);
      counts.sum += totalMs / 1000;
      for (const [index, more] of buckets.entries())
        counts.buckets[index] = (counts.buckets[index] ?? 0) + more;
    }
  }
}

function count<K>(counts: Map<K, number>, key: K): void {
  counts.set(key, (counts.get(key) ?? 0) + 1);
}
