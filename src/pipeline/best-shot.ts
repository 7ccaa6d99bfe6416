import { ALIGNED_SIZE, type Face, type FaceQuality, type PoorReason } from '../domain/face.js';
import type { Instant } from '../domain/frame.js';

export interface ShotPlanOptions {
  /** A first shot of at least this quality score is embedded at once. */
  readonly goodScore: number;
  /** Else the best shot is, so many milliseconds after the first acceptable one. */
  readonly patienceMs: number;
  /** So many shots are embedded in the first `spreadMs`, spread evenly. */
  readonly spreadShots: number;
  readonly spreadMs: number;
  /** Afterwards one each so often. */
  readonly renewMs: number;
}

export const DEFAULT_SHOT_PLAN: ShotPlanOptions = {
  goodScore: 0.3,
  patienceMs: 200,
  spreadShots: 5,
  spreadMs: 2000,
  renewMs: 10_000,
};

/**
 * For a camera that watches for a door: a look at each frame of a camera at up to 15 frames a second while somebody comes
 * up, and one each half second as long as they stand there, since a door goes by nothing that is older than about a second.
 */
export const DOOR_SHOT_PLAN: ShotPlanOptions = {
  ...DEFAULT_SHOT_PLAN,
  patienceMs: 100,
  spreadShots: 40,
  spreadMs: 2400,
  renewMs: 500,
};

/** A shot that was kept: the crop is the plan's own copy, taken at the moment of the shot. */
export interface Shot {
  /** 112x112 BGR. */
  readonly crop: Uint8Array;
  face: Face;
  quality: FaceQuality;
  capturedAt: Instant;
  mediaMs: number | undefined;
  liveness: number | null;
}

/** What to do: embed the shot just looked at, or the one kept before; keep the one just looked at; nothing. */
export type ShotUse = 'embed' | 'embed-kept' | 'keep' | 'leave';

/** A later shot is taken at once when it has at least this share of the best one's score, or shows the head turned so much further. */
const AS_GOOD = 0.8;
const TURNED_DEGREES = 10;

/**
 * When the face of one track is worth an embedding: the first acceptable shot soon, a few more while somebody has just
 * come, seldom afterwards. Pure; one for each track. Times are the camera's.
 */
export class ShotPlan {
  readonly #options: ShotPlanOptions;
  #embedded = 0;
  #firstMs = 0;
  #lastMs = Number.NEGATIVE_INFINITY;
  #waitingSinceMs: number | undefined;
  #best: FaceQuality | undefined;
  #keptScore = -1;
  #doubted = false;
  #poor: { reason: PoorReason; quality: FaceQuality } | undefined;

  constructor(options: ShotPlanOptions = DEFAULT_SHOT_PLAN) {
    this.#options = options;
  }

  /** Shots that were embedded. */
  get embedded(): number {
    return this.#embedded;
  }

  /** The best of the shots that were not acceptable, and why. */
  get poor(): { readonly reason: PoorReason; readonly quality: FaceQuality } | undefined {
    return this.#poor;
  }

  /** Whether a shot could be of use now: when not, it need not even be aligned. */
  due(nowMs: number): boolean {
    return this.#embedded === 0 || nowMs - this.#lastMs >= this.#interval(nowMs);
  }

  /** Whether the lively part is over: until the next renewal a face need only be followed. */
  settled(nowMs: number): boolean {
    return this.#embedded > 0 && !this.due(nowMs) && this.#interval(nowMs) === this.#options.renewMs;
  }

  /** The kept shot has waited long enough for a better one. */
  overdue(nowMs: number): boolean {
    const { patienceMs } = this.#options;
    return (
      this.#keptScore >= 0 && this.#waitingSinceMs !== undefined && nowMs - this.#waitingSinceMs >= patienceMs
    );
  }

  /** Judges a shot. After 'embed…' call {@link done}, or {@link forget} when it came to nothing; after 'keep' its crop is to be kept. */
  consider(quality: FaceQuality, poor: PoorReason | null, nowMs: number): ShotUse {
    if (poor !== null) {
      if (quality.score >= (this.#poor?.quality.score ?? -1)) this.#poor = { reason: poor, quality };
      return this.overdue(nowMs) ? 'embed-kept' : 'leave';
    }
    if (!this.due(nowMs)) return 'leave';
    this.#waitingSinceMs ??= nowMs;
    const best = this.#best;
    const atOnce =
      best === undefined
        ? quality.score >= this.#options.goodScore
        : quality.score >= AS_GOOD * best.score ||
          Math.abs(quality.yaw - best.yaw) >= TURNED_DEGREES ||
          Math.abs(quality.pitch - best.pitch) >= TURNED_DEGREES;
    if (atOnce) return 'embed';
    // Of two that are nearly as good the newer one says what is now.
    if (this.overdue(nowMs)) return quality.score >= AS_GOOD * this.#keptScore ? 'embed' : 'embed-kept';
    if (quality.score <= this.#keptScore) return 'leave';
    this.#keptScore = quality.score;
    return 'keep';
  }

  /** The shot that was asked for is embedded. */
  done(quality: FaceQuality, nowMs: number): void {
    if (this.#embedded === 0) this.#firstMs = nowMs;
    this.#embedded++;
    this.#lastMs = nowMs;
    this.#doubted = false;
    if (quality.score >= (this.#best?.score ?? -1)) this.#best = quality;
    this.forget();
  }

  /** The shot showed somebody else, perhaps: look again soon. */
  doubted(nowMs: number): void {
    this.#lastMs = nowMs;
    this.#doubted = true;
    this.forget();
  }

  /** What was kept is gone (embedded, or of no use). */
  forget(): void {
    this.#keptScore = -1;
    this.#waitingSinceMs = undefined;
  }

  #interval(nowMs: number): number {
    const { spreadShots, spreadMs, renewMs } = this.#options;
    const lively = this.#embedded < spreadShots && nowMs - this.#firstMs < spreadMs + spreadMs / spreadShots;
    return lively || this.#doubted ? spreadMs / spreadShots : renewMs;
  }
}

/** Crops for one plan: the one just taken and the best one kept, allocated once and exchanged. */
export class ShotBuffers {
  #fresh: Shot = emptyShot();
  #kept: Shot = emptyShot();
  #hasKept = false;

  /** Where the next crop is to be written. */
  get crop(): Uint8Array {
    return this.#fresh.crop;
  }

  get fresh(): Shot {
    return this.#fresh;
  }

  /** The best shot kept so far, if there is one. */
  get kept(): Shot | undefined {
    return this.#hasKept ? this.#kept : undefined;
  }

  keepFresh(): void {
    const spare = this.#kept;
    this.#kept = this.#fresh;
    this.#fresh = spare;
    this.#hasKept = true;
  }

  forgetKept(): void {
    this.#hasKept = false;
  }
}

const NO_QUALITY: FaceQuality = { size: 0, sharpness: 0, yaw: 0, pitch: 0, roll: 0, brightness: 0, score: 0 };
const NOWHERE = { x: 0, y: 0 };
const NO_FACE: Face = {
  box: { x: 0, y: 0, width: 0, height: 0 },
  landmarks: [NOWHERE, NOWHERE, NOWHERE, NOWHERE, NOWHERE],
  score: 0,
};

function emptyShot(): Shot {
  return {
    crop: new Uint8Array(ALIGNED_SIZE * ALIGNED_SIZE * 3),
    face: NO_FACE,
    quality: NO_QUALITY,
    capturedAt: { monotonicMs: 0, wallMs: 0 },
    mediaMs: undefined,
    liveness: null,
  };
}
