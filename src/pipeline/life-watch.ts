import { randomInt } from 'node:crypto';
import type { TrackLiveness } from '../domain/liveness.js';
import { CloserLook } from './closer-look.js';
import type { LivenessScorer, Sighting, VisionEvents } from './ports.js';
import type { Moment } from './shots.js';
import type { StageClock } from './stage-clock.js';
import { TrackLife } from './track-life.js';
import type { Track } from './tracker.js';
import type { CameraLiveness } from './vision-options.js';

export interface LifeWatchParts {
  readonly camera: string;
  readonly options: CameraLiveness;
  readonly liveness: LivenessScorer | null;
  readonly stages: StageClock;
  readonly onChange: (change: VisionEvents['livenessChanged']) => void;
}

interface Watched {
  readonly life: TrackLife;
  readonly looks: CloserLook;
}

/** The signs of life of one camera's tracks. Small: numbers of some hundred frames, and of each face some hundred means of its light. */
export class LifeWatch {
  readonly #parts: LifeWatchParts;
  readonly #asksPassive: boolean;
  readonly #tracks = new Map<string, Watched>();

  constructor(parts: LifeWatchParts) {
    this.#parts = parts;
    this.#asksPassive = parts.options.mode === 'passive' || parts.options.mode === 'both';
  }

  /** True when the camera asks for signs of life at all. */
  get on(): boolean {
    return this.#parts.options.mode !== 'off';
  }

  /** False while a face has yet to show that it is alive: then each frame counts. */
  get settled(): boolean {
    if (!this.#asksActive) return true;
    for (const { life } of this.#tracks.values()) if (!life.settled) return false;
    return true;
  }

  /** What the faces of one frame add. */
  async look(seen: readonly Track[], moment: Moment): Promise<void> {
    if (!this.on) return;
    for (const track of seen) await this.#see(track, moment);
  }

  /** The sighting with what is known of its track. */
  of(sighting: Sighting): Sighting {
    const watched = this.#tracks.get(sighting.track);
    return watched === undefined ? sighting : { ...sighting, alive: this.#told(watched.life) };
  }

  /** A picture that stands for itself has no time to show anything. */
  ofPicture(sighting: Sighting): Sighting {
    if (!this.on) return sighting;
    const still = { blinks: 0, turn: 0, challenge: null, score: 0 };
    const active = this.#asksActive
      ? ({ state: 'not-shown', reason: 'single-picture', ...still } as const)
      : null;
    return { ...sighting, alive: { passive: sighting.liveness, active } };
  }

  /** Somebody else may be in this track now: what was shown does not count. */
  forget(track: string, moment: Moment): void {
    const watched = this.#tracks.get(track);
    if (watched?.life.forget()) this.#tell(track, watched.life, moment);
  }

  /** A track that was lost goes on under its own name; what counts is what the new one has shown. */
  resume(track: string, instead: string): void {
    const fresh = this.#tracks.get(instead);
    this.#tracks.delete(instead);
    if (fresh === undefined) this.#tracks.delete(track);
    else this.#tracks.set(track, fresh);
  }

  drop(track: string): void {
    this.#tracks.delete(track);
  }

  get #asksActive(): boolean {
    const { mode } = this.#parts.options;
    return mode === 'active' || mode === 'both';
  }

  async #see(track: Track, moment: Moment): Promise<void> {
    const { stages } = this.#parts;
    const { face } = track;
    const { nowMs, image } = moment;
    const watched = this.#watched(track.id);
    const closer = !watched.life.settled && watched.looks.isDue(nowMs);
    const passive = closer ? await this.#score(track, moment) : null;
    const startedAt = stages.now();
    const forScreen = this.#asksActive && !watched.life.settled;
    const changed = watched.life.look({
      ms: nowMs,
      ...(face.contour === undefined ? {} : { contour: face.contour }),
      passive,
      ...(forScreen ? watched.looks.forScreen(image, face.box, { ms: nowMs, closer }) : { screen: null }),
    });
    stages.lap('life', startedAt);
    if (changed) this.#tell(track.id, watched.life, moment);
  }

  async #score({ face }: Track, { image }: Moment): Promise<number | null> {
    const { liveness, stages } = this.#parts;
    if (liveness === null || !this.#asksPassive) return null;
    const startedAt = stages.now();
    const score = await liveness.score(image, face);
    stages.lap('liveness', startedAt);
    return score;
  }

  #watched(track: string): Watched {
    const known = this.#tracks.get(track);
    if (known !== undefined) return known;
    const { withinMs, challenge } = this.#parts.options;
    const life = new TrackLife({
      limits: withinMs === undefined ? {} : { withinMs },
      ...(challenge === true ? { challenge: () => (randomInt(2) === 0 ? 'turn-left' : 'turn-right') } : {}),
    });
    const watched = { life, looks: new CloserLook() };
    this.#tracks.set(track, watched);
    return watched;
  }

  #tell(track: string, life: TrackLife, { frame }: Moment): void {
    if (!this.#asksActive) return;
    const { camera, onChange } = this.#parts;
    onChange({
      camera,
      track,
      at: frame.capturedAt,
      ...(frame.mediaMs === undefined ? {} : { mediaMs: frame.mediaMs }),
      liveness: this.#told(life),
    });
  }

  #told(life: TrackLife): TrackLiveness {
    const { passive, active } = life.liveness;
    return { passive, active: this.#asksActive ? active : null };
  }
}
