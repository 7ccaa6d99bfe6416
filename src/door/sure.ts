import type { DecisionKind } from '../domain/decision.js';

/** What the liveness test says of a track. `pending`: it has not seen enough yet. `off`: it is not made. */
export type LiveState = 'live' | 'not-live' | 'pending' | 'off';

/** One judged look at a face, as far as a door cares. */
export interface Look {
  /** Monotonic milliseconds at which the frame was captured. */
  readonly at: number;
  readonly kind: DecisionKind;
  /** Id of the person when `kind` is `known`. */
  readonly person: string | null;
  readonly similarity: number | null;
  readonly runnerUp: number | null;
  /** Of the shot, 0 to 1. */
  readonly quality: number;
  /** Score of the passive liveness model, 0 to 1; null when it was not asked. */
  readonly passive: number | null;
  /** One-to-one comparison with the person that a claim named, when there was one. */
  readonly claim?: { readonly person: string; readonly similarity: number };
}

/** What has been seen of one person in front of a trusted camera, newest look last. */
export interface TrackEvidence {
  readonly track: string;
  readonly looks: readonly Look[];
  readonly active: LiveState;
  /** When `active` was last confirmed, monotonic milliseconds. */
  readonly activeAt: number | null;
}

/** What a door wants to have seen before it calls a face sure. */
export interface SureRules {
  /** Agreeing looks in a row, at least. */
  readonly looks: number;
  /** Between the first and the last of them, at least (milliseconds): one frame three times is not three looks. */
  readonly spanMs: number;
  /** They lie within this time. */
  readonly withinMs: number;
  /** The newest may be this old. */
  readonly maxAgeMs: number;
  /** Cosine, beside the threshold that the decision already met: the door's own false match rate. */
  readonly minSimilarity: number;
  /** Cosine to the next other person, at least. */
  readonly margin: number;
  readonly minQuality: number;
  readonly liveness: 'off' | 'passive' | 'active' | 'both';
  /** Mean passive score over the agreeing looks, at least. */
  readonly minPassive: number;
  /** The active verdict may be this old. */
  readonly activeMaxAgeMs: number;
  /** One-to-one similarity to the claimed person that makes a look agree with a claim. */
  readonly claimSimilarity: number;
}

export const DEFAULT_SURE: SureRules = {
  looks: 3,
  spanMs: 120,
  withinMs: 3000,
  maxAgeMs: 1000,
  minSimilarity: 0,
  margin: 0.1,
  minQuality: 0.4,
  liveness: 'both',
  minPassive: 0.5,
  activeMaxAgeMs: 5000,
  claimSimilarity: 0.45,
};

export type Unsure =
  | 'no-look'
  | 'stale'
  | 'poor'
  | 'spoof'
  | 'unknown'
  | 'ambiguous'
  | 'margin'
  | 'disagree'
  | 'too-few-looks'
  | 'too-short'
  | 'not-live'
  | 'liveness-pending';

export type Sureness =
  | { readonly sure: true; readonly person: string; readonly at: number; readonly similarity: number }
  | { readonly sure: false; readonly reason: Unsure };

/**
 * Whether a track is surely one living person, by all rules at once. Anything that is missing, too old, too poor,
 * contradictory or in the future makes it a no.
 * @param claimed compare one to one with this person; null asks who it is
 */
export function judgeTrack(
  evidence: TrackEvidence,
  question: { readonly rules: SureRules; readonly now: number; readonly claimed: string | null },
): Sureness {
  const { rules, now, claimed } = question;
  const current = evidence.looks.filter(({ at }) => at <= now && now - at <= rules.withinMs);
  const newest = current.at(-1);
  if (newest === undefined) return no(evidence.looks.length === 0 ? 'no-look' : 'stale');
  if (now - newest.at > rules.maxAgeMs) return no('stale');
  if (current.some(({ kind }) => kind === 'spoof')) return no('spoof');

  // A poor look says nothing, neither yes nor no; the last of the others decides what is asked.
  const telling = current.filter((look) => look.kind !== 'poor' && look.quality >= rules.minQuality);
  const last = telling.at(-1);
  if (last === undefined) return no('poor');
  const who = voteOf(last, rules, claimed);
  if ('refusal' in who) return no(who.refusal);
  const votes = telling.map((look) => voteOf(look, rules, claimed));
  // Somebody else was seen in the same track just now: a swap, a twin or a mistake, and no time to find out which.
  if (votes.some((vote) => 'person' in vote && vote.person !== who.person)) return no('disagree');
  const firstAgreeing = votes.findLastIndex((vote) => 'refusal' in vote) + 1;
  const agreeing = telling.slice(firstAgreeing);
  const [first] = agreeing;
  if (first === undefined || agreeing.length < rules.looks) return no('too-few-looks');
  if (last.at - first.at < rules.spanMs) return no('too-short');
  if (now - last.at > rules.maxAgeMs) return no('stale');

  const alive = livenessOf(evidence, agreeing, rules, now);
  if (alive !== null) return no(alive);
  const similarity = claimed === null ? last.similarity : last.claim?.similarity;
  return { sure: true, person: who.person, at: last.at, similarity: similarity ?? 0 };
}

/** Whom a look names, or why it names nobody. */
function voteOf(
  look: Look,
  rules: SureRules,
  claimed: string | null,
): { person: string } | { refusal: Unsure } {
  if (claimed !== null) {
    const { claim } = look;
    // Twins: whoever shows a valid code and looks like its owner is let in as the owner; that is what a claim means.
    if (claim === undefined || claim.person !== claimed) return { refusal: 'too-few-looks' };
    return claim.similarity >= rules.claimSimilarity ? { person: claimed } : { refusal: 'unknown' };
  }
  if (look.kind === 'ambiguous') return { refusal: 'ambiguous' };
  if (look.kind !== 'known' || look.person === null || look.similarity === null)
    return { refusal: 'unknown' };
  if (look.similarity < rules.minSimilarity) return { refusal: 'unknown' };
  if (look.runnerUp !== null && look.similarity - look.runnerUp < rules.margin) return { refusal: 'margin' };
  return { person: look.person };
}

/** Null when alive as far as the rules ask. */
function livenessOf(
  evidence: TrackEvidence,
  agreeing: readonly Look[],
  rules: SureRules,
  now: number,
): Unsure | null {
  const { liveness } = rules;
  if (evidence.active === 'not-live') return 'not-live';
  if (liveness === 'active' || liveness === 'both') {
    if (evidence.active !== 'live' || evidence.activeAt === null) return 'liveness-pending';
    const age = now - evidence.activeAt;
    if (age < 0 || age > rules.activeMaxAgeMs) return 'liveness-pending';
  }
  if (liveness === 'passive' || liveness === 'both') {
    const scores = agreeing.flatMap(({ passive }) => passive ?? []);
    if (scores.length < agreeing.length) return 'liveness-pending';
    const mean = scores.reduce((sum, score) => sum + score, 0) / scores.length;
    if (!(mean >= rules.minPassive)) return 'not-live';
  }
  return null;
}

function no(reason: Unsure): Sureness {
  return { sure: false, reason };
}
