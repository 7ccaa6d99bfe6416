import { iou } from '../vision/boxes.js';
import type { Track } from './tracker.js';

/** Tracks that one track is remembered to have been in view with, at most; the oldest go first. */
const MAX_REMEMBERED = 64;
/** Two boxes that share more than this may be one face that was found twice. */
const ONE_FACE_IOU = 0.3;

/**
 * Who was in view together. Two faces in one picture are two people, however alike they look: what the embeddings
 * cannot tell of siblings, this does.
 */
export class Company {
  readonly #of = new Map<string, Set<string>>();
  #seen: readonly Track[] = [];

  /** The believed tracks that were seen in one frame. */
  see(seen: readonly Track[]): void {
    this.#seen = seen;
    seen.forEach((one, index) => {
      for (const other of seen.slice(index + 1)) {
        if (iou(one.face.box, other.face.box) > ONE_FACE_IOU) continue;
        this.#add(one.id, other.id);
        this.#add(other.id, one.id);
      }
    });
  }

  /** Ids of the tracks that were seen in the same frame as this one, ever. */
  of(track: string): readonly string[] {
    return [...(this.#of.get(track) ?? [])];
  }

  /** `gone` was `track` all along. */
  merge(track: string, gone: string): void {
    for (const other of this.of(gone)) {
      this.#add(track, other);
      this.#add(other, track);
    }
    this.end(gone);
  }

  /** In the frame seen last the face of `track` was somebody else's: `instead`. */
  replace(track: string, instead: string): void {
    this.see(this.#seen.map((one) => (one.id === track ? { ...one, id: instead } : one)));
  }

  end(track: string): void {
    this.#of.delete(track);
  }

  #add(track: string, other: string): void {
    const company = this.#of.get(track) ?? new Set();
    this.#of.set(track, company);
    remember(company, other, MAX_REMEMBERED);
  }
}

/** Adds to a set of bounded size; what was not named for longest goes. */
export function remember(set: Set<string>, one: string, limit: number): void {
  set.delete(one);
  set.add(one);
  const [oldest] = set;
  if (set.size > limit && oldest !== undefined) set.delete(oldest);
}
