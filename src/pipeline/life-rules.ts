import type { ActiveLiveness, LivenessMode, LivenessReason, LivenessState } from '../domain/liveness.js';
import type { LifeSigns } from '../vision/life-signs.js';

/** What the signs of a track have to reach. Angles are sines of a turn of the head. */
export interface LifeLimits {
  /** Time that a face has, milliseconds. */
  readonly withinMs: number;
  /** A turn that is enough by itself, and one that is enough with a blink. */
  readonly turn: number;
  readonly turnWithBlink: number;
  /**
   * Share of the movement that is a head's, times {@link reliefShare}, which counts up to 1: what one of the two lacks the
   * other makes good.
   */
  readonly solid: number;
  /** A turn of which so much is noise from frame to frame is the network's, not a head's. */
  readonly tremble: number;
  /** Relief over foreshortening ({@link reliefShare}): a picture that tilts has at most this. */
  readonly flatShare: number;
  /** A face has to be foreshortened by this much before it can be called flat. */
  readonly stretch: number;
  /** A turn to the wrong side, where one side was asked for. */
  readonly wrongWay: number;
  /** Signs over less time are left alone. */
  readonly leastMs: number;
}

/** From the bench's clips and from films of three people (docs/liveness.md), well away from where either side lies. */
export const LIFE_LIMITS: LifeLimits = {
  withinMs: 3000,
  turn: 0.15,
  turnWithBlink: 0.13,
  solid: 0.44,
  tremble: 0.22,
  flatShare: 0.28,
  stretch: 1.15,
  wrongWay: 0.1,
  leastMs: 500,
};

/** What a track was asked to do, and how far it went to either side since then. */
export interface Asked {
  /** Positive: to the picture's right. */
  readonly wanted: number;
  readonly wrong: number;
}

export interface LifeEvidence {
  /** Null: the points do not say anything (yet). */
  readonly signs: LifeSigns | null;
  /** Since the track began. */
  readonly elapsedMs: number;
  /** Null: nothing is asked for. */
  readonly asked: Asked | null;
  /** True when the picture shows a screen's pixels. */
  readonly screen: boolean;
}

export type LifeVerdict = Pick<ActiveLiveness, 'state' | 'reason' | 'score'>;

/**
 * The active test's verdict. A screen and a flat face are signs of a picture whatever else there is; a turn of a solid
 * head, a large one or a smaller one with a blink, is a sign of life; all else is not sure, and so is not alive.
 */
export function judgeLife(evidence: LifeEvidence, limits: LifeLimits = LIFE_LIMITS): LifeVerdict {
  const { signs, elapsedMs, asked, screen } = evidence;
  if (screen) return verdict('spoof', 'screen', 0);
  const open: LivenessState = elapsedMs < limits.withinMs ? 'undecided' : 'not-shown';
  if (signs === null) return verdict(open, open === 'undecided' ? 'collecting' : 'no-face', 0);
  if (signs.spanMs < limits.leastMs) return verdict(open, open === 'undecided' ? 'collecting' : 'no-face', 0);
  const blinked = signs.blinks.length > 0;
  const share = reliefShare(signs);
  // A head that has only begun to turn may look flat, so this is said when the time is over.
  if (
    open === 'not-shown' &&
    signs.stretch >= limits.stretch &&
    share < limits.flatShare &&
    signs.turn < limits.turn
  ) {
    return verdict('spoof', blinked ? 'eyes-in-flat-face' : 'flat', 0);
  }
  const solid = signs.explained * Math.min(1, share);
  const isHead = solid >= limits.solid && signs.tremble < limits.tremble;
  const needed = blinked ? limits.turnWithBlink : limits.turn;
  const score = Math.min(1, (signs.turn / needed) * Math.min(1, solid / limits.solid));
  if (asked !== null) {
    if (asked.wrong >= limits.wrongWay) return verdict('spoof', 'not-as-asked', 0);
    if (asked.wanted >= limits.turnWithBlink && isHead) {
      return verdict('live', 'solid-as-asked', 1);
    }
    return verdict(open, open === 'undecided' ? 'collecting' : 'not-as-asked', Math.min(score, 0.5));
  }
  if (signs.turn >= needed && isHead) {
    return verdict('live', blinked ? 'solid-and-blinked' : 'solid', 1);
  }
  const reason = signs.turn >= needed ? 'not-a-head' : reasonWhyNot(signs, limits);
  return verdict(open, open === 'undecided' ? 'collecting' : reason, Math.min(score, 0.95));
}

function reasonWhyNot(signs: LifeSigns, limits: LifeLimits): LivenessReason {
  if (signs.blinks.length > 0) return 'no-turn';
  return signs.turn >= limits.turnWithBlink ? 'no-blink' : 'no-motion';
}

/** By so much the proportions of a still face seem to change. */
const STRETCH_NOISE = 0.02;

/**
 * A turn by an angle moves a head's relief by its sine and shortens the face by its cosine; a picture that is tilted is
 * shortened just so, and what relief a network sees in it is imagined. The one over the other: about 1 for a head.
 */
export function reliefShare({ turn, nod, stretch }: LifeSigns): number {
  const sine = Math.sqrt(Math.max(0, 1 - 1 / (stretch - STRETCH_NOISE) ** 2));
  return sine > 0 ? Math.hypot(turn, nod) / sine : Number.POSITIVE_INFINITY;
}

function verdict(state: LivenessState, reason: LivenessReason, score: number): LifeVerdict {
  return { state, reason, score };
}

export interface LivenessPolicy {
  readonly mode: LivenessMode;
  /** Least passive score, 0 to 1. */
  readonly minimum: number;
}

export interface LivenessAnswer {
  readonly state: LivenessState;
  readonly reason: LivenessReason;
  /** 0 (a picture) to 1 (alive): the lesser of what was asked for; null where nothing was. */
  readonly score: number | null;
}

/** What passive score and active test come to, for one who asks for `mode`. What is asked for and missing is a no. */
export function answerOf(
  given: { readonly passive: number | null; readonly active: LifeVerdict | null },
  { mode, minimum }: LivenessPolicy,
): LivenessAnswer {
  const { passive, active } = given;
  const asksActive = mode === 'active' || mode === 'both';
  const asksPassive = mode === 'passive' || mode === 'both';
  if (!asksActive && !asksPassive) return { state: 'live', reason: 'off', score: passive };
  const scores = [...(asksPassive ? [passive ?? 0] : []), ...(asksActive ? [active?.score ?? 0] : [])];
  const score = Math.min(...scores);
  if (asksActive && active === null) return { state: 'not-shown', reason: 'no-face', score };
  if (asksActive && active !== null && active.state !== 'live') return { ...active, score };
  // Written so that NaN, from wherever, is never a yes.
  if (asksPassive && !(passive !== null && passive >= minimum)) {
    return { state: passive === null ? 'not-shown' : 'spoof', reason: 'passive-low', score };
  }
  return { state: 'live', reason: asksActive && active !== null ? active.reason : 'passive-score', score };
}
