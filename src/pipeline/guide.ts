import type { PoorReason } from '../domain/face.js';
import { dot } from '../vision/similarity.js';
import type { AnalysedFace, ImageAnalysis } from './ports.js';

/** How the head is wanted: to the camera, or turned a little to the person's own left or right. */
export type Pose = 'front' | 'left' | 'right';

/** What is wrong with what the camera sees, or what is wanted next. */
export type Advice =
  | 'look-at-camera'
  | 'turn-left'
  | 'turn-right'
  | 'turn-back'
  | 'no-face'
  | 'several-faces'
  | 'too-far'
  | 'too-dark'
  | 'too-bright'
  | 'hold-still'
  | 'cut-off'
  | 'another-face'
  | 'taken';

/** For people who stand in front of the camera; left and right are their own. */
export const ADVICE_TEXT: Readonly<Record<Advice, string>> = {
  'look-at-camera': 'Look straight into the camera.',
  'turn-left': 'Turn your head a little to your left.',
  'turn-right': 'Turn your head a little to your right.',
  'turn-back': 'Not so far: turn back a little.',
  'no-face': 'No face is seen: step in front of the camera.',
  'several-faces': 'More than one face is seen: only the one who is to be learnt, please.',
  'too-far': 'Come closer.',
  'too-dark': 'It is too dark: turn to the light.',
  'too-bright': 'It is too bright: turn away from the light.',
  'hold-still': 'Hold still.',
  'cut-off': 'The face is at the border: move to the middle.',
  'another-face': 'This is another face than before.',
  taken: 'Good, that one is taken.',
};

export interface GuideOptions {
  /** What is asked for, in order. */
  readonly poses: readonly Pose[];
  /** All of it may take this long. */
  readonly limitMs: number;
  /** A turned head that does not come within this time is done without. */
  readonly patienceMs: number;
  /** Cosine from which two looks of one minute are the same face. */
  readonly sameFace: number;
  /** Shorter side of a face's box, pixels. */
  readonly minSize: number;
}

export const DEFAULT_GUIDE: Omit<GuideOptions, 'sameFace'> = {
  poses: ['front', 'left', 'right'],
  limitMs: 30_000,
  patienceMs: 5_000,
  minSize: 60,
};

/** Degrees: a head that is still frontal, and one that is turned enough but not too far. */
const FRONT_YAW = 20;
const FRONT_PITCH = 25;
const TURNED_YAW = 12;
const TURNED_TOO_FAR = 45;
/** Mean grey levels between which a face is well lit. */
const DARK = 40;
const BRIGHT = 225;
/** A face that holds still moves less than this share of its size between two looks. */
const STILL = 0.15;

export interface GuideState {
  readonly advice: Advice;
  /** Shots that were taken, and how many are asked for. */
  readonly taken: number;
  readonly wanted: number;
  /** What is asked for now; null at the end. */
  readonly pose: Pose | null;
}

/**
 * Leads somebody through the shots for an enrolment. Pure: it is shown what the camera sees, one look after the other,
 * and says what is wrong with it; time is the caller's. It ends when every pose was had or done without, or when the
 * time is over; {@link shots} are what came of it. Somebody who never stood still or straight is learnt from the best
 * look that was good enough in every other way.
 */
export class Guide {
  readonly #options: GuideOptions;
  readonly #shots: AnalysedFace[] = [];
  #fallback: AnalysedFace | undefined;
  readonly #startedMs: number;
  #step = 0;
  #stepMs: number;
  #advice: Advice = 'look-at-camera';
  #last: AnalysedFace | undefined;
  #over = false;

  constructor(options: GuideOptions, nowMs: number) {
    this.#options = options;
    this.#startedMs = nowMs;
    this.#stepMs = nowMs;
  }

  get shots(): readonly AnalysedFace[] {
    return this.#shots.length === 0 && this.#fallback !== undefined ? [this.#fallback] : this.#shots;
  }

  get over(): boolean {
    return this.#over;
  }

  /** The last thing that was wrong. */
  get advice(): Advice {
    return this.#advice;
  }

  /** Judges one look. */
  look(seen: ImageAnalysis, nowMs: number): GuideState {
    if (!this.#over) {
      const face = subjectOf(seen);
      this.#advice = typeof face === 'string' ? face : this.#judge(face);
      if (typeof face !== 'string' && this.#advice === 'taken') {
        this.#shots.push(face);
        this.#next(nowMs);
      }
      this.#last = typeof face === 'string' ? undefined : face;
      this.tick(nowMs);
    }
    return this.state();
  }

  /** To be called when there is nothing to look at, so that the time runs out. */
  tick(nowMs: number): void {
    const { limitMs, patienceMs } = this.#options;
    // The first shot is waited for until the end: without it there is nothing to learn.
    while (!this.#over && this.#shots.length > 0 && nowMs - this.#stepMs >= patienceMs) this.#next(nowMs);
    if (nowMs - this.#startedMs >= limitMs) this.#over = true;
  }

  /** The camera has no more pictures. */
  end(): void {
    this.#over = true;
  }

  state(): GuideState {
    return {
      advice: this.#advice,
      taken: this.#shots.length,
      wanted: this.#options.poses.length,
      pose: this.#over ? null : this.#pose,
    };
  }

  get #pose(): Pose {
    return this.#options.poses[this.#step] ?? 'front';
  }

  #next(nowMs: number): void {
    this.#step++;
    this.#stepMs = nowMs;
    if (this.#step >= this.#options.poses.length) this.#over = true;
  }

  #judge(face: AnalysedFace): Advice {
    const { quality, embedding, poor } = face;
    const { minSize, sameFace } = this.#options;
    if (quality.size < minSize) return 'too-far';
    if (poor !== null && poor !== 'turned-away') return POOR_ADVICE[poor];
    if (quality.brightness < DARK) return 'too-dark';
    if (quality.brightness > BRIGHT) return 'too-bright';
    if (embedding !== null && quality.score > (this.#fallback?.quality.score ?? -1)) this.#fallback = face;
    const turn = turnWanted(this.#pose, quality);
    if (turn !== null) return turn;
    if (embedding === null) return 'look-at-camera';
    const [first] = this.#shots;
    if (first?.embedding != null && dot(first.embedding.vector, embedding.vector) < sameFace)
      return 'another-face';
    return this.#still(face) ? 'taken' : 'hold-still';
  }

  /** Compared with the look before, which must have shown a face too. */
  #still({ face: { box } }: AnalysedFace): boolean {
    const before = this.#last?.face.box;
    if (before === undefined) return false;
    const moved = Math.hypot(
      box.x + box.width / 2 - before.x - before.width / 2,
      box.y + box.height / 2 - before.y - before.height / 2,
    );
    const grown = Math.abs(box.width - before.width);
    return Math.max(moved, grown) < STILL * box.width;
  }
}

const POOR_ADVICE: Readonly<Record<Exclude<PoorReason, 'turned-away'>, Advice>> = {
  'too-small': 'too-far',
  'too-blurred': 'hold-still',
  'too-dark': 'too-dark',
  'too-bright': 'too-bright',
  'cut-off': 'cut-off',
};

/** Null when the head is as it is wanted. Positive yaw looks to the picture's right, which is the person's left. */
function turnWanted(pose: Pose, { yaw, pitch }: { yaw: number; pitch: number }): Advice | null {
  if (pose === 'front') {
    if (yaw > FRONT_YAW) return 'turn-right';
    if (yaw < -FRONT_YAW) return 'turn-left';
    return Math.abs(pitch) > FRONT_PITCH ? 'look-at-camera' : null;
  }
  const turned = pose === 'left' ? yaw : -yaw;
  if (turned > TURNED_TOO_FAR) return 'turn-back';
  if (turned < TURNED_YAW) return pose === 'left' ? 'turn-left' : 'turn-right';
  return null;
}

/** A face far behind is a bystander's; any nearer, and it must be asked whose is meant. */
const BYSTANDER_AREA_RATIO = 4;

function subjectOf({ faces }: ImageAnalysis): AnalysedFace | 'no-face' | 'several-faces' {
  const [first, second] = [...faces].sort((a, b) => area(b) - area(a));
  if (first === undefined) return 'no-face';
  return second !== undefined && area(first) < BYSTANDER_AREA_RATIO * area(second) ? 'several-faces' : first;
}

function area({ face }: AnalysedFace): number {
  return face.box.width * face.box.height;
}
