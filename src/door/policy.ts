/**
 * What a door does, as one pure function: state and input in, state and effects out. There is no clock, no lock and no
 * disk in here, so that every state it can reach can be enumerated (test/door/model-check.test.ts).
 */
import {
  admitCredential,
  commandRefusal,
  facePathClosed,
  judgeWithClaim,
  mayPassNow,
  objection,
  usesFace,
} from './admission.js';
import { fail, NO_BACKOFF, settle } from './backoff.js';
import { type Denial, news, withoutNulls } from './news.js';
import type {
  Claim,
  DenyReason,
  DoorEffect,
  DoorInput,
  DoorState,
  Grant,
  Step,
  StepContext,
  TrackState,
} from './policy-types.js';
import type { Look } from './sure.js';
import { mayStillChange, names, onlyFlat, trackOf, withLook, withTrack, youngerThan } from './tracks.js';

export const INITIAL_STATE: DoorState = {
  tracks: [],
  claim: null,
  pending: null,
  coolUntil: null,
  spoofAt: null,
  faces: NO_BACKOFF,
  guesses: NO_BACKOFF,
};

export function step(before: DoorState, input: DoorInput, context: StepContext): Step {
  const draft = new Draft(before, context);
  draft.passTime();
  switch (input.kind) {
    case 'looked':
      draft.look(input);
      break;
    case 'liveness':
      draft.liveness(input);
      break;
    case 'credential':
      draft.credential(input);
      break;
    case 'command':
      draft.command(input);
      break;
    case 'audited':
      draft.audited(input);
      break;
    case 'lockAnswered':
      draft.lockAnswered(input);
      break;
    case 'personRemoved':
      draft.removePerson(input.person);
      break;
    case 'forget':
      draft.forget();
      break;
    case 'tick':
      break;
  }
  return { state: draft.state, effects: draft.effects };
}

/** One step in the making. It lives within {@link step} alone; states themselves are never changed. */
class Draft {
  state: DoorState;
  readonly effects: DoorEffect[] = [];
  readonly #context: StepContext;

  constructor(state: DoorState, context: StepContext) {
    this.state = state;
    this.#context = context;
  }

  /** What the time since the last step changed by itself. */
  passTime(): void {
    const { now, rules } = this.#context;
    const { tracks, claim, pending, coolUntil, spoofAt } = this.state;
    const keepMs = Math.max(rules.sure.withinMs, rules.sure.activeMaxAgeMs) + rules.secondFactorMs;
    this.state = {
      ...this.state,
      tracks: youngerThan(tracks, keepMs, now),
      // A grant whose audit row or lock never answered must not keep the next person out.
      pending: pending !== null && now > pending.grant.validUntil ? null : pending,
      coolUntil: coolUntil !== null && now < coolUntil ? coolUntil : null,
      spoofAt: spoofAt !== null && now - spoofAt < rules.spoofHoldMs ? spoofAt : null,
      faces: settle(this.state.faces, rules.faceBackoff, now),
      guesses: settle(this.state.guesses, rules.guessBackoff, now),
    };
    if (pending?.step === 'auditing' && this.state.pending === null)
      this.#void(pending.grant, 'grant-expired');
    if (claim !== null && now - claim.at > rules.secondFactorMs) this.#endClaim(claim);
  }

  look({ camera, track, look }: Extract<DoorInput, { kind: 'looked' }>): void {
    // A picture from elsewhere opens nothing, and cannot lock anybody out either.
    if (!this.#context.rules.trustedCameras.includes(camera)) return;
    const known = trackOf(this.state.tracks, camera, track);
    this.#putTrack(withLook(known, look));
    if (look.kind === 'spoof') this.#spoofed(camera, track, look.at);
    this.#checkClaim(look);
    this.#tryFaces(track);
  }

  liveness({ camera, track, state, at }: Extract<DoorInput, { kind: 'liveness' }>): void {
    if (!this.#context.rules.trustedCameras.includes(camera)) return;
    const known = trackOf(this.state.tracks, camera, track);
    const active = known.active === 'not-live' ? 'not-live' : state;
    this.#putTrack({ ...known, active, activeAt: at });
    if (state === 'not-live') this.#spoofed(camera, track, at);
    this.#tryFaces(track);
  }

  credential(input: Extract<DoorInput, { kind: 'credential' }>): void {
    const { rules, now } = this.#context;
    const { method, person, request } = input;
    const answer = admitCredential(this.state, input, this.#context);
    if (!answer.allowed) {
      const guessed = method === 'code' && answer.reason === 'wrong-secret';
      if (guessed) this.state = { ...this.state, guesses: fail(this.state.guesses, rules.guessBackoff, now) };
      this.#refuse({ reason: answer.reason, person, request, track: null, path: method });
      return;
    }
    if (method === 'code') this.state = { ...this.state, guesses: NO_BACKOFF };
    if (rules.modes.includes('code')) {
      this.#grant({ path: method, person: answer.person, rule: answer.rule, request });
      return;
    }
    const { claim: before } = this.state;
    // A code that is shown again and again must not hide that another face stands there.
    if (before !== null && (before.contradicted || before.person !== answer.person)) this.#endClaim(before);
    const claim: Claim = { person: answer.person, method, request, at: now, contradicted: false };
    this.state = { ...this.state, claim };
    this.#tryFaces(null);
    if (this.state.claim === claim)
      this.effects.push(news('face-wanted', { person: claim.person, path: method, request }));
  }

  command(input: Extract<DoorInput, { kind: 'command' }>): void {
    const { request, actor } = input;
    const reason = commandRefusal(this.state, input, this.#context);
    if (reason === null) this.#grant({ path: 'command', person: null, actor, rule: null, request });
    else this.#refuse({ reason, person: null, request, track: null, path: 'command' });
  }

  /** The grant is written down: now, if nothing has spoken against it meanwhile, the lock is told. */
  audited({ grant: id, ok }: Extract<DoorInput, { kind: 'audited' }>): void {
    const { pending } = this.state;
    if (pending === null || pending.grant.id !== id || pending.step !== 'auditing') return;
    const { grant } = pending;
    const against = ok ? objection(this.state, grant, this.#context) : 'audit-failed';
    if (against !== null) {
      this.state = { ...this.state, pending: null };
      this.#void(grant, against);
      return;
    }
    const { rules, now } = this.#context;
    this.state = {
      ...this.state,
      pending: { grant, step: 'unlocking' },
      coolUntil: now + rules.coolDownMs,
      faces: usesFace(grant) ? NO_BACKOFF : this.state.faces,
    };
    this.effects.push({ kind: 'unlock', grant, pulseMs: rules.pulseMs });
    this.#tell('granted', grant);
  }

  lockAnswered({ grant, ok, code }: Extract<DoorInput, { kind: 'lockAnswered' }>): void {
    this.effects.push({
      kind: 'audit',
      what: ok ? 'unlocked' : 'unlock-failed',
      detail: { grant: grant.id, ...(code === null ? {} : { code }) },
    });
    if (this.state.pending?.grant.id === grant.id) this.state = { ...this.state, pending: null };
    if (!ok) this.#tell('unlock-failed', grant);
  }

  removePerson(person: string): void {
    const { tracks, claim, pending } = this.state;
    const seen = ({ looks }: TrackState) => looks.some((look) => names(look, person));
    this.state = {
      ...this.state,
      tracks: tracks.flatMap((track) => (seen(track) ? onlyFlat(track) : track)),
      claim: claim?.person === person ? null : claim,
      pending: pending?.grant.person === person && pending.step === 'auditing' ? null : pending,
    };
    if (pending !== null && this.state.pending === null) this.#void(pending.grant, 'no-rule');
  }

  forget(): void {
    const { tracks, pending } = this.state;
    const waits = pending?.step === 'auditing';
    this.state = {
      ...this.state,
      tracks: tracks.flatMap(onlyFlat),
      claim: null,
      pending: waits ? null : pending,
    };
    if (pending !== null && waits) this.#void(pending.grant, 'stale');
  }

  /** Whatever opens by face goes through here: `seen` is the track that brought something new, or null for all. */
  #tryFaces(seen: string | null): void {
    const { rules, now } = this.#context;
    const { claim, coolUntil, pending } = this.state;
    const wanted = rules.modes.includes('face') || rules.modes.includes('face+code');
    if (!wanted || pending !== null || (coolUntil !== null && now < coolUntil)) return;
    for (const track of this.state.tracks) {
      if (seen !== null && track.track !== seen) continue;
      const result = judgeWithClaim(track, claim, this.#context);
      if (!result.sure) {
        this.#sayOnce(track, result.reason, null);
        continue;
      }
      const { person, similarity } = result;
      const closed = facePathClosed(this.state, now);
      if (closed !== null) {
        this.#sayOnce(track, closed, person);
        continue;
      }
      const answer = mayPassNow(person, this.#context);
      if (!answer.allowed) {
        this.#sayOnce(track, answer.reason, person);
        continue;
      }
      const claimed = claim?.person === person;
      if (!rules.modes.includes('face') && !claimed) {
        this.#wantCode(track, person);
        continue;
      }
      const path = claimed ? 'face+code' : 'face';
      this.state = { ...this.state, claim: claimed ? null : claim };
      const request = claimed ? claim.request : null;
      const { camera } = track;
      this.#grant({ path, person, rule: answer.rule, request, track: track.track, camera, similarity });
      return;
    }
  }

  #grant(parts: Partial<Grant> & Pick<Grant, 'path' | 'person' | 'rule'>): void {
    const { grantId, now, rules } = this.#context;
    const { pending } = this.state;
    if (pending !== null) {
      const { path, person } = parts;
      this.#refuse({ reason: 'busy', person, request: parts.request ?? null, track: null, path });
      return;
    }
    const grant: Grant = {
      id: grantId,
      actor: null,
      track: null,
      camera: null,
      similarity: null,
      request: null,
      validUntil: now + rules.grantMs,
      ...parts,
    };
    this.state = { ...this.state, pending: { grant, step: 'auditing' } };
    this.effects.push({ kind: 'auditGrant', grant });
  }

  /** A spoof counts once for each track, however long it is held up; the hold is renewed as long as it is seen. */
  #spoofed(camera: string, id: string, at: number): void {
    const { rules, now } = this.#context;
    const track = trackOf(this.state.tracks, camera, id);
    this.state = { ...this.state, spoofAt: Math.max(this.state.spoofAt ?? at, at) };
    // Once flat, always flat: a photograph that is taken away and a face that takes its place are one track to a tracker.
    this.#putTrack({ ...track, active: 'not-live', activeAt: at, countedSpoof: true });
    if (track.countedSpoof) return;
    this.effects.push({ kind: 'audit', what: 'spoof', detail: { camera, track: id } });
    this.effects.push(news('spoof', { track: id, reason: 'spoof' }));
    this.#failed(now, rules);
  }

  #failed(now: number, { faceBackoff }: StepContext['rules']): void {
    const was = this.state.faces.until;
    const faces = fail(this.state.faces, faceBackoff, now);
    this.state = { ...this.state, faces };
    if (faces.until === null || faces.until === was) return;
    this.effects.push({ kind: 'audit', what: 'locked-out', detail: { forMs: faces.until - now } });
    this.effects.push(news('locked-out', { reason: 'locked-out' }));
  }

  /** A face that can be told stands there and is not the claimed one. */
  #checkClaim(look: Look): void {
    const { rules } = this.#context;
    const { claim } = this.state;
    if (claim === null || claim.contradicted || look.quality < rules.sure.minQuality) return;
    const verified =
      look.claim?.person === claim.person && look.claim.similarity >= rules.sure.claimSimilarity;
    const agrees = rules.claim ? verified : names(look, claim.person) || look.kind === 'ambiguous';
    if (look.kind === 'poor' || agrees) return;
    this.state = { ...this.state, claim: { ...claim, contradicted: true } };
  }

  #endClaim(claim: Claim): void {
    const { rules, now } = this.#context;
    this.state = { ...this.state, claim: null };
    const { person, request, method, contradicted } = claim;
    const reason = contradicted ? 'claim-failed' : 'no-look';
    this.#refuse({ reason, person, request, track: null, path: method });
    if (contradicted) this.#failed(now, rules);
  }

  /** A face that is merely not sure yet is not refused, it is waited for; what is said is said once. */
  #sayOnce(track: TrackState, reason: DenyReason, person: string | null): void {
    if (mayStillChange(track, reason, this.#context.rules.sure) || track.said === reason) return;
    this.#putTrack({ ...trackOf(this.state.tracks, track.camera, track.track), said: reason });
    this.#refuse({ reason, person, request: null, track: track.track, path: 'face' });
  }

  #wantCode(track: TrackState, person: string): void {
    if (track.said === 'code-wanted') return;
    this.#putTrack({ ...trackOf(this.state.tracks, track.camera, track.track), said: 'code-wanted' });
    this.effects.push(news('code-wanted', { person, track: track.track }));
  }

  #refuse(denial: Pick<Denial, 'reason' | 'person' | 'request' | 'track' | 'path'>): void {
    this.effects.push({ kind: 'audit', what: 'denied', detail: withoutNulls(denial) });
    this.effects.push(news('denied', denial));
  }

  /** A face that goes on standing there while nothing can be written down is told so once; each time is counted. */
  #void({ person, request, track, path }: Grant, reason: DenyReason): void {
    const denial = { reason, person, request, track, path };
    const known = this.state.tracks.find((one) => one.track === track);
    if (known === undefined || request !== null) {
      this.#refuse(denial);
      return;
    }
    this.effects.push({ kind: 'audit', what: 'denied', detail: withoutNulls(denial) });
    if (known.said === reason) return;
    this.#putTrack({ ...known, said: reason });
    this.effects.push(news('denied', denial));
  }

  #tell(what: 'granted' | 'unlock-failed', { person, path, track, request }: Grant): void {
    this.effects.push(news(what, { person, path, track, request }));
  }

  #putTrack(track: TrackState): void {
    this.state = { ...this.state, tracks: withTrack(this.state.tracks, track) };
  }
}
