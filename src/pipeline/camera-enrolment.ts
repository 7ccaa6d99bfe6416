import { setTimeout as pause } from 'node:timers/promises';
import { FacedError } from '../domain/errors.js';
import { type Clock, systemClock } from '../lib/clock.js';
import { ADVICE_TEXT, type Advice, DEFAULT_GUIDE, Guide, type GuideState } from './guide.js';
import type { AnalysedFace, Vision } from './ports.js';

/** What is said while somebody is led through an enrolment: at each change. */
export interface EnrolProgress extends GuideState {
  readonly name: string;
  readonly camera: string;
  /** The advice as a sentence. */
  readonly text: string;
}

export interface CameraEnrolmentDeps {
  readonly vision: Pick<Vision, 'analyse' | 'snapshot'>;
  readonly sameFace: number;
  readonly clock?: Clock;
}

export interface CameraEnrolmentRequest {
  readonly name: string;
  readonly camera: string;
  readonly signal: AbortSignal;
  readonly onProgress: (progress: EnrolProgress) => void;
  /** Told of the first shot at once; rejects when there is no sense in going on (the face is somebody else's). */
  readonly onFirstShot: (shot: AnalysedFace) => Promise<void>;
}

/** Between two looks: a Pi needs a moment for each. */
const PAUSE_MS = 150;
/** A camera that gives no picture so often in a row is not there. */
const MOST_MISSING = 3;

/** Leads somebody in front of a camera through a few shots. One at a time for each camera. */
export class CameraEnrolment {
  readonly #deps: CameraEnrolmentDeps;
  readonly #busy = new Set<string>();

  constructor(deps: CameraEnrolmentDeps) {
    this.#deps = deps;
  }

  /** At least one shot. Rejects with `enroll.timed-out` when none came, `busy` when this camera is being used so already, `interrupted`, or what `onFirstShot` says. */
  async take(request: CameraEnrolmentRequest): Promise<readonly AnalysedFace[]> {
    const { camera } = request;
    if (this.#busy.has(camera))
      throw new FacedError('busy', `somebody is being learnt at the camera ${camera} already`, {
        fix: 'Try again in half a minute.',
      });
    this.#busy.add(camera);
    try {
      return await this.#lead(request);
    } finally {
      this.#busy.delete(camera);
    }
  }

  async #lead(request: CameraEnrolmentRequest): Promise<readonly AnalysedFace[]> {
    const { signal, camera, onFirstShot } = request;
    const clock = this.#deps.clock ?? systemClock;
    const guide = new Guide({ ...DEFAULT_GUIDE, sameFace: this.#deps.sameFace }, clock.monotonic());
    const say = speaker(request);
    say(guide.state());
    let missing = 0;
    while (!guide.over) {
      if (signal.aborted)
        throw new FacedError('interrupted', 'the enrolment was called off; nothing was kept');
      const jpeg = await this.#deps.vision.snapshot(camera);
      if (jpeg === null) {
        missing++;
        guide.tick(clock.monotonic());
        if (missing >= MOST_MISSING) guide.end();
        continue;
      }
      missing = 0;
      const { taken } = guide.state();
      const seen = await this.#deps.vision.analyse(jpeg, { crops: true });
      const state = guide.look(seen, clock.monotonic());
      const [first] = guide.shots;
      if (taken === 0 && state.taken === 1 && first !== undefined) await onFirstShot(first);
      say(state);
      if (!guide.over) await pause(PAUSE_MS, undefined, { signal }).catch(() => undefined);
    }
    const { shots } = guide;
    if (shots.length === 0) throw nothingTaken(guide.advice, missing >= MOST_MISSING);
    return shots;
  }
}

/** Says what is new. */
function speaker({ name, camera, onProgress }: CameraEnrolmentRequest): (state: GuideState) => void {
  let said = '';
  return (state) => {
    const now = `${state.advice} ${state.taken} ${state.pose}`;
    if (now === said) return;
    said = now;
    onProgress({ name, camera, ...state, text: ADVICE_TEXT[state.advice] });
  };
}

function nothingTaken(advice: Advice, noPicture: boolean): FacedError {
  if (noPicture)
    return new FacedError('source.open-failed', 'this camera gives no picture now', {
      fix: 'faced doctor says what is wrong with it',
    });
  return new FacedError('enroll.timed-out', `no good picture came in time: ${ADVICE_TEXT[advice]}`, {
    fix: 'Try again, near to the camera and in good light, or enrol from pictures.',
  });
}
