import type { RecognitionEvent } from '../domain/event.js';
import type { NewUnknownFace, Sighting, Store } from './ports.js';

export interface StrangersOptions {
  readonly store: Pick<Store, 'addUnknown' | 'forgetUnknown'>;
  /** How long a face is kept, milliseconds. */
  readonly keepMs: number;
  /** Faces kept at most. */
  readonly limit: number;
  /** Cosine from which two faces are taken to be of one stranger. */
  readonly threshold: () => number;
  readonly now: () => number;
  readonly onError: (error: unknown) => void;
}

/** Looks kept of one track: enough to be learnt from later. */
const PER_TRACK = 5;
/** Tracks that are remembered; the oldest go first. */
const MOST_TRACKS = 64;

interface Track {
  /** Best first; those that were kept already are not among them. */
  looks: Sighting[];
  kept: number;
  /** What was decided; until then looks wait. */
  decision: RecognitionEvent['decision'] | null;
}

/**
 * Keeps the faces of strangers when the owner has asked for it. A look is kept only once its track was decided to be
 * unknown, and is deleted again when the same track turns out to be somebody after all.
 */
export class Strangers {
  readonly #options: StrangersOptions;
  readonly #tracks = new Map<string, Track>();
  #running: Promise<void> = Promise.resolve();

  constructor(options: StrangersOptions) {
    this.#options = options;
  }

  looked(sighting: Sighting): void {
    if (sighting.embedding === null) return;
    const track = this.#track(sighting.track);
    if (track.decision !== null && track.decision !== 'unknown') return;
    track.looks = [...track.looks, sighting]
      .sort((a, b) => b.quality.score - a.quality.score)
      .slice(0, PER_TRACK - track.kept);
    if (track.decision === 'unknown') this.#keep(track);
  }

  decided({ track: id, decision }: RecognitionEvent): void {
    const track = this.#track(id);
    track.decision = decision;
    if (decision === 'unknown') {
      this.#keep(track);
      return;
    }
    track.looks = [];
    if (track.kept > 0) this.#do(() => this.#options.store.forgetUnknown({ tracks: [id] }));
    track.kept = 0;
  }

  /** Resolves when all that was shown is kept. */
  settled(): Promise<void> {
    return this.#running;
  }

  #keep(track: Track): void {
    const { store, keepMs, limit, threshold, now } = this.#options;
    for (const sighting of track.looks.splice(0)) {
      track.kept++;
      const face = faceOf(sighting, now() + keepMs);
      if (face !== null) this.#do(() => store.addUnknown(face, { threshold: threshold(), limit }));
    }
  }

  #do(work: () => Promise<unknown>): void {
    this.#running = this.#running.then(work).then(
      () => undefined,
      (error: unknown) => this.#options.onError(error),
    );
  }

  #track(id: string): Track {
    const known = this.#tracks.get(id);
    if (known !== undefined) return known;
    const track: Track = { looks: [], kept: 0, decision: null };
    this.#tracks.set(id, track);
    const [oldest] = this.#tracks.keys();
    if (this.#tracks.size > MOST_TRACKS && oldest !== undefined) this.#tracks.delete(oldest);
    return track;
  }
}

function faceOf(sighting: Sighting, expiresAt: number): NewUnknownFace | null {
  const { embedding, quality, camera, track, capturedAt, crop } = sighting;
  if (embedding === null) return null;
  return {
    ...{ embedding, quality, camera, track, expiresAt },
    seenAt: capturedAt.wallMs,
    image: crop ?? null,
  };
}
