import type { AccessPolicy } from '../../src/door/access.js';
import { INITIAL_STATE, step } from '../../src/door/policy.js';
import type { DoorEffect, DoorInput, DoorState, StepContext } from '../../src/door/policy-types.js';
import { DEFAULT_RULES, type DoorRules } from '../../src/door/rules.js';
import type { Look } from '../../src/door/sure.js';

export const ACCESS: AccessPolicy = {
  zone: 'Europe/Berlin',
  groups: { family: ['anna', 'ben'] },
  holidays: [],
  guests: [],
  rules: [
    { id: 'family', doors: 'all', groups: ['family'], when: 'always' },
    { id: 'cleaner', doors: 'all', people: ['carl'], when: [{ days: [2], from: '07:00', to: '08:30' }] },
  ],
};

export const RULES: DoorRules = {
  ...DEFAULT_RULES,
  id: 'front',
  modes: ['face'],
  trustedCameras: ['porch'],
  credentialSources: ['wiegand'],
};

/** Anna, near enough, well lit and alive. */
export function lookAt(at: number, more: Partial<Look> = {}): Look {
  return {
    ...{ at, kind: 'known', person: 'anna', similarity: 0.7, runnerUp: 0.2, quality: 0.8, passive: 0.9 },
    ...more,
  };
}

/** A door in the hands of a test: inputs go in, what the shell would have to do comes out. */
export class TestDoor {
  state: DoorState = INITIAL_STATE;
  now = 1_000_000;
  wallMs = Date.parse('2026-11-24T07:00Z');
  synchronised = true;
  access = ACCESS;
  readonly rules: DoorRules;
  #grants = 0;

  constructor(rules: Partial<DoorRules> = {}) {
    this.rules = { ...RULES, ...rules };
  }

  put(input: DoorInput): readonly DoorEffect[] {
    const { rules, access, now, wallMs, synchronised } = this;
    const context: StepContext = { rules, access, now, wallMs, synchronised, grantId: `g${++this.#grants}` };
    const { state, effects } = step(this.state, input, context);
    this.state = state;
    return effects;
  }

  /** As the shell does it: what is to be audited is audited at once, and all that follows is collected. */
  run(input: DoorInput, auditOk = true): string[] {
    const said: string[] = [];
    const queue = [...this.put(input)];
    for (let effect = queue.shift(); effect !== undefined; effect = queue.shift()) {
      said.push(inWords(effect));
      if (effect.kind === 'auditGrant')
        queue.push(...this.put({ kind: 'audited', grant: effect.grant.id, ok: auditOk }));
      if (effect.kind === 'unlock')
        queue.push(...this.put({ kind: 'lockAnswered', grant: effect.grant, ok: true, code: null }));
    }
    return said;
  }

  pass(ms: number): this {
    this.now += ms;
    this.wallMs += ms;
    return this;
  }

  look(more: Partial<Look> = {}, where: { track?: string; camera?: string } = {}): string[] {
    const look = lookAt(this.now, more);
    return this.run({ kind: 'looked', camera: 'porch', track: 't', ...where, look });
  }

  live(state: 'live' | 'not-live' = 'live', where: { track?: string; camera?: string } = {}): string[] {
    return this.run({ kind: 'liveness', camera: 'porch', track: 't', ...where, state, at: this.now });
  }

  /** A sure face: alive, and three looks 100 ms apart. */
  face(more: Partial<Look> = {}, where: { track?: string; camera?: string } = {}): string[] {
    return [this.live('live', where), ...[1, 2, 3].map(() => this.pass(100).look(more, where))].flat();
  }

  code(person: string | null, source = 'wiegand', method: 'code' | 'badge' = 'code'): string[] {
    return this.run({ kind: 'credential', request: 'q', source, method, person });
  }
}

export function inWords(effect: DoorEffect): string {
  if (effect.kind === 'audit') return `audit ${effect.what}`;
  if (effect.kind === 'auditGrant') return `audit grant ${effect.grant.path} ${effect.grant.person}`;
  if (effect.kind === 'unlock') return 'UNLOCK';
  return effect.reason === null ? effect.what : `${effect.what} ${effect.reason}`;
}
