import type { Decision } from '../domain/decision.js';
import type { PoorReason } from '../domain/face.js';
import type { LivenessState } from '../domain/liveness.js';
import type { Match } from '../domain/person.js';

/** What a decision is held to. */
export interface DecisionPolicy {
  /** Cosine that the nearest person has to reach; follows from the owner's promise, the model's measured curve and the size of the gallery. */
  readonly threshold: number;
  /** Cosine by which the nearest person has to be ahead of the next one. */
  readonly margin: number;
  /** Least passive liveness score, 0 to 1; null: a score is reported, never acted upon. */
  readonly livenessMinimum: number | null;
}

export interface DecisionInput {
  /** The gallery's answer; null when it holds nobody in this embedding space. */
  readonly match: Match | null;
  readonly liveness: number | null;
  /** What the signs of life come to, where the camera asks for some; left out where it does not. */
  readonly alive?: LivenessState;
  /** Why there is no embedding to go by; null when there is one. */
  readonly poor: PoorReason | null;
}

/**
 * One decision from one set of evidence. A face that has not been shown to be alive, where that is demanded, is a spoof
 * even when no score could be had: what is not sure is not a yes.
 */
export function decide(input: DecisionInput, policy: DecisionPolicy): Decision {
  if (input.poor !== null) return { kind: 'poor', reason: input.poor };
  const { match } = input;
  const evidence = {
    similarity: match?.similarity ?? null,
    runnerUp: match?.runnerUp ?? null,
    threshold: policy.threshold,
  };
  if (input.alive !== undefined && input.alive !== 'live') return { kind: 'spoof', evidence };
  const minimum = policy.livenessMinimum;
  // Written so that NaN, from wherever, is never a yes.
  if (minimum !== null && !(input.liveness !== null && input.liveness >= minimum)) {
    return { kind: 'spoof', evidence };
  }
  if (match === null || !(match.similarity >= policy.threshold)) return { kind: 'unknown', evidence };
  if (match.runnerUp !== null && !(match.similarity - match.runnerUp >= policy.margin)) {
    return { kind: 'ambiguous', evidence };
  }
  return { kind: 'known', person: match.person, evidence };
}
