import type { Embedding } from '../domain/embedding.js';
import type { Face, FaceQuality, PoorReason } from '../domain/face.js';
import type { Frame, Image, Instant } from '../domain/frame.js';
import { DEFAULT_LIMITS, poorReason, type QualityLimits } from '../vision/quality.js';
import { alignFace, encodeCrop } from './analyse.js';
import { DEFAULT_SHOT_PLAN, type Shot, ShotBuffers, ShotPlan, type ShotPlanOptions } from './best-shot.js';
import type { FaceEmbedder, LivenessScorer, Sighting } from './ports.js';
import type { StageClock } from './stage-clock.js';
import type { Track } from './tracker.js';

export interface ShotsParts {
  readonly camera: string;
  readonly embedder: FaceEmbedder;
  readonly liveness: LivenessScorer | null;
  readonly stages: StageClock;
  readonly limits?: QualityLimits;
  /** Told of each shot of which the recogniser could make nothing. */
  readonly onUnusable?: () => void;
  readonly plan?: ShotPlanOptions;
  /** Sightings carry their aligned crop. */
  readonly crops?: boolean;
}

/** Buffers kept for later, at most: 75 KB each. */
const MAX_SPARE = 16;

/** A look at a picture: what the shots of one frame have in common. */
export interface Moment {
  readonly frame: Frame;
  /** The frame upright. */
  readonly image: Image;
  /** On the camera's clock. */
  readonly nowMs: number;
}

export interface EmbeddedShot {
  readonly track: string;
  readonly shot: Shot;
  readonly embedding: Embedding;
}

interface Entry {
  plan: ShotPlan;
  readonly buffers: ShotBuffers;
  poor: {
    face: Face;
    quality: FaceQuality;
    reason: PoorReason;
    capturedAt: Instant;
    mediaMs: number | undefined;
  } | null;
}

/** The shots of one camera's tracks: which are taken, kept and embedded. */
export class Shots {
  readonly #parts: ShotsParts;
  readonly #limits: QualityLimits;
  readonly #entries = new Map<string, Entry>();
  /** Buffers of tracks that have ended, for the next ones. */
  readonly #spare: ShotBuffers[] = [];
  #frameSize: readonly [number, number] = [0, 0];

  constructor(parts: ShotsParts) {
    this.#parts = parts;
    this.#limits = parts.limits ?? DEFAULT_LIMITS;
  }

  /** True when no track needs a shot for a while: their faces need only be followed. */
  settled(nowMs: number): boolean {
    for (const { plan } of this.#entries.values()) if (!plan.settled(nowMs)) return false;
    return this.#entries.size > 0;
  }

  /** Looks at the faces of one frame; what is worth it shares one run of the recogniser. */
  async take(seen: readonly Track[], moment: Moment): Promise<EmbeddedShot[]> {
    this.#frameSize = [moment.image.width, moment.image.height];
    const chosen: { track: string; shot: Shot }[] = [];
    for (const track of seen) {
      const shot = await this.#consider(track, moment);
      if (shot !== undefined) chosen.push({ track: track.id, shot });
    }
    for (const [track, { plan, buffers }] of this.#entries) {
      const waiting = plan.overdue(moment.nowMs) ? buffers.kept : undefined;
      if (waiting !== undefined && !chosen.some((one) => one.track === track))
        chosen.push({ track, shot: waiting });
    }
    return this.#embed(chosen);
  }

  /** The embedding of a track's shot was used. */
  done(track: string, shot: Shot, nowMs: number): void {
    const entry = this.#entry(track);
    entry.plan.done(shot.quality, nowMs);
    entry.buffers.forgetKept();
  }

  /** The embedding of a track's shot may be somebody else's. */
  doubted(track: string, nowMs: number): void {
    const entry = this.#entry(track);
    entry.plan.doubted(nowMs);
    entry.buffers.forgetKept();
  }

  /** The shot that was kept for a track may be somebody else's. */
  forget(track: string): void {
    const entry = this.#entry(track);
    entry.plan.forget();
    entry.buffers.forgetKept();
  }

  /** A track is gone, and nothing of it is to be said. */
  drop(track: string): void {
    const entry = this.#entries.get(track);
    if (entry === undefined) return;
    this.#entries.delete(track);
    entry.buffers.forgetKept();
    if (this.#spare.length < MAX_SPARE) this.#spare.push(entry.buffers);
  }

  /** What is still to be said of a track that has ended: the shot that was kept, or why there was none; null when enough was said. */
  async finish(track: string): Promise<Sighting | null> {
    const entry = this.#entries.get(track);
    if (entry === undefined) return null;
    try {
      if (entry.plan.embedded > 0) return null;
      const { kept } = entry.buffers;
      if (kept !== undefined) {
        const [embedded] = await this.#embed([{ track, shot: kept }]);
        return embedded === undefined ? null : this.sighting(embedded, true);
      }
      return entry.poor === null ? null : this.#poorSighting(track, entry.poor);
    } finally {
      this.drop(track);
    }
  }

  sighting({ track, shot, embedding }: EmbeddedShot, final: boolean): Sighting {
    return {
      camera: this.#parts.camera,
      track,
      capturedAt: shot.capturedAt,
      box: rounded(shot.face),
      frame: this.#frameSize,
      quality: shot.quality,
      embedding,
      poor: null,
      liveness: shot.liveness,
      final,
      ...(shot.mediaMs === undefined ? {} : { mediaMs: shot.mediaMs }),
      ...(this.#parts.crops ? { crop: encodeCrop(shot.crop) } : {}),
    };
  }

  /** Every face of a picture that stands for itself: one final sighting each. */
  async still(faces: readonly Face[], moment: Moment, newId: () => string): Promise<Sighting[]> {
    const { image, frame } = moment;
    this.#frameSize = [image.width, image.height];
    const poorOnes: Sighting[] = [];
    const chosen: { track: string; shot: Shot }[] = [];
    const used: ShotBuffers[] = [];
    for (const face of faces) {
      const track = newId();
      const buffers = this.#spare.pop() ?? new ShotBuffers();
      used.push(buffers);
      const { quality, poor } = this.#align(face, image, buffers.crop);
      fill(buffers.fresh, { face, quality, frame });
      if (poor === null) {
        buffers.fresh.liveness = await this.#score(face, image);
        chosen.push({ track, shot: buffers.fresh });
      } else {
        const { capturedAt, mediaMs } = frame;
        poorOnes.push(this.#poorSighting(track, { face, quality, reason: poor, capturedAt, mediaMs }));
      }
    }
    const good = (await this.#embed(chosen)).map((one) => this.sighting(one, true));
    // A picture of a crowd must not hold its memory for ever.
    this.#spare.push(...used.slice(0, Math.max(0, MAX_SPARE - this.#spare.length)));
    return [...good, ...poorOnes].map((one) => ({ ...one, still: true }));
  }

  async #consider(track: Track, moment: Moment): Promise<Shot | undefined> {
    const { plan, buffers } = this.#entry(track.id);
    const { nowMs, image, frame } = moment;
    if (!plan.due(nowMs)) return undefined;
    const { quality, poor } = this.#align(track.face, image, buffers.crop);
    const use = plan.consider(quality, poor, nowMs);
    if (use === 'leave') {
      if (poor !== null && plan.poor?.quality === quality) {
        const { capturedAt, mediaMs } = frame;
        this.#entry(track.id).poor = { face: track.face, quality, reason: poor, capturedAt, mediaMs };
      }
      return undefined;
    }
    if (use === 'embed-kept') return buffers.kept;
    fill(buffers.fresh, { face: track.face, quality, frame });
    // Liveness looks at what is around the face too, so it is scored while the frame is there.
    buffers.fresh.liveness = await this.#score(track.face, image);
    if (use === 'embed') return buffers.fresh;
    buffers.keepFresh();
    return undefined;
  }

  #align(face: Face, image: Image, crop: Uint8Array): { quality: FaceQuality; poor: PoorReason | null } {
    const { stages } = this.#parts;
    const startedAt = stages.now();
    const { quality } = alignFace(image, face, crop);
    stages.lap('align', startedAt);
    return { quality, poor: poorReason(face, quality, image, this.#limits) };
  }

  async #score(face: Face, image: Image): Promise<number | null> {
    const { liveness, stages } = this.#parts;
    if (liveness === null) return null;
    const startedAt = stages.now();
    const score = await liveness.score(image, face);
    stages.lap('liveness', startedAt);
    return score;
  }

  async #embed(chosen: readonly { track: string; shot: Shot }[]): Promise<EmbeddedShot[]> {
    if (chosen.length === 0) return [];
    const { embedder, stages } = this.#parts;
    const startedAt = stages.now();
    const embeddings = await embedder.embed(chosen.map(({ shot }) => shot));
    stages.lap('embed', startedAt);
    return chosen.flatMap((one, index) => {
      const embedding = embeddings[index];
      if (embedding) return [{ ...one, embedding }];
      this.#parts.onUnusable?.();
      if (this.#entries.has(one.track)) this.forget(one.track);
      return [];
    });
  }

  #entry(track: string): Entry {
    const known = this.#entries.get(track);
    if (known !== undefined) return known;
    const entry: Entry = {
      plan: new ShotPlan(this.#parts.plan ?? DEFAULT_SHOT_PLAN),
      buffers: this.#spare.pop() ?? new ShotBuffers(),
      poor: null,
    };
    this.#entries.set(track, entry);
    return entry;
  }

  #poorSighting(track: string, poor: NonNullable<Entry['poor']>): Sighting {
    return {
      camera: this.#parts.camera,
      track,
      capturedAt: poor.capturedAt,
      box: rounded(poor.face),
      frame: this.#frameSize,
      quality: poor.quality,
      embedding: null,
      poor: poor.reason,
      liveness: null,
      final: true,
      ...(poor.mediaMs === undefined ? {} : { mediaMs: poor.mediaMs }),
    };
  }
}

function fill(
  shot: Shot,
  { face, quality, frame }: { face: Face; quality: FaceQuality; frame: Frame },
): void {
  shot.face = face;
  shot.quality = quality;
  shot.capturedAt = frame.capturedAt;
  shot.mediaMs = frame.mediaMs;
  shot.liveness = null;
}

function rounded({ box }: Face): [number, number, number, number] {
  return [Math.round(box.x), Math.round(box.y), Math.round(box.width), Math.round(box.height)];
}
