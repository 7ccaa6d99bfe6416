import type { Decision } from '../domain/decision.js';
import type { Embedding } from '../domain/embedding.js';
import type { LivenessMode, TrackLiveness } from '../domain/liveness.js';
import type { Match } from '../domain/person.js';
import { remember } from './company.js';
import { type DecisionPolicy, decide } from './decide.js';
import { answerOf, type LivenessAnswer } from './life-rules.js';
import { MeanEmbedding } from './mean-embedding.js';
import type { Judged, Sighting } from './ports.js';
import { MAX_TRACKS_OF_VISIT, type Visit, Visits } from './visits.js';

export interface PresenceOptions {
  /** Asked at each judgement, since the threshold moves with the gallery. */
  readonly policy: () => DecisionPolicy;
  /** A stranger is announced after this many looks over at least this long, milliseconds, or at the track's end. */
  readonly strangerLooks?: number;
  readonly strangerMs?: number;
  /** Somebody who was announced and comes up again on the same camera within this time is not announced again. */
  readonly lingerMs?: number;
  /** A known person who stays is announced again after this long; null: never. */
  readonly renewAfterMs?: number | null;
  /** What a face before a camera has to show before its decision is anything but `spoof`. Default: nothing. */
  readonly livenessOf?: (camera: string) => LivenessMode;
  /** Cosine from which two tracks of one camera, moments apart, are the same face. */
  readonly sameFace?: number;
}

/** One look is enough when it is this much above the threshold; nearer to it a second look has to agree. */
const SURE = 0.05;
/** To be called somebody else after all takes this much above the threshold, and this many judgements in a row. */
const CERTAIN = 0.1;
const CERTAIN_TIMES = 2;
/** Passive score that is enough where the passive test is asked for and no other was set. */
const PASSIVE_ENOUGH = 0.5;
/** Bounds: tracks that are being looked at. Many times what a camera can show; older ones go first, counted. */
const MAX_TRACKS = 256;

interface Looks {
  readonly track: string;
  readonly camera: string;
  readonly alongside: Set<string>;
  template: MeanEmbedding | undefined;
  count: number;
  firstMs: number;
  lastMs: number;
  livenessSum: number;
  livenessWeight: number;
  /** Signs of life until now, where the camera looks for them. */
  alive: TrackLiveness | undefined;
  match: Match | null;
  last: Sighting;
  best: Sighting;
  decision: Decision | undefined;
  /** Whom the last judgements in a row named. */
  named: string | undefined;
  namedTimes: number;
  visit: Visit | undefined;
}

/**
 * From looks at tracks to one final decision for each person in view. Fed in order: for each sighting {@link sight},
 * a search for the embedding that it gives, {@link judge}; {@link trackEnded} at the end of a track.
 * Pure: no timers, no input or output; time is the sightings' own.
 */
export class Presence {
  readonly #policy: () => DecisionPolicy;
  readonly #strangerLooks: number;
  readonly #strangerMs: number;
  readonly #renewAfterMs: number | null;
  readonly #livenessOf: (camera: string) => LivenessMode;
  readonly #visits: Visits;
  readonly #tracks = new Map<string, Looks>();
  #forgotten = 0;

  constructor(options: PresenceOptions) {
    this.#policy = options.policy;
    this.#strangerLooks = options.strangerLooks ?? 3;
    this.#strangerMs = options.strangerMs ?? 1000;
    this.#renewAfterMs = options.renewAfterMs ?? null;
    this.#livenessOf = options.livenessOf ?? (() => 'off');
    this.#visits = new Visits({ lingerMs: options.lingerMs ?? 5000, sameFace: options.sameFace ?? 0.4 });
  }

  /** How much is remembered, and how often something had to be forgotten early because that is bounded. */
  stats(): { readonly tracks: number; readonly visits: number; readonly forgotten: number } {
    return {
      tracks: this.#tracks.size,
      visits: this.#visits.size,
      forgotten: this.#forgotten + this.#visits.forgotten,
    };
  }

  /** Takes a look in. Answers the embedding to search for (the mean over the track's looks), null when there is none. */
  sight(sighting: Sighting): Embedding | null {
    const looks = this.#looksOf(sighting);
    const now = timeOf(sighting);
    looks.last = sighting;
    looks.lastMs = now;
    looks.alive = sighting.alive ?? looks.alive;
    for (const other of sighting.alongside ?? []) remember(looks.alongside, other, MAX_TRACKS_OF_VISIT);
    if (looks.visit !== undefined) this.#visits.touch(looks.visit, sighting, now);
    if (sighting.embedding === null) return looks.template?.embedding() ?? null;
    const weight = Math.max(sighting.quality.score, 0.05);
    if (looks.template?.fits(sighting.embedding) === true) looks.template.add(sighting.embedding, weight);
    else looks.template = new MeanEmbedding(sighting.embedding, weight);
    if (looks.count === 0 || sighting.quality.score > looks.best.quality.score) looks.best = sighting;
    if (looks.count === 0) looks.firstMs = now;
    looks.count++;
    if (sighting.liveness !== null) {
      looks.livenessSum += weight * sighting.liveness;
      looks.livenessWeight += weight;
    }
    return looks.template.embedding();
  }

  /** What the gallery's answer for {@link sight}'s embedding means: something to announce, or nothing (yet). */
  judge(track: string, match: Match | null): Judged | null {
    const looks = this.#tracks.get(track);
    if (looks === undefined) return null;
    looks.match = match;
    const liveness = looks.livenessWeight > 0 ? looks.livenessSum / looks.livenessWeight : null;
    const poor = looks.template === undefined ? (looks.last.poor ?? 'too-blurred') : null;
    const answer = this.#answer(looks, liveness);
    const asked = answer === null ? {} : { alive: answer.state };
    const decision = decide({ match, liveness, poor, ...asked }, this.#policy());
    looks.decision = decision;
    const named = decision.kind === 'known' ? decision.person.id : undefined;
    looks.namedTimes = named !== undefined && named === looks.named ? looks.namedTimes + 1 : 1;
    looks.named = named;
    const told = answer === null ? looks.last : { ...looks.last, liveness: answer.score };
    if (looks.last.still === true) return { decision, sighting: told };
    // Whoever still has time to show that they are alive is neither let through nor called a picture.
    if (answer?.state === 'undecided' && !looks.last.final) return null;
    return this.#announce(looks, decision, { final: looks.last.final, sighting: told, answer });
  }

  /** The signs of life of a track changed. What that changes of what was said, or held back. */
  livenessChanged(track: string, liveness: TrackLiveness): Judged | null {
    const looks = this.#tracks.get(track);
    if (looks === undefined) return null;
    looks.alive = liveness;
    return looks.count === 0 || looks.decision === undefined ? null : this.judge(track, looks.match);
  }

  /** The track is over: what was held back until now, if anything. */
  trackEnded(ended: { readonly track: string; readonly lastSeenMs?: number }): Judged | null {
    const looks = this.#tracks.get(ended.track);
    if (looks === undefined) return null;
    this.#tracks.delete(ended.track);
    const now = ended.lastSeenMs ?? looks.lastMs;
    const judged =
      looks.decision === undefined || looks.last.still === true || looks.visit !== undefined
        ? null
        : this.#announce(looks, looks.decision, { final: true, sighting: looks.best, answer: null });
    if (looks.visit !== undefined) this.#visits.leave(looks.visit, looks.track, Math.max(now, looks.lastMs));
    return judged;
  }

  /** Every track is gone (the worker was started again). */
  endAll(): Judged[] {
    return [...this.#tracks.keys()].flatMap((track) => this.trackEnded({ track }) ?? []);
  }

  #looksOf(sighting: Sighting): Looks {
    const known = this.#tracks.get(sighting.track);
    if (known !== undefined) return known;
    const [oldest] = this.#tracks.values();
    if (this.#tracks.size >= MAX_TRACKS && oldest !== undefined) {
      this.#tracks.delete(oldest.track);
      // A visit that waits for a forgotten track would never be over.
      if (oldest.visit !== undefined) this.#visits.leave(oldest.visit, oldest.track, oldest.lastMs);
      this.#forgotten++;
    }
    const now = timeOf(sighting);
    const looks: Looks = {
      track: sighting.track,
      camera: sighting.camera,
      alongside: new Set(),
      template: undefined,
      count: 0,
      firstMs: now,
      lastMs: now,
      livenessSum: 0,
      livenessWeight: 0,
      alive: undefined,
      match: null,
      last: sighting,
      best: sighting,
      decision: undefined,
      named: undefined,
      namedTimes: 0,
      visit: undefined,
    };
    this.#tracks.set(sighting.track, looks);
    return looks;
  }

  /** Null where the camera asks for no signs of life. */
  #answer(looks: Looks, scored: number | null): LivenessAnswer | null {
    const mode = this.#livenessOf(looks.camera);
    if (mode === 'off') return null;
    const passive = looks.alive?.passive ?? scored;
    const minimum = this.#policy().livenessMinimum ?? PASSIVE_ENOUGH;
    return answerOf({ passive, active: looks.alive?.active ?? null }, { mode, minimum });
  }

  #announce(looks: Looks, decision: Decision, moment: Moment): Judged | null {
    if (looks.visit === undefined) {
      // The time for showing that one is alive is over: nothing more is waited for.
      const over = decision.kind === 'spoof' && moment.answer !== null;
      if (!over && !this.#ripe(looks, decision, moment.final)) return null;
      const visit = this.#visits.find(decision, looks, moment.sighting.box);
      if (visit === undefined) {
        looks.visit = this.#visits.begin(decision, looks, moment.sighting);
        return { decision, sighting: moment.sighting };
      }
      looks.visit = visit;
      this.#visits.join(visit, looks);
    }
    if (!this.#changes(looks, looks.visit, decision)) return null;
    this.#visits.decided(looks.visit, decision, looks);
    return { decision, sighting: moment.sighting };
  }

  /** Whether enough was seen of somebody who was not announced yet. */
  #ripe(looks: Looks, decision: Decision, final: boolean): boolean {
    if (final) return true;
    if (decision.kind === 'known') return isSure(looks, decision);
    if (decision.kind !== 'unknown' && decision.kind !== 'spoof') return false;
    return looks.count >= this.#strangerLooks && looks.lastMs - looks.firstMs >= this.#strangerMs;
  }

  /** Whether somebody who was announced is to be announced again. Only a known person's name can replace what was said. */
  #changes(looks: Looks, visit: Visit, decision: Decision): boolean {
    if (decision.kind !== 'known') return false;
    const wasUnsure = visit.kind === 'unknown' || visit.kind === 'ambiguous' || visit.kind === 'poor';
    // Where signs of life are asked for, whoever was late with them was called a picture until they came.
    const wasLate = visit.kind === 'spoof' && this.#livenessOf(looks.camera) !== 'off';
    if (wasUnsure || wasLate) {
      return isSure(looks, decision);
    }
    if (visit.kind === 'known' && visit.person === decision.person.id) {
      const since = looks.lastMs - visit.announcedMs;
      return this.#renewAfterMs !== null && since >= this.#renewAfterMs;
    }
    const { similarity, threshold } = decision.evidence;
    return similarity !== null && similarity >= threshold + CERTAIN && looks.namedTimes >= CERTAIN_TIMES;
  }
}

interface Moment {
  readonly final: boolean;
  readonly sighting: Sighting;
  /** What the signs of life come to; null where none are asked for. */
  readonly answer: LivenessAnswer | null;
}

function isSure(looks: Looks, decision: Decision & { kind: 'known' }): boolean {
  const { similarity, threshold } = decision.evidence;
  return similarity !== null && (similarity >= threshold + SURE || looks.namedTimes >= 2);
}

/** The camera's clock: the clip's own where there is one. */
export function timeOf(sighting: Sighting): number {
  return sighting.mediaMs ?? sighting.capturedAt.monotonicMs;
}
