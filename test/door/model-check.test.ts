import assert from 'node:assert/strict';
import { test } from 'node:test';
import { step } from '../../src/door/policy.js';
import { DEFAULT_RULES, type DoorRules } from '../../src/door/rules.js';
import {
  ACCESS,
  ADVANCE,
  alive,
  type CheckOptions,
  CLOCK,
  check,
  code,
  command,
  FAULTS,
  look,
  type Move,
  RELOAD,
  RIGHTS,
} from './model-checker.js';

const RULES: DoorRules = {
  ...DEFAULT_RULES,
  id: 'front',
  modes: ['face'],
  trustedCameras: ['porch'],
  credentialSources: ['keypad'],
  sure: {
    ...DEFAULT_RULES.sure,
    looks: 2,
    spanMs: 500,
    withinMs: 500,
    maxAgeMs: 500,
    activeMaxAgeMs: 500,
    liveness: 'active',
  },
  secondFactorMs: 0,
  coolDownMs: 500,
  spoofHoldMs: 500,
  grantMs: 500,
  faceBackoff: { failures: 2, firstMs: 1000, longestMs: 1000, forgetMs: 1000 },
  guessBackoff: { failures: 2, firstMs: 500, longestMs: 500, forgetMs: 500 },
};

const FACE_AND_CODE: DoorRules = {
  ...RULES,
  modes: ['face+code'],
  secondFactorMs: 500,
  faceBackoff: { failures: 1, firstMs: 500, longestMs: 500, forgetMs: 500 },
};

const SECOND_PATHS: DoorRules = {
  ...RULES,
  modes: ['face', 'code'],
  remoteUnlock: true,
  faceBackoff: { failures: 1, firstMs: 1000, longestMs: 1000, forgetMs: 1000 },
};

/** Whether the code's own person stands there is all that is asked. */
const CLAIMS: DoorRules = { ...FACE_AND_CODE, sure: { ...RULES.sure, liveness: 'off' } };

function withSure(sure: Partial<DoorRules['sure']>): DoorRules {
  return { ...RULES, sure: { ...RULES.sure, ...sure } };
}

const FACES: readonly Move[] = [
  look('anna'),
  look('anna', { camera: 'garden', track: 'g' }),
  alive('live', { camera: 'garden', track: 'g' }),
  alive('live'),
  alive('not-live', { track: 'photo' }),
];

const DOORS: Readonly<Record<string, Pick<CheckOptions, 'rules' | 'reloaded' | 'moves'>>> = {
  'a face alone': { rules: RULES, moves: [ADVANCE, ...FACES, ...FAULTS] },
  'strangers between the looks': {
    rules: RULES,
    moves: [ADVANCE, look('anna'), look(null), alive('live'), ...FAULTS],
  },
  'a face alone, with spoofs in the same track': {
    rules: RULES,
    moves: [
      ADVANCE,
      look('anna'),
      look('anna', { kind: 'spoof' }),
      alive('live'),
      alive('not-live'),
      ...FAULTS,
    ],
  },
  'a schedule and a clock that comes and goes': {
    rules: RULES,
    moves: [ADVANCE, CLOCK, look('carl'), look('zoe'), alive('live'), ...FAULTS],
  },
  'face and code': {
    rules: { ...RULES, modes: ['face+code'] },
    moves: [
      ADVANCE,
      look('anna'),
      look('carl'),
      alive('live'),
      code('anna'),
      code('anna', 'internet'),
      ...FAULTS,
    ],
  },
  'face and code, and another face': {
    rules: CLAIMS,
    moves: [ADVANCE, look('anna'), look('carl', { track: 'u' }), code('anna'), ...FAULTS],
  },
  'a claim: the face is compared with one person': {
    rules: { ...CLAIMS, claim: true },
    moves: [
      ADVANCE,
      look('twin', { kind: 'ambiguous', like: 'anna' }),
      look(null, { like: 'nobody' }),
      code('anna'),
      ...FAULTS,
    ],
  },
  'the passive test alone': {
    rules: withSure({ liveness: 'passive' }),
    moves: [ADVANCE, look('anna', { passive: 0.9 }), look('anna', { passive: 0.05 }), ...FAULTS],
  },
  'two pictures beside a face': {
    rules: withSure({ liveness: 'off' }),
    moves: [
      ADVANCE,
      look('anna'),
      alive('not-live', { track: 'photo' }),
      alive('not-live', { track: 'film' }),
      ...FAULTS,
    ],
  },
  'spoofs, guesses and whoever has a code': {
    rules: SECOND_PATHS,
    moves: [
      ADVANCE,
      alive('not-live', { track: 'photo' }),
      code('anna'),
      code(null),
      command(true),
      ...FAULTS,
    ],
  },
  'code, and a face beside it': {
    rules: { ...RULES, modes: ['face', 'code'] },
    moves: [ADVANCE, CLOCK, look('anna'), alive('live'), code('carl'), code(null), ...FAULTS],
  },
  'commands, where they may and where not': {
    rules: { ...RULES, modes: ['code'], remoteUnlock: true },
    moves: [
      ADVANCE,
      command(true),
      command(false),
      command(true, false),
      code('anna'),
      code('zoe'),
      code('anna', 'internet'),
      ...FAULTS,
    ],
  },
  'commands where they are off': {
    rules: { ...RULES, modes: ['code'] },
    moves: [ADVANCE, command(true), command(false), code('anna'), ...FAULTS],
  },
  'a right that comes and goes while an unlock is under way': {
    rules: { ...RULES, modes: ['face', 'code'] },
    moves: [ADVANCE, RIGHTS, look('anna'), alive('live'), code('anna'), ...FAULTS],
  },
  'reloaded from a face alone to a code alone, and back': {
    rules: RULES,
    reloaded: { ...RULES, modes: ['code'] },
    moves: [ADVANCE, RELOAD, look('anna'), alive('live'), code('anna'), ...FAULTS],
  },
  'reloaded without liveness, and back': {
    rules: RULES,
    reloaded: withSure({ liveness: 'off' }),
    moves: [ADVANCE, RELOAD, look('anna'), alive('live'), ...FAULTS],
  },
  'reloaded so that commands may not open, and back': {
    rules: { ...RULES, modes: ['code'], remoteUnlock: true },
    reloaded: { ...RULES, modes: ['code'] },
    moves: [ADVANCE, RELOAD, command(true), code('anna'), ...FAULTS],
  },
};

for (const [name, options] of Object.entries(DOORS)) {
  test(`no unlock without fresh, live, trusted evidence or a valid second path: ${name}`, (t) => {
    const { violation, reached, transitions, unlocks } = check(options);
    t.diagnostic(`${reached} states, ${transitions} transitions, ${unlocks} of them unlock`);
    assert.deepEqual(violation, null);
    assert.ok(unlocks > 0, 'a door that never opens shows nothing');
  });
}

/** A policy with a defect, and the door at which it has to be noticed. */
const MUTANTS: Readonly<Record<string, Partial<CheckOptions> & { door: string }>> = {
  'one look is enough': { door: 'a face alone', policyRules: withSure({ looks: 1, spanMs: 0 }) },
  'looks of one moment': { door: 'a face alone', policyRules: withSure({ spanMs: 0, looks: 1 }) },
  'liveness is not asked for': { door: 'a face alone', policyRules: withSure({ liveness: 'off' }) },
  'evidence never gets old': {
    door: 'a face alone',
    policyRules: withSure({ maxAgeMs: 5000, withinMs: 5000 }),
  },
  'liveness never gets old': { door: 'a face alone', policyRules: withSure({ activeMaxAgeMs: 5000 }) },
  'every camera is trusted': {
    door: 'a face alone',
    policyRules: { ...RULES, trustedCameras: ['porch', 'garden'] },
  },
  'a spoof in view does not matter': { door: 'a face alone', policyRules: { ...RULES, spoofHoldMs: 0 } },
  'no lock-out': {
    door: 'two pictures beside a face',
    policyRules: {
      ...withSure({ liveness: 'off' }),
      faceBackoff: { ...RULES.faceBackoff, failures: 1000 },
    },
  },
  'no cool-down': { door: 'a face alone', policyRules: { ...RULES, coolDownMs: 0 } },
  'a grant lives for ever': { door: 'a face alone', policyRules: { ...RULES, grantMs: 60_000 } },
  'the lock is told before the row is written': {
    door: 'a face alone',
    step: (state, input, context) => {
      const made = step(state, input, context);
      const grant = made.effects.find((effect) => effect.kind === 'auditGrant');
      if (grant === undefined) return made;
      return { ...made, effects: [...made.effects, { kind: 'unlock', grant: grant.grant, pulseMs: 1 }] };
    },
  },
  'a row that could not be written counts': {
    door: 'a face alone',
    step: (state, input, context) =>
      step(state, input.kind === 'audited' ? { ...input, ok: true } : input, context),
  },
  'a person who is removed is still known': {
    door: 'a face alone',
    step: (state, input, context) =>
      step(state, input.kind === 'personRemoved' ? { kind: 'tick' } : input, context),
  },
  'what was seen outlives a restart of vision': {
    door: 'a face alone',
    step: (state, input, context) => step(state, input.kind === 'forget' ? { kind: 'tick' } : input, context),
  },
  'a flat picture is forgiven': {
    door: 'a face alone, with spoofs in the same track',
    step: (state, input, context) =>
      step(
        {
          ...state,
          tracks: state.tracks.map((one) =>
            one.active === 'not-live' ? { ...one, active: 'pending' } : one,
          ),
        },
        input,
        context,
      ),
  },
  'the clock is always believed': {
    door: 'a schedule and a clock that comes and goes',
    step: (state, input, context) => step(state, input, { ...context, synchronised: true }),
  },
  'a code without a face': { door: 'face and code', policyRules: { ...FACE_AND_CODE, modes: ['code'] } },
  'a face without a code': { door: 'face and code', policyRules: { ...FACE_AND_CODE, modes: ['face'] } },
  'face and code far apart': {
    door: 'face and code',
    policyRules: { ...FACE_AND_CODE, secondFactorMs: 5000 },
  },
  'codes from anywhere': {
    door: 'face and code',
    policyRules: { ...FACE_AND_CODE, credentialSources: ['keypad', 'internet'] },
  },
  'a claim is met by anybody': {
    door: 'a claim: the face is compared with one person',
    step: (state, input, context) =>
      step(
        state,
        input.kind === 'looked' && input.look.claim !== undefined
          ? { ...input, look: { ...input.look, claim: { ...input.look.claim, similarity: 0.9 } } }
          : input,
        context,
      ),
  },
  'a claim needs no comparison': {
    door: 'a claim: the face is compared with one person',
    step: (state, input, context) =>
      step(
        state,
        input.kind === 'looked' && input.look.kind === 'ambiguous'
          ? {
              ...input,
              look: {
                ...input.look,
                kind: 'known',
                person: 'anna',
                claim: { person: 'anna', similarity: 0.9 },
              },
            }
          : input,
        { ...context, rules: { ...context.rules, modes: ['face'] } },
      ),
  },
  'another face is forgiven when the code is shown again': {
    door: 'face and code, and another face',
    step: (state, input, context) =>
      step(
        input.kind === 'credential' && state.claim !== null
          ? { ...state, claim: { ...state.claim, contradicted: false } }
          : state,
        input,
        context,
      ),
  },
  'the passive score does not matter': {
    door: 'the passive test alone',
    policyRules: withSure({ liveness: 'off' }),
  },
  'a lock-out keeps codes out as well': {
    door: 'spoofs, guesses and whoever has a code',
    step: (state, input, context) =>
      input.kind === 'credential' && state.faces.until !== null && context.now < state.faces.until
        ? { state, effects: [] }
        : step(state, input, context),
  },
  'a spoof in view keeps commands out as well': {
    door: 'spoofs, guesses and whoever has a code',
    step: (state, input, context) =>
      input.kind === 'command' && state.spoofAt !== null
        ? { state, effects: [] }
        : step(state, input, context),
  },
  'codes can be guessed for ever': {
    door: 'spoofs, guesses and whoever has a code',
    policyRules: { ...SECOND_PATHS, guessBackoff: { ...RULES.guessBackoff, failures: 1000 } },
  },
  'a command of an unknown age counts': {
    door: 'commands, where they may and where not',
    step: (state, input, context) =>
      step(state, input.kind === 'command' ? { ...input, fresh: true } : input, context),
  },
  'commands need no authority': {
    door: 'commands, where they may and where not',
    step: (state, input, context) =>
      step(state, input.kind === 'command' ? { ...input, authorised: true } : input, context),
  },
  'commands where they are off': {
    door: 'commands where they are off',
    policyRules: { ...RULES, modes: ['code'], remoteUnlock: true },
  },
  'a right that was taken away still opens': {
    door: 'a right that comes and goes while an unlock is under way',
    step: (state, input, context) => step(state, input, { ...context, access: ACCESS }),
  },
  'a grant is not asked again before the lock is told': {
    door: 'a right that comes and goes while an unlock is under way',
    step: (state, input, context) =>
      step(state, input, input.kind === 'audited' ? { ...context, access: ACCESS } : context),
  },
  'the old rules hold on after a reload': {
    door: 'reloaded from a face alone to a code alone, and back',
    policyRules: RULES,
  },
  'what was seen under other rules counts': {
    door: 'reloaded without liveness, and back',
    step: (state, input, context) => step(state, input.kind === 'forget' ? { kind: 'tick' } : input, context),
  },
  'a grant outlives the rules that it was made by': {
    door: 'reloaded so that commands may not open, and back',
    step: (state, input, context) => {
      const made = step(state, input, context);
      const kept = input.kind === 'forget' ? { ...made.state, pending: state.pending } : made.state;
      return { ...made, state: kept };
    },
  },
};

for (const [name, { door, ...mutation }] of Object.entries(MUTANTS)) {
  test(`the checker notices: ${name}`, () => {
    const original = DOORS[door];
    assert.ok(original !== undefined);
    const { violation } = check({ ...original, ...mutation });
    assert.ok(violation !== null, 'this defect would go unnoticed');
  });
}
