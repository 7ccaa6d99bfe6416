import type { Image } from '../domain/frame.js';
import type { LivenessReason } from '../domain/liveness.js';
import { area } from '../vision/boxes.js';
import { CloserLook } from './closer-look.js';
import { answerOf, type LifeLimits, type LivenessPolicy } from './life-rules.js';
import type { FaceDetector, LivenessScorer } from './ports.js';
import { TrackLife } from './track-life.js';
import { type Track, Tracker } from './tracker.js';

export interface ClipLifeParts {
  readonly detector: FaceDetector;
  readonly scorer: LivenessScorer | null;
  readonly limits?: Partial<LifeLimits>;
}

export interface ClipVerdict {
  readonly frames: number;
  readonly live: boolean;
  readonly passive: number | null;
  /** Score of the active test, 0 to 1; null when no face was followed. */
  readonly active: number | null;
  readonly reason: LivenessReason;
  readonly blinks: number;
  /** Degrees. */
  readonly turn: number;
  /** From the first frame with the face to the first at which it counted as alive, milliseconds; null when it never did. */
  readonly afterMs: number | null;
}

/** Frames nearer than this add nothing to signs of life. */
const LEAST_APART_MS = 35;

interface Followed {
  readonly life: TrackLife;
  readonly looks: CloserLook;
  frames: number;
  size: number;
  firstMs: number;
  liveMs: number | null;
}

/** The same test as before a camera, over a clip: fed frame by frame, asked at the end. The verdict is about the face that was seen most. */
export class ClipLife {
  readonly #parts: ClipLifeParts;
  readonly #tracker = new Tracker({ confirmMs: 0 });
  readonly #tracks = new Map<string, Followed>();
  #frames = 0;
  #lastMs = Number.NEGATIVE_INFINITY;

  constructor(parts: ClipLifeParts) {
    this.#parts = parts;
  }

  /** @param ms on the clip's own clock, rising */
  async see(image: Image, ms: number): Promise<void> {
    this.#frames++;
    if (ms - this.#lastMs < LEAST_APART_MS) return;
    this.#lastMs = ms;
    const faces = await this.#parts.detector.detect(image);
    for (const track of this.#tracker.update(faces, ms).seen) await this.#follow(track, image, ms);
  }

  verdict(policy: LivenessPolicy): ClipVerdict {
    const [main] = [...this.#tracks.values()].sort((a, b) => b.frames * b.size - a.frames * a.size);
    const about = { frames: this.#frames, blinks: 0, turn: 0, afterMs: null };
    if (main === undefined) return { ...about, live: false, passive: null, active: null, reason: 'no-face' };
    if (this.#frames === 1 && policy.mode !== 'off' && policy.mode !== 'passive') {
      const { passive } = main.life.liveness;
      return { ...about, live: false, passive, active: 0, reason: 'single-picture' };
    }
    main.life.finish();
    const { passive, active } = main.life.liveness;
    const answer = answerOf({ passive, active }, policy);
    return {
      frames: this.#frames,
      live: answer.state === 'live',
      passive,
      active: active.score,
      reason: answer.reason,
      blinks: active.blinks,
      turn: active.turn,
      afterMs: main.liveMs === null ? null : main.liveMs - main.firstMs,
    };
  }

  async #follow(track: Track, image: Image, ms: number): Promise<void> {
    const { scorer } = this.#parts;
    const { face } = track;
    const followed = this.#followed(track.id, ms);
    followed.frames++;
    followed.size += (Math.sqrt(area(face.box)) - followed.size) / followed.frames;
    const closer = followed.looks.isDue(ms);
    followed.life.look({
      ms,
      ...(face.contour === undefined ? {} : { contour: face.contour }),
      passive: closer && scorer !== null ? await scorer.score(image, face) : null,
      ...followed.looks.forScreen(image, face.box, { ms, closer }),
    });
    if (followed.liveMs === null && followed.life.liveness.active.state === 'live') followed.liveMs = ms;
  }

  #followed(track: string, firstMs: number): Followed {
    const known = this.#tracks.get(track);
    if (known !== undefined) return known;
    const { limits } = this.#parts;
    const life = new TrackLife(limits === undefined ? {} : { limits });
    const begun = { life, looks: new CloserLook(), frames: 0, size: 0, firstMs, liveMs: null };
    this.#tracks.set(track, begun);
    return begun;
  }
}
