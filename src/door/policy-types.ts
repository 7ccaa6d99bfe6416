import type { AccessPolicy, AccessRefusal } from './access.js';
import type { Backoff } from './backoff.js';
import type { DoorRules } from './rules.js';
import type { CredentialMethod } from './secrets.js';
import type { LiveState, Look, TrackEvidence, Unsure } from './sure.js';

/** What has happened at one door, in the order in which it became known. */
export type DoorInput =
  | { readonly kind: 'looked'; readonly camera: string; readonly track: string; readonly look: Look }
  | {
      readonly kind: 'liveness';
      readonly camera: string;
      readonly track: string;
      readonly state: LiveState;
      /** Monotonic milliseconds of the frame on which the verdict rests. */
      readonly at: number;
    }
  /** A code, badge or QR was shown; `person` is its owner, or null when it is nobody's. The secret itself never gets here. */
  | {
      readonly kind: 'credential';
      readonly request: string;
      readonly source: string;
      readonly method: CredentialMethod;
      readonly person: string | null;
    }
  /** `lock/set`, after its form, freshness, repetition and authority were checked. */
  | {
      readonly kind: 'command';
      readonly request: string;
      readonly actor: string;
      readonly authorised: boolean;
      /** False when its age went by a wall clock that is known to be wrong. */
      readonly fresh: boolean;
    }
  | { readonly kind: 'audited'; readonly grant: string; readonly ok: boolean }
  | {
      readonly kind: 'lockAnswered';
      /** Whole: a lock may answer long after the door has gone on. */
      readonly grant: Grant;
      readonly ok: boolean;
      readonly code: string | null;
    }
  | { readonly kind: 'personRemoved'; readonly person: string }
  /** Vision was started again, or the policy changed: what was seen before counts no longer. */
  | { readonly kind: 'forget' }
  | { readonly kind: 'tick' };

export type GrantPath = 'face' | 'face+code' | CredentialMethod | 'command';

export type DenyReason =
  | AccessRefusal
  | Unsure
  | 'locked-out'
  | 'spoof-in-view'
  | 'untrusted-source'
  | 'wrong-secret'
  | 'too-many-guesses'
  | 'not-accepted-here'
  | 'claim-failed'
  | 'not-authorised'
  | 'remote-unlock-off'
  | 'busy'
  | 'audit-failed'
  | 'grant-expired';

export interface Grant {
  readonly id: string;
  readonly path: GrantPath;
  /** Null for a command, whose actor stands in `actor`. */
  readonly person: string | null;
  readonly actor: string | null;
  /** The rule of the access policy that allowed it; null for a command. */
  readonly rule: string | null;
  readonly track: string | null;
  readonly camera: string | null;
  readonly similarity: number | null;
  readonly request: string | null;
  /** Monotonic milliseconds after which it is void. */
  readonly validUntil: number;
}

/** What the shell has to do. Audit comes first: `unlock` is only ever an answer to `audited`. */
export type DoorEffect =
  | { readonly kind: 'audit'; readonly what: string; readonly detail: Readonly<Record<string, unknown>> }
  | { readonly kind: 'auditGrant'; readonly grant: Grant }
  | { readonly kind: 'unlock'; readonly grant: Grant; readonly pulseMs: number }
  | {
      readonly kind: 'tell';
      readonly what: DoorNews;
      readonly person: string | null;
      readonly reason: DenyReason | null;
      readonly path: GrantPath | null;
      readonly track: string | null;
      readonly request: string | null;
    };

/** `face-wanted`: a valid code was shown and the face is waited for. `granted` is said when the lock was told; `unlock-failed` when the lock then did not obey. */
export type DoorNews =
  | 'granted'
  | 'denied'
  | 'code-wanted'
  | 'face-wanted'
  | 'locked-out'
  | 'spoof'
  | 'unlock-failed';

export interface TrackState extends TrackEvidence {
  readonly camera: string;
  /** Whether its spoof has been counted as a failure. */
  readonly countedSpoof: boolean;
  /** What was said of it last, so that a person who stands there is not refused ten times a second. */
  readonly said: DenyReason | 'code-wanted' | null;
}

/** Somebody showed a valid code and their face is now waited for. */
export interface Claim {
  readonly person: string;
  readonly method: CredentialMethod;
  readonly request: string;
  readonly at: number;
  /** A face that was good enough to tell stood there and was not theirs. */
  readonly contradicted: boolean;
}

export interface Pending {
  readonly grant: Grant;
  readonly step: 'auditing' | 'unlocking';
}

/** Plain data; all times are monotonic milliseconds. */
export interface DoorState {
  readonly tracks: readonly TrackState[];
  readonly claim: Claim | null;
  readonly pending: Pending | null;
  readonly coolUntil: number | null;
  readonly spoofAt: number | null;
  readonly faces: Backoff;
  readonly guesses: Backoff;
}

export interface StepContext {
  readonly rules: DoorRules;
  readonly access: AccessPolicy;
  /** Monotonic milliseconds. */
  readonly now: number;
  readonly wallMs: number;
  readonly synchronised: boolean;
  /** A fresh id, used when this step grants something. */
  readonly grantId: string;
}

export interface Step {
  readonly state: DoorState;
  readonly effects: readonly DoorEffect[];
}
