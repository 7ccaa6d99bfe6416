import type { DecisionKind } from '../domain/decision.js';
import { FacedError } from '../domain/errors.js';
import { TypedEvents } from '../lib/events.js';
import type { AuditEntry, Judged } from '../pipeline/ports.js';
import { AuditTrail } from './audit-trail.js';
import type { DoorAnswer, DoorDeps, DoorEvents, DoorStatus } from './door-ports.js';
import { FloodedRows } from './flooded-rows.js';
import { isForced, type LockStateName, type LockView, lockStateOf, NEW_LOCK_VIEW } from './lock-state.js';
import { INITIAL_STATE, step } from './policy.js';
import type { DoorEffect, DoorInput, DoorState, Grant } from './policy-types.js';
import type { DoorRules } from './rules.js';
import type { CredentialMethod } from './secrets.js';
import type { LiveState, Look } from './sure.js';

/** Scrypts at once: each takes a thread of libuv's pool for some 50 ms. */
const MOST_SECRETS = 2;
const TICK_MS = 250;

/** One door: the policy's only shell. It gives the policy inputs and carries out its effects, in order. */
export class Door {
  readonly #deps: DoorDeps;
  readonly #events: TypedEvents<DoorEvents>;
  readonly #audit: AuditTrail;
  readonly #flooded: FloodedRows;
  readonly #answers = new Map<string, (answer: DoorAnswer) => void>();
  readonly #unsubscribe: (() => void)[] = [];
  #state: DoorState = INITIAL_STATE;
  #view: LockView = NEW_LOCK_VIEW;
  #status: LockStateName | null = null;
  #exitPressedAt: number | null = null;
  #hasContact = false;
  #secrets = 0;
  #timer: NodeJS.Timeout | null = null;
  #stopped = true;
  #rules: DoorRules;

  constructor(deps: DoorDeps) {
    this.#deps = deps;
    this.#rules = deps.rules;
    this.#events = new TypedEvents(deps.onError);
    this.#audit = new AuditTrail(deps.audit, () => deps.clock.monotonic());
    this.#flooded = new FloodedRows((entry) => this.#audit.note(entry), {
      monotonic: () => deps.clock.monotonic(),
      about: { door: deps.rules.id },
    });
  }

  get id(): string {
    return this.#rules.id;
  }

  get status(): DoorStatus {
    const open = this.#hasContact ? this.#view.doorOpenSince !== null : null;
    return { door: this.id, state: this.#status ?? 'locked', open };
  }

  /** Audit rows that the store could not take yet. */
  get auditWaiting(): number {
    return this.#audit.waiting;
  }

  on<Name extends keyof DoorEvents>(name: Name, listener: (payload: DoorEvents[Name]) => void): () => void {
    return this.#events.on(name, listener);
  }

  async start(signal: AbortSignal): Promise<void> {
    const { lock } = this.#deps;
    this.#stopped = false;
    this.#unsubscribe.push(
      lock.on('moved', ({ to, at }) => this.#look({ ...this.#view, said: to, changedAt: at, broken: false })),
      lock.on('input', (input) => this.#input(input)),
      lock.on('failed', ({ code, message }) => {
        this.#note('lock-failed', { code });
        this.#look({ ...this.#view, broken: true });
        this.#events.emit('lockFailed', { door: this.id, code, message });
      }),
      lock.on('recovered', () => {
        this.#note('lock-recovered', {});
        this.#look({ ...this.#view, broken: false });
        this.#events.emit('lockRecovered', { door: this.id });
      }),
    );
    await lock.start(signal);
    this.#look(this.#view);
  }

  async stop(): Promise<void> {
    if (this.#stopped) return;
    this.#stopped = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
    await this.#deps.lock.stop();
    for (const unsubscribe of this.#unsubscribe.splice(0)) unsubscribe();
    for (const answer of this.#answers.values()) answer({ outcome: 'denied', reason: 'busy' });
    this.#answers.clear();
    this.#flooded.stop();
    await this.#audit.stop();
  }

  /** A judged look at a face, from any camera: whether it counts is the policy's business. */
  sighted({ decision, sighting }: Judged): void {
    // A clip has a clock of its own: it is a recording, whatever its camera is called.
    if (sighting.mediaMs !== undefined) return;
    const evidence = decision.kind === 'poor' ? null : decision.evidence;
    const look: Look = {
      at: sighting.capturedAt.monotonicMs,
      kind: decision.kind satisfies DecisionKind,
      person: decision.kind === 'known' ? decision.person.id : null,
      similarity: evidence?.similarity ?? null,
      runnerUp: evidence?.runnerUp ?? null,
      quality: sighting.quality.score,
      passive: sighting.liveness,
    };
    const { camera, track, embedding } = sighting;
    const claimed = this.#rules.claim ? (this.#state.claim?.person ?? null) : null;
    const { compare } = this.#deps;
    if (claimed === null || embedding === null || compare === undefined) {
      this.#put({ kind: 'looked', camera, track, look });
      return;
    }
    compare(claimed, embedding).then(
      (similarity) => {
        const claim = similarity === null ? {} : { claim: { person: claimed, similarity } };
        this.#put({ kind: 'looked', camera, track, look: { ...look, ...claim } });
      },
      (error: unknown) => this.#deps.onError(error),
    );
  }

  /** What active liveness says of a track; `at` is the monotonic time of the frame it rests on. */
  livenessJudged(verdict: { camera: string; track: string; state: LiveState; at: number }): void {
    this.#put({ kind: 'liveness', ...verdict });
  }

  /** A code, badge or QR text. `request` is the command's own id, `source` the name of a reader or channel in this door's `credentialSources`. */
  async present(shown: {
    source: string;
    method: CredentialMethod;
    secret: string;
    request: string;
  }): Promise<DoorAnswer> {
    const { source, method, secret, request } = shown;
    const { personOf } = this.#deps;
    // Nobody who is not listened to gets the processor to work for them.
    const heard = this.#rules.credentialSources.includes(source);
    if (heard && this.#secrets >= MOST_SECRETS) {
      this.#flooded.note(this.#row('denied', { reason: 'busy', request, path: method }));
      return { outcome: 'denied', reason: 'busy' };
    }
    this.#secrets += heard ? 1 : 0;
    try {
      const person = heard ? await personOf(method, secret) : null;
      return await this.#ask(request, () => ({ kind: 'credential', request, source, method, person }));
    } finally {
      this.#secrets -= heard ? 1 : 0;
    }
  }

  /**
   * `lock/set` and the like, after form, freshness and repetition were checked. `request` is the command's own id;
   * `authorised` says whether whoever sent it may open this door, `fresh` whether its age could be judged.
   */
  command(order: {
    action: 'unlock' | 'lock';
    request: string;
    actor: string;
    authorised: boolean;
    fresh: boolean;
  }): Promise<DoorAnswer> {
    const { action, request, actor, authorised, fresh } = order;
    if (action === 'unlock')
      return this.#ask(request, () => ({ kind: 'command', request, actor, authorised, fresh }));
    if (!authorised) return Promise.resolve({ outcome: 'denied', reason: 'not-authorised' });
    this.#flooded.note(this.#row('lock-ordered', { actor, request }));
    this.#view = { ...this.#view, pulseUntil: null };
    return this.#deps.lock.lock().then(
      () => ({ outcome: 'granted', reason: null }),
      (error: unknown) => {
        const { code } = FacedError.from(error);
        this.#flooded.note(this.#row('lock-failed', { actor, request, code }));
        return { outcome: 'denied', reason: 'busy' };
      },
    );
  }

  /** To be called when somebody was removed from the gallery or lost their rights. */
  personRemoved(person: string): void {
    this.#put({ kind: 'personRemoved', person });
  }

  /** Other rules from now on: what was seen under the old ones counts no longer. The id and the lock stay. */
  change(rules: DoorRules): void {
    this.#rules = { ...rules, id: this.id };
    this.#note('rules-changed', {});
    this.forget();
  }

  /** To be called when vision was started again: tracks are gone. */
  forget(): void {
    this.#put({ kind: 'forget' });
  }

  #ask(request: string, input: () => DoorInput): Promise<DoorAnswer> {
    if (this.#stopped) return Promise.resolve({ outcome: 'denied', reason: 'busy' });
    return new Promise((resolve) => {
      // The same id twice at once is answered by what the first one gets; ids are checked for repetition before.
      this.#answers.set(request, resolve);
      this.#put(input());
    });
  }

  #put(input: DoorInput): void {
    if (this.#stopped) return;
    const { access, clock, clockTrust, newId } = this.#deps;
    const { state, effects } = step(this.#state, input, {
      rules: this.#rules,
      access: access(),
      now: clock.monotonic(),
      wallMs: clock.wall(),
      synchronised: clockTrust.synchronised(),
      grantId: newId(),
    });
    this.#state = state;
    for (const effect of effects) this.#carryOut(effect);
    this.#arm();
  }

  #carryOut(effect: DoorEffect): void {
    switch (effect.kind) {
      case 'audit':
        if (effect.what === 'denied') this.#flooded.note(this.#row('denied', effect.detail));
        else this.#note(effect.what, effect.detail);
        return;
      case 'auditGrant':
        this.#audit
          .write(this.#row('granted', rowOf(effect.grant)))
          .then(
            () => true,
            () => false,
          )
          .then((ok) => this.#put({ kind: 'audited', grant: effect.grant.id, ok }))
          .catch(this.#deps.onError);
        return;
      case 'unlock':
        void this.#unlock(effect.grant, effect.pulseMs);
        return;
      case 'tell':
        this.#tell(effect);
    }
  }

  async #unlock(grant: Grant, pulseMs: number): Promise<void> {
    const now = this.#deps.clock.monotonic();
    this.#look({ ...this.#view, pulseUntil: now + pulseMs, changedAt: now });
    try {
      await this.#deps.lock.unlock(pulseMs);
      this.#put({ kind: 'lockAnswered', grant, ok: true, code: null });
    } catch (error) {
      const { code } = FacedError.from(error);
      // A lock that rests is well.
      this.#look({ ...this.#view, ...(code === 'busy' ? { pulseUntil: now } : { broken: true }) });
      this.#put({ kind: 'lockAnswered', grant, ok: false, code });
    }
  }

  #tell({ what, person, reason, path, track, request }: Extract<DoorEffect, { kind: 'tell' }>): void {
    const { newId, clock } = this.#deps;
    const time = new Date(clock.wall()).toISOString();
    const answer = request === null ? undefined : this.#answers.get(request);
    if (request !== null && answer !== undefined) {
      this.#answers.delete(request);
      const refused = what === 'granted' || what === 'face-wanted' ? what : 'denied';
      answer({ outcome: refused, reason });
    }
    const event = { v: 1, id: newId(), time, door: this.id, event: what } as const;
    this.#events.emit('told', { ...event, person, reason, path, track, request });
  }

  #input({ name, active, at }: { name: 'door' | 'exit'; active: boolean; at: number }): void {
    if (name === 'exit') {
      if (active) this.#note('exit-pressed', {});
      if (active) this.#exitPressedAt = at;
      return;
    }
    this.#hasContact = true;
    const { doorOpenSince } = this.#view;
    if (!active) {
      this.#look({ ...this.#view, doorOpenSince: null, forced: false }, true);
      return;
    }
    const forced = isForced(this.#view, this.#deps.lockState, {
      now: at,
      exitPressedAt: this.#exitPressedAt,
    });
    this.#look({ ...this.#view, doorOpenSince: doorOpenSince ?? at, forced }, true);
    if (!forced || doorOpenSince !== null) return;
    this.#note('forced', {});
    const { newId, clock } = this.#deps;
    const time = new Date(clock.wall()).toISOString();
    const nobody = { person: null, reason: null, path: null, track: null, request: null };
    this.#events.emit('told', { v: 1, id: newId(), time, door: this.id, event: 'forced', ...nobody });
  }

  #look(view: LockView, contact = false): void {
    this.#view = view;
    const state = lockStateOf(view, this.#deps.lockState, this.#deps.clock.monotonic());
    const changed = state !== this.#status;
    if (changed) this.#note('state', { state });
    this.#status = state;
    if (changed || contact) this.#events.emit('changed', this.status);
    this.#arm();
  }

  /** Time has to pass by itself only while something waits for it; an empty porch costs nothing. */
  #arm(): void {
    const { claim, pending } = this.#state;
    const { pulseUntil, doorOpenSince, said } = this.#view;
    const settled = this.#status === 'locked' && (said === null || said === 'locked');
    const waits =
      claim !== null || pending !== null || doorOpenSince !== null || (pulseUntil !== null && !settled);
    if (this.#stopped || !waits || this.#timer !== null) return;
    this.#timer = setTimeout(() => {
      this.#timer = null;
      this.#put({ kind: 'tick' });
      this.#look(this.#view);
    }, TICK_MS);
    this.#timer.unref();
  }

  #note(what: string, detail: Readonly<Record<string, unknown>>): void {
    this.#audit.note(this.#row(what, detail));
  }

  #row(what: string, detail: Readonly<Record<string, unknown>>): AuditEntry {
    return { kind: `door.${what}`, actor: 'daemon', detail: { door: this.id, ...detail } };
  }
}

function rowOf({ validUntil: _, ...grant }: Grant): Record<string, unknown> {
  return Object.fromEntries(Object.entries(grant).filter(([, value]) => value !== null));
}
