/**
 * Every combination that matters of what a door asks, who stands there, what is shown, who may pass, what the clock says
 * and what happened before: which of them open, by which way. What is expected is told by `opens`, from the requirement.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { AccessPolicy, AccessRule, TimeWindow } from '../../src/door/access.js';
import type { DoorMode } from '../../src/door/rules.js';
import { RULES, TestDoor } from './test-door.js';

const MODES: readonly (readonly DoorMode[])[] = [
  ['face'],
  ['face+code'],
  ['code'],
  ['face', 'face+code'],
  ['face', 'code'],
  ['face+code', 'code'],
  ['face', 'face+code', 'code'],
];

/** Who stands there. `sure`: whom the door may take for sure; `like`: whom a comparison with one person confirms. */
const FACES = {
  nobody: { sure: null, like: null },
  anna: { sure: 'anna', like: 'anna' },
  'anna, two looks': { sure: null, like: null },
  'anna, not yet alive': { sure: null, like: null },
  'anna, a picture of her': { sure: null, like: null },
  'anna beside a picture': { sure: null, like: null },
  'anna, blurred': { sure: null, like: null },
  'anna, before a camera that is not trusted': { sure: null, like: null },
  'her twin, too near to tell': { sure: null, like: 'anna' },
  'ben, who has no right': { sure: 'ben', like: 'ben' },
  'a stranger': { sure: null, like: null },
} as const;
type Face = keyof typeof FACES;

/** What is shown: whose code it is, and whether it counts. */
const CODES = {
  nothing: null,
  'anna’s': 'anna',
  'carl’s': 'carl',
  'ben’s, who has no right': null,
  'nobody’s': null,
  'anna’s, from elsewhere': null,
} as const;
type Code = keyof typeof CODES;

/** Anna’s right; Carl may always pass, Ben never. */
const RIGHTS = {
  always: true,
  'in her hours': true,
  'outside her hours': false,
  'in her hours, by a clock that nobody set': false,
  'a guest whose time is over': false,
  none: false,
} as const;
type Right = keyof typeof RIGHTS;

const ORDERS = ['face first', 'code first'] as const;
const BEFORE = ['nothing', 'five pictures', 'an unlock'] as const;

interface Case {
  readonly modes: readonly DoorMode[];
  readonly claim: boolean;
  readonly face: Face;
  readonly code: Code;
  readonly right: Right;
  readonly order: (typeof ORDERS)[number];
  readonly before: (typeof BEFORE)[number];
}

function* cases(): Generator<Case> {
  for (const modes of MODES)
    for (const claim of [false, true])
      for (const face of Object.keys(FACES) as Face[])
        for (const code of Object.keys(CODES) as Code[])
          for (const right of Object.keys(RIGHTS) as Right[])
            for (const order of ORDERS)
              for (const before of BEFORE) yield { modes, claim, face, code, right, order, before };
}

/** Which ways open, in their order. */
function opens({ modes, claim, face, code, right, order, before }: Case): string[] {
  const who = CODES[code];
  const { sure, like } = FACES[face];
  const may = (person: string | null) => person === 'carl' || (person === 'anna' && RIGHTS[right]);
  const facesOpen = before === 'nothing';
  const codeCounts = who !== null && may(who);
  // A code alone opens whatever became of the faces; nothing waits for a face then.
  const byCode = codeCounts && modes.includes('code') ? [`code ${who}`] : [];
  const byFace = facesOpen && may(sure) && modes.includes('face') ? [`face ${sure}`] : [];
  if (modes.includes('code')) {
    // After an unlock no face opens for a while, but a code does.
    if (order === 'code first') return byCode.length > 0 ? byCode : byFace;
    return [...byFace, ...byCode];
  }
  if (order === 'face first' && byFace.length > 0) return byFace;
  // Compared with one person is only what comes after that person's code.
  const oneToOne = claim && order === 'code first' && like === who;
  const both = modes.includes('face+code') && facesOpen && codeCounts && (sure === who || oneToOne);
  return both ? [`face+code ${who}`] : byFace;
}

function access(right: Right): AccessPolicy {
  const [from, to] =
    right === 'outside her hours' ? (['20:00', '21:00'] as const) : (['00:00', '24:00'] as const);
  const hours: TimeWindow[] = [{ days: [1, 2, 3, 4, 5, 6, 7], from, to }];
  const when: AccessRule['when'] = right === 'always' || right.startsWith('a guest') ? 'always' : hours;
  return {
    zone: 'UTC',
    groups: { family: ['anna'] },
    holidays: [],
    guests: right.startsWith('a guest') ? [{ person: 'anna', until: Date.parse('2026-11-24T06:00Z') }] : [],
    rules: [
      { id: 'carl', doors: ['front'], people: ['carl'], when: 'always' },
      ...(right === 'none' ? [] : [{ id: 'anna', doors: 'all' as const, groups: ['family'], when }]),
    ],
  };
}

function showFace(door: TestDoor, face: Face, { claim }: Case): string[] {
  // The shell compares with one person only while that person's code waits.
  const claimed = claim ? (door.state.claim?.person ?? null) : null;
  const like = FACES[face].like;
  const compared =
    claimed === null ? {} : { claim: { person: claimed, similarity: claimed === like ? 0.7 : 0.2 } };
  switch (face) {
    case 'nobody':
      return [];
    case 'anna':
      return door.face(compared);
    case 'anna, two looks':
      return [...door.live(), ...door.pass(100).look(), ...door.pass(100).look()];
    case 'anna, not yet alive':
      return [1, 2, 3].flatMap(() => door.pass(100).look(compared));
    case 'anna, a picture of her':
      return [...door.live('not-live'), ...[1, 2, 3].flatMap(() => door.pass(100).look(compared))];
    case 'anna beside a picture':
      return [...door.live('not-live', { track: 'picture' }), ...door.face(compared)];
    case 'anna, blurred':
      return door.face({ ...compared, quality: 0.2 });
    case 'anna, before a camera that is not trusted':
      return door.face(compared, { camera: 'garden' });
    case 'her twin, too near to tell':
      return door.face({ ...compared, kind: 'ambiguous', person: null });
    case 'ben, who has no right':
      return door.face({ ...compared, person: 'ben' });
    case 'a stranger':
      return door.face({ ...compared, kind: 'unknown', person: null, similarity: 0.1 });
  }
}

function showCode(door: TestDoor, code: Code): string[] {
  switch (code) {
    case 'nothing':
      return [];
    case 'anna’s':
      return door.code('anna');
    case 'carl’s':
      return door.code('carl');
    case 'ben’s, who has no right':
      return door.code('ben');
    case 'nobody’s':
      return door.code(null);
    case 'anna’s, from elsewhere':
      return door.code('anna', 'internet');
  }
}

function happens(one: Case): string[] {
  const door = new TestDoor({ ...RULES, modes: one.modes, claim: one.claim });
  door.access = access(one.right);
  door.synchronised = one.right !== 'in her hours, by a clock that nobody set';
  if (one.before === 'five pictures') {
    for (const track of ['1', '2', '3', '4', '5']) door.live('not-live', { track });
    door.pass(5000);
  }
  if (one.before === 'an unlock') door.state = { ...door.state, coolUntil: door.now + 10_000 };
  const face = () => showFace(door, one.face, one);
  const code = () => showCode(door, one.code);
  const said = one.order === 'face first' ? [...face(), ...code()] : [...code(), ...face()];
  // What is granted is what the lock is told.
  const granted = said.flatMap((text) => /^audit grant (.*)$/.exec(text)?.[1] ?? []);
  assert.equal(said.filter((text) => text === 'UNLOCK').length, granted.length);
  return granted;
}

test('every combination of modes, claim, face, code, right, order and what happened before', (t) => {
  let [count, opened] = [0, 0];
  for (const one of cases()) {
    const expected = opens(one);
    assert.deepEqual(happens(one), expected, JSON.stringify(one));
    count++;
    opened += expected.length > 0 ? 1 : 0;
  }
  t.diagnostic(`${count} combinations, ${opened} of them open`);
  assert.ok(opened > 500, 'a door that never opens shows nothing');
});
