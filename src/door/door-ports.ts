import type { Embedding } from '../domain/embedding.js';
import type { Clock } from '../lib/clock.js';
import type { AuditEntry } from '../pipeline/ports.js';
import type { AccessPolicy } from './access.js';
import type { ClockTrust } from './clock-trust.js';
import type { Lock } from './lock.js';
import type { LockStateName, LockStateRules } from './lock-state.js';
import type { DenyReason, DoorNews, GrantPath } from './policy-types.js';
import type { DoorRules } from './rules.js';
import type { CredentialMethod } from './secrets.js';

/** What leaves a door: no pixels, no vectors, no secrets; people by id. */
export interface DoorEvent {
  readonly v: 1;
  /** ULID. */
  readonly id: string;
  /** RFC 3339 with milliseconds, UTC. */
  readonly time: string;
  readonly door: string;
  readonly event: DoorNews | 'forced';
  readonly person: string | null;
  readonly reason: DenyReason | null;
  readonly path: GrantPath | null;
  readonly track: string | null;
  /** Of the command or credential that this answers. */
  readonly request: string | null;
}

export interface DoorStatus {
  readonly door: string;
  readonly state: LockStateName;
  /** Null without a door contact. */
  readonly open: boolean | null;
}

export interface DoorEvents {
  /** To be published and shown. */
  told: DoorEvent;
  /** The lock or the door is not as it was; retained when published. */
  changed: DoorStatus;
  /** The lock cannot be used; said once, and again when it can. */
  lockFailed: { readonly door: string; readonly code: string; readonly message: string };
  lockRecovered: { readonly door: string };
}

/** What happened to a command or credential at first: `face-wanted` waits for a face. */
export interface DoorAnswer {
  readonly outcome: 'granted' | 'denied' | 'face-wanted';
  readonly reason: DenyReason | null;
}

export interface DoorDeps {
  readonly rules: DoorRules;
  readonly lockState: LockStateRules;
  readonly lock: Lock;
  readonly clock: Clock;
  readonly clockTrust: ClockTrust;
  /** Asked at each step, so that a changed policy holds at once. */
  readonly access: () => AccessPolicy;
  readonly audit: (entry: AuditEntry) => Promise<void>;
  readonly newId: () => string;
  /** Whose secret this is. */
  readonly personOf: (method: CredentialMethod, secret: string) => Promise<string | null>;
  /** Highest cosine to the samples of one person; null when there are none. Needed by claims. */
  readonly compare?: (person: string, embedding: Embedding) => Promise<number | null>;
  readonly onError: (error: unknown) => void;
}
