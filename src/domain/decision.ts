import type { PoorReason } from './face.js';
import type { PersonRef } from './person.js';

/** What faced says about one person in view. A decision that is not sure is not a yes. */
export type Decision =
  | { readonly kind: 'known'; readonly person: PersonRef; readonly evidence: Evidence }
  | { readonly kind: 'unknown'; readonly evidence: Evidence }
  | { readonly kind: 'ambiguous'; readonly evidence: Evidence }
  | { readonly kind: 'spoof'; readonly evidence: Evidence }
  | { readonly kind: 'poor'; readonly reason: PoorReason };

/** The numbers a decision rests on. */
export interface Evidence {
  /** Cosine to the nearest person; null when the gallery is empty. */
  readonly similarity: number | null;
  /** Cosine to the nearest other person. */
  readonly runnerUp: number | null;
  /** What the similarity had to reach. */
  readonly threshold: number;
}

export type DecisionKind = Decision['kind'];
