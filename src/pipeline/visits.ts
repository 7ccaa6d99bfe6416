import type { Decision } from '../domain/decision.js';
import { remember } from './company.js';
import type { MeanEmbedding } from './mean-embedding.js';
import type { Sighting } from './ports.js';

/** Somebody who was announced, and is in view or was a moment ago. */
export interface Visit {
  readonly camera: string;
  /** Those in view. */
  readonly tracks: Set<string>;
  /** Those that were part of it, and those that were in view together with one of them. */
  readonly members: Set<string>;
  readonly alongside: Set<string>;
  kind: Decision['kind'];
  /** Gallery id, when known. */
  person: string | undefined;
  template: MeanEmbedding | undefined;
  announcedMs: number;
  lastMs: number;
  box: Sighting['box'];
}

interface Joining {
  readonly track: string;
  readonly camera: string;
  /** Tracks that were in view together with this one. */
  readonly alongside: ReadonlySet<string>;
  readonly template: MeanEmbedding | undefined;
  readonly lastMs: number;
}

/** Bounds of what is remembered; the oldest go first. */
const MAX_VISITS = 256;
export const MAX_TRACKS_OF_VISIT = 64;

/** The memory by which a track that broke, or a stranger who turned round, is not announced twice. */
export class Visits {
  readonly #lingerMs: number;
  readonly #sameFace: number;
  #visits: Visit[] = [];
  /** Visits that were forgotten although somebody was still in view. */
  forgotten = 0;

  constructor(options: { lingerMs: number; sameFace: number }) {
    this.#lingerMs = options.lingerMs;
    this.#sameFace = options.sameFace;
  }

  get size(): number {
    return this.#visits.length;
  }

  /**
   * The visit that a decision about a new track belongs to: the same person, the same face, or, where nothing could be
   * seen, the same place. Never that of somebody who was in view together with it.
   */
  find(decision: Decision, seen: Joining, box: Sighting['box']): Visit | undefined {
    this.#visits = this.#visits.filter((one) => one.camera !== seen.camera || this.#lasts(one, seen.lastMs));
    const here = this.#visits.filter((one) => one.camera === seen.camera && !together(one, seen));
    if (decision.kind === 'known') {
      const same = here.find((one) => one.person === decision.person.id);
      if (same !== undefined) return same;
    }
    const { template } = seen;
    if (template === undefined) return here.find((one) => isNear(one.box, box));
    let best: Visit | undefined;
    let bestSimilarity = this.#sameFace;
    for (const one of here) {
      // Two names are two people, however alike they look.
      if (decision.kind === 'known' && one.kind === 'known') continue;
      const similarity = one.template?.similarityTo(template.embedding()) ?? -1;
      if (similarity < bestSimilarity) continue;
      best = one;
      bestSimilarity = similarity;
    }
    return best;
  }

  begin(decision: Decision, looks: Joining, sighting: Sighting): Visit {
    const visit: Visit = {
      camera: looks.camera,
      tracks: new Set([looks.track]),
      members: new Set([looks.track]),
      alongside: new Set(looks.alongside),
      kind: decision.kind,
      person: decision.kind === 'known' ? decision.person.id : undefined,
      template: looks.template,
      announcedMs: looks.lastMs,
      lastMs: looks.lastMs,
      box: sighting.box,
    };
    this.#visits.push(visit);
    if (this.#visits.length > MAX_VISITS) {
      const [gone] = this.#visits.splice(0, 1);
      if (gone !== undefined && gone.tracks.size > 0) this.forgotten++;
    }
    return visit;
  }

  join(visit: Visit, looks: Joining): void {
    visit.tracks.add(looks.track);
    remember(visit.members, looks.track, MAX_TRACKS_OF_VISIT);
    for (const other of looks.alongside) remember(visit.alongside, other, MAX_TRACKS_OF_VISIT);
    visit.template = looks.template ?? visit.template;
    visit.lastMs = Math.max(visit.lastMs, looks.lastMs);
  }

  touch(visit: Visit, sighting: Sighting, now: number): void {
    visit.lastMs = now;
    visit.box = sighting.box;
    for (const other of sighting.alongside ?? []) remember(visit.alongside, other, MAX_TRACKS_OF_VISIT);
  }

  decided(visit: Visit, decision: Decision, looks: Joining): void {
    visit.kind = decision.kind;
    visit.person = decision.kind === 'known' ? decision.person.id : undefined;
    visit.announcedMs = looks.lastMs;
  }

  leave(visit: Visit, track: string, lastSeenMs: number): void {
    visit.tracks.delete(track);
    visit.lastMs = lastSeenMs;
  }

  /** In view, or gone for less than the linger time. A clip that begins anew has a clock that goes back: nothing lasts over that. */
  #lasts(visit: Visit, now: number): boolean {
    return visit.tracks.size > 0 || Math.abs(now - visit.lastMs) <= this.#lingerMs;
  }
}

function together(visit: Visit, seen: Joining): boolean {
  return visit.alongside.has(seen.track) || [...seen.alongside].some((other) => visit.members.has(other));
}

/** Whether two boxes (x, y, width, height) have their centres within one and a half of the larger one's width. */
function isNear(a: Sighting['box'], b: Sighting['box']): boolean {
  const apart = Math.hypot(a[0] + a[2] / 2 - b[0] - b[2] / 2, a[1] + a[3] / 2 - b[1] - b[3] / 2);
  return apart <= 1.5 * Math.max(a[2], b[2]);
}
