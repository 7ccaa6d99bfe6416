import { ulid } from 'ulid';
import type { Embedding } from '../domain/embedding.js';
import type { Box, Face } from '../domain/face.js';
import { area, iou } from '../vision/boxes.js';
import { assign } from './assignment.js';
import { MeanEmbedding } from './mean-embedding.js';

export interface TrackerOptions {
  /** A track is believed when its face was seen over at least this long, milliseconds. */
  readonly confirmMs: number;
  /** A track that is not yet believed is forgotten when unseen for so long. */
  readonly forgetMs: number;
  /** A believed track ends when unseen for so long; until then the same face takes it up again. */
  readonly lingerMs: number;
  /** Unseen for longer, and looked for in vain at least twice, a face is no longer known by its place: who comes up there has to look the same. */
  readonly placeMs: number;
  /** For so long a face that was lost is expected to go on moving as it did. */
  readonly coastMs: number;
  /** Cosine from which a face that comes up elsewhere is the one that was lost. */
  readonly sameFace: number;
  /** Cosine below which a track is no longer the face that it was: two people have crossed. */
  readonly otherFace: number;
  /** People followed at the same time, at most; the largest faces go first. */
  readonly maxTracks: number;
  readonly newId: () => string;
}

/**
 * `sameFace` and `otherFace` lie either side of where the recogniser's genuine and impostor pairs meet (0.24 to 0.34 for
 * the models shipped): both are about the same minute in the same light, where the same face is far above it.
 */
export const DEFAULT_TRACKER: TrackerOptions = {
  confirmMs: 60,
  forgetMs: 500,
  lingerMs: 2000,
  placeMs: 600,
  coastMs: 400,
  sameFace: 0.4,
  otherFace: 0.15,
  maxTracks: 32,
  newId: ulid,
};

export interface Track {
  /** ULID. */
  readonly id: string;
  readonly confirmed: boolean;
  readonly firstSeenMs: number;
  readonly lastSeenMs: number;
  /** The face as it was last seen. */
  readonly face: Face;
}

export interface TrackUpdate {
  /** Tracks that were seen in this frame, each with its face. */
  readonly seen: readonly Track[];
  /** Believed tracks that have ended; their ids do not come again. */
  readonly ended: readonly Track[];
}

/** What an embedding said about the track that it was made for. */
export type Identity =
  /** The face that the track has always shown (or its first). */
  | { readonly kind: 'same'; readonly track: string }
  /** A face that was lost: the new track's id is gone, the old track goes on in its place. */
  | { readonly kind: 'resumed'; readonly track: string; readonly instead: string }
  /** Two people crossed and their tracks were mixed up: they have changed places. */
  | { readonly kind: 'exchanged'; readonly track: string; readonly other: string }
  /** Not the track's face, for the first time: a hand before it, or somebody else. The shot is not to be used. */
  | { readonly kind: 'doubtful'; readonly track: string }
  /** Somebody else stands where the track was: the track has ended and a new one begun. */
  | { readonly kind: 'replaced'; readonly track: string; readonly ended: Track };

interface State {
  id: string;
  face: Face;
  centreX: number;
  centreY: number;
  velocityX: number;
  velocityY: number;
  size: number;
  firstSeenMs: number;
  lastSeenMs: number;
  confirmed: boolean;
  /** Frames in a row in which it was looked for in vain. */
  missed: number;
  template: MeanEmbedding | undefined;
  /** The last shot showed another face. */
  doubtful: boolean;
}

/** Shares of what a measurement corrects in place and speed (the alpha-beta filter, P. R. Kalata 1984). */
const ALPHA = 0.8;
const BETA = 0.4;
/** A pair may lie apart by this many face sizes, and by more of them for each second unseen; its sizes may differ by this factor. */
const REACH = 0.8;
const REACH_PER_SECOND = 1.5;
const MAX_REACH = 2.5;
const SIZE_RATIO = 1.8;

/**
 * Follows any number of faces from frame to frame: where each would be by its own speed, the cheapest assignment of
 * what was found to what was expected (A. Bewley et al., "Simple online and realtime tracking", ICIP 2016, with the
 * distance of centres added to the overlap, since faces are small and frames may be far apart), and embeddings where
 * places are not enough. Pure: time comes with the calls, and rules go by it, never by frames.
 */
export class Tracker {
  readonly #options: TrackerOptions;
  #states: State[] = [];

  constructor(options: Partial<TrackerOptions> = {}) {
    this.#options = { ...DEFAULT_TRACKER, ...options };
  }

  /** Tracks that may go on, seen or not. */
  get alive(): number {
    return this.#states.length;
  }

  /** @param nowMs the frame's time; never goes back */
  update(faces: readonly Face[], nowMs: number): TrackUpdate {
    const found = [...faces].sort((a, b) => area(b.box) - area(a.box)).slice(0, this.#options.maxTracks);
    const cost = new Float64Array(this.#states.length * found.length);
    this.#states.forEach((state, row) => {
      found.forEach((face, column) => {
        cost[row * found.length + column] = this.#cost(state, face.box, nowMs);
      });
    });
    const assigned = assign(cost, this.#states.length, found.length);
    const taken = new Set<number>();
    assigned.forEach((column, row) => {
      const [state, face] = [this.#states[row], found[column]];
      if (state === undefined || face === undefined) return;
      taken.add(column);
      this.#see(state, face, nowMs);
    });
    assigned.forEach((column, row) => {
      const state = this.#states[row];
      if (state !== undefined && column === -1) state.missed++;
    });
    const ended = this.expire(nowMs);
    found.forEach((face, column) => {
      if (!taken.has(column) && this.#states.length < this.#options.maxTracks) {
        this.#states.push(this.#born(face, nowMs));
      }
    });
    return { seen: this.#states.filter((one) => one.lastSeenMs === nowMs).map(view), ended };
  }

  /** Ends what was not seen for too long, when no frame was looked at. */
  expire(nowMs: number): Track[] {
    const gone = (one: State): boolean =>
      nowMs - one.lastSeenMs > (one.confirmed ? this.#options.lingerMs : this.#options.forgetMs);
    const ended = this.#states.filter((one) => one.confirmed && gone(one));
    this.#states = this.#states.filter((one) => !gone(one));
    return ended.map(view);
  }

  /** Ends everything: the source is over. */
  endAll(): Track[] {
    const ended = this.#states.filter((one) => one.confirmed).map(view);
    this.#states = [];
    return ended;
  }

  /**
   * What the embedding of a shot of this track, just taken, says about whose track it is. Weight: the shot's quality.
   * Undefined when the track is not alive.
   */
  identify(id: string, embedding: Embedding, weight: number): Identity | undefined {
    const state = this.#states.find((one) => one.id === id);
    if (state === undefined) return undefined;
    if (state.template === undefined) {
      const lost = this.#bestOther(state, embedding, (one) => one.lastSeenMs < state.firstSeenMs);
      if (lost === undefined) {
        state.template = new MeanEmbedding(embedding, weight);
        return { kind: 'same', track: id };
      }
      return this.#resume(lost, state, embedding, weight);
    }
    if (!state.template.fits(embedding)) state.template = new MeanEmbedding(embedding, weight);
    else if (state.template.similarityTo(embedding) >= this.#options.otherFace) {
      state.template.add(embedding, weight);
      state.doubtful = false;
    } else return this.#otherFace(state, embedding, weight);
    return { kind: 'same', track: id };
  }

  #otherFace(state: State, embedding: Embedding, weight: number): Identity {
    const other = this.#bestOther(state, embedding, () => true);
    if (other !== undefined) {
      exchange(state, other);
      other.template?.add(embedding, weight);
      return { kind: 'exchanged', track: other.id, other: state.id };
    }
    if (!state.doubtful) {
      state.doubtful = true;
      return { kind: 'doubtful', track: state.id };
    }
    const ended = view(state);
    state.doubtful = false;
    state.id = this.#options.newId();
    state.template = new MeanEmbedding(embedding, weight);
    state.firstSeenMs = state.lastSeenMs;
    return { kind: 'replaced', track: state.id, ended };
  }

  /** The track that, of all others with a template, this face belongs to most; none when none is like it. */
  #bestOther(state: State, embedding: Embedding, allowed: (one: State) => boolean): State | undefined {
    let best: State | undefined;
    let bestSimilarity = this.#options.sameFace;
    for (const one of this.#states) {
      const similarity = one === state ? -1 : (one.template?.similarityTo(embedding) ?? -1);
      if (similarity < bestSimilarity || !allowed(one)) continue;
      best = one;
      bestSimilarity = similarity;
    }
    return best;
  }

  #resume(lost: State, fresh: State, embedding: Embedding, weight: number): Identity {
    const gone = fresh.id;
    const { id, template, firstSeenMs } = lost;
    Object.assign(lost, fresh, { id, template, firstSeenMs, confirmed: true });
    lost.template?.add(embedding, weight);
    this.#states = this.#states.filter((one) => one !== fresh);
    return { kind: 'resumed', track: id, instead: gone };
  }

  #born(face: Face, nowMs: number): State {
    const { box } = face;
    return {
      id: this.#options.newId(),
      face,
      centreX: box.x + box.width / 2,
      centreY: box.y + box.height / 2,
      velocityX: 0,
      velocityY: 0,
      size: Math.sqrt(area(box)),
      firstSeenMs: nowMs,
      lastSeenMs: nowMs,
      confirmed: this.#options.confirmMs <= 0,
      missed: 0,
      template: undefined,
      doubtful: false,
    };
  }

  #see(state: State, face: Face, nowMs: number): void {
    const { box } = face;
    const elapsed = Math.max(1, nowMs - state.lastSeenMs);
    const [x, y] = this.#expected(state, nowMs);
    const [offX, offY] = [box.x + box.width / 2 - x, box.y + box.height / 2 - y];
    state.centreX = x + ALPHA * offX;
    state.centreY = y + ALPHA * offY;
    state.velocityX += (BETA * offX) / elapsed;
    state.velocityY += (BETA * offY) / elapsed;
    state.size += ALPHA * (Math.sqrt(area(box)) - state.size);
    state.face = face;
    state.lastSeenMs = nowMs;
    state.missed = 0;
    state.confirmed ||= nowMs - state.firstSeenMs >= this.#options.confirmMs;
  }

  #expected(state: State, nowMs: number): readonly [number, number] {
    const elapsed = Math.min(nowMs - state.lastSeenMs, this.#options.coastMs);
    return [state.centreX + state.velocityX * elapsed, state.centreY + state.velocityY * elapsed];
  }

  /** 0 (exactly where it was expected) to 2; Infinity when it cannot be the same face. */
  #cost(state: State, box: Box, nowMs: number): number {
    const { placeMs } = this.#options;
    if (state.template !== undefined && state.missed >= 2 && nowMs - state.lastSeenMs > placeMs) {
      return Number.POSITIVE_INFINITY;
    }
    const size = Math.sqrt(area(box));
    const ratio = Math.max(size, state.size) / Math.max(1, Math.min(size, state.size));
    if (ratio > SIZE_RATIO) return Number.POSITIVE_INFINITY;
    const [x, y] = this.#expected(state, nowMs);
    const scale = Math.max(size, state.size);
    const apart = Math.hypot(box.x + box.width / 2 - x, box.y + box.height / 2 - y) / scale;
    const unseen = (nowMs - state.lastSeenMs) / 1000;
    const reach = Math.min(MAX_REACH, REACH + REACH_PER_SECOND * unseen);
    if (apart > reach) return Number.POSITIVE_INFINITY;
    const half = state.size / 2;
    const expected = { x: x - half, y: y - half, width: state.size, height: state.size };
    return 1 - iou(expected, box) + apart / reach;
  }
}

/** Two tracks change what they see, and keep who they are. */
function exchange(a: State, b: State): void {
  const { id: idA, template: templateA, firstSeenMs: firstA, confirmed: confirmedA } = a;
  const { id: idB, template: templateB, firstSeenMs: firstB, confirmed: confirmedB } = b;
  const copyA = { ...a };
  Object.assign(a, b, { id: idA, template: templateA, firstSeenMs: firstA, confirmed: confirmedA });
  Object.assign(b, copyA, { id: idB, template: templateB, firstSeenMs: firstB, confirmed: confirmedB });
}

function view(state: State): Track {
  const { id, confirmed, firstSeenMs, lastSeenMs, face } = state;
  return { id, confirmed, firstSeenMs, lastSeenMs, face };
}
