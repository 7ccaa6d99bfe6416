/** The questions that the policy asks of its state, each a pure function of state, input and context. */
import { type AccessAnswer, mayPass } from './access.js';
import { isClosed } from './backoff.js';
import type {
  Claim,
  DenyReason,
  DoorInput,
  DoorState,
  Grant,
  StepContext,
  TrackState,
} from './policy-types.js';
import { judgeTrack, type Sureness, type SureRules } from './sure.js';

export type Admission =
  | { readonly allowed: true; readonly person: string; readonly rule: string }
  | { readonly allowed: false; readonly reason: DenyReason };

/** Whether a code, badge or QR text is accepted at this door now. The state of the face path plays no part. */
export function admitCredential(
  { guesses }: DoorState,
  { source, method, person }: Extract<DoorInput, { kind: 'credential' }>,
  context: StepContext,
): Admission {
  const { rules, now } = context;
  const refused = (reason: DenyReason): Admission => ({ allowed: false, reason });
  if (!rules.credentialSources.includes(source)) return refused('untrusted-source');
  if (!rules.modes.some((mode) => mode !== 'face')) return refused('not-accepted-here');
  if (method === 'code' && isClosed(guesses, now)) return refused('too-many-guesses');
  if (person === null) return refused('wrong-secret');
  const answer = mayPassNow(person, context);
  return answer.allowed ? { allowed: true, person, rule: answer.rule } : refused(answer.reason);
}

/** Null when an authorised command may open. */
export function commandRefusal(
  { coolUntil }: DoorState,
  { authorised, fresh }: Extract<DoorInput, { kind: 'command' }>,
  { rules, now }: StepContext,
): DenyReason | null {
  if (!authorised) return 'not-authorised';
  if (!rules.remoteUnlock) return 'remote-unlock-off';
  if (!fresh) return 'clock-unsynchronised';
  // A flood of commands opens once.
  return coolUntil !== null && now < coolUntil ? 'busy' : null;
}

export function mayPassNow(person: string, context: StepContext): AccessAnswer {
  const { access, rules, wallMs, synchronised } = context;
  return mayPass(access, { person, door: rules.id, wallMs, synchronised });
}

export function facePathClosed({ faces, spoofAt }: DoorState, now: number): DenyReason | null {
  if (isClosed(faces, now)) return 'locked-out';
  return spoofAt === null ? null : 'spoof-in-view';
}

/** Who a track surely is, given that somebody has shown a valid code (or nobody has). */
export function judgeWithClaim(track: TrackState, claim: Claim | null, context: StepContext): Sureness {
  const { rules, now } = context;
  const { sure, secondFactorMs } = rules;
  if (claim === null) return judgeTrack(track, { rules: sure, now, claimed: null });
  // Whoever types a code looks at the keypad: the face may have been seen as long ago as face and code may lie apart.
  const relaxed: SureRules = {
    ...sure,
    maxAgeMs: Math.max(sure.maxAgeMs, secondFactorMs),
    withinMs: sure.withinMs + secondFactorMs,
    activeMaxAgeMs: sure.activeMaxAgeMs + secondFactorMs,
  };
  const result = judgeTrack(track, { rules: relaxed, now, claimed: rules.claim ? claim.person : null });
  if (result.sure && result.person === claim.person) return result;
  // The code does not make anybody else surer: for another person the door's own rules hold.
  return judgeTrack(track, { rules: sure, now, claimed: null });
}

/** What speaks against a grant between its decision and the lock; null when nothing does. */
export function objection(state: DoorState, grant: Grant, context: StepContext): DenyReason | null {
  if (context.now > grant.validUntil) return 'grant-expired';
  if (grant.person !== null) {
    const answer = mayPassNow(grant.person, context);
    if (!answer.allowed) return answer.reason;
  }
  return usesFace(grant) ? facePathClosed(state, context.now) : null;
}

export function usesFace({ path }: Grant): boolean {
  return path === 'face' || path === 'face+code';
}
