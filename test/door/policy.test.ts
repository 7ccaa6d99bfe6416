import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { DoorEffect, DoorInput } from '../../src/door/policy-types.js';
import type { DoorRules } from '../../src/door/rules.js';
import { inWords, lookAt, RULES, TestDoor } from './test-door.js';

const GRANTED = (path: string, person = 'anna') => [
  `audit grant ${path} ${person}`,
  'UNLOCK',
  'granted',
  'audit unlocked',
];
const DENIED = (reason: string) => ['audit denied', `denied ${reason}`];

test('a sure face opens, once', () => {
  const door = new TestDoor();
  assert.deepEqual(door.face(), GRANTED('face'));
  assert.deepEqual(door.face(), [], 'the cool-down: whoever stands there does not pulse the lock');
  door.pass(10_000);
  assert.deepEqual(door.face(), GRANTED('face'));
});

/** mode, claim, what happens, what comes of it */
const MODES: readonly [name: string, rules: Partial<DoorRules>, (door: TestDoor) => string[], string[]][] = [
  ['face: a code alone', { modes: ['face'] }, (door) => door.code('anna'), DENIED('not-accepted-here')],
  ['code: a code', { modes: ['code'] }, (door) => door.code('anna'), GRANTED('code')],
  ['code: a badge', { modes: ['code'] }, (door) => door.code('anna', 'wiegand', 'badge'), GRANTED('badge')],
  ['code: a face', { modes: ['code'] }, (door) => door.face(), []],
  [
    'code: somebody else’s source',
    { modes: ['code'] },
    (door) => door.code('anna', 'mqtt'),
    DENIED('untrusted-source'),
  ],
  ['code: nobody’s', { modes: ['code'] }, (door) => door.code(null), DENIED('wrong-secret')],
  ['code: nobody in the policy', { modes: ['code'] }, (door) => door.code('zoe'), DENIED('no-rule')],
  ['face+code: a face', { modes: ['face+code'] }, (door) => door.face(), ['code-wanted']],
  ['face+code: a code', { modes: ['face+code'] }, (door) => door.code('anna'), []],
  [
    'face+code: face, then code',
    { modes: ['face+code'] },
    (door) => [...door.face(), ...door.code('anna')],
    ['code-wanted', ...GRANTED('face+code')],
  ],
  [
    'face+code: code, then face',
    { modes: ['face+code'] },
    (door) => [...door.code('anna'), ...door.face()],
    GRANTED('face+code'),
  ],
  [
    'face+code: face, then code too late',
    { modes: ['face+code'] },
    (door) => [...door.face(), ...door.pass(10_001).code('anna')],
    ['code-wanted'],
  ],
  [
    'face+code: another person’s code',
    { modes: ['face+code'] },
    (door) => [...door.face(), ...door.code('ben')],
    ['code-wanted'],
  ],
  [
    'face+code: another person’s code, then theirs',
    { modes: ['face+code'] },
    (door) => [...door.face(), ...door.code('ben'), ...door.code('anna')],
    ['code-wanted', ...DENIED('no-look'), ...GRANTED('face+code')],
  ],
  [
    'face+code or code: a code',
    { modes: ['face+code', 'code'] },
    (door) => door.code('anna'),
    GRANTED('code'),
  ],
  ['face or face+code: a face', { modes: ['face', 'face+code'] }, (door) => door.face(), GRANTED('face')],
  [
    'claim: one to one',
    { modes: ['face+code'], claim: true },
    (door) => [
      ...door.code('anna'),
      ...door.face({ kind: 'unknown', person: null, claim: { person: 'anna', similarity: 0.5 } }),
    ],
    GRANTED('face+code'),
  ],
  [
    'claim: twins',
    { modes: ['face+code'], claim: true },
    (door) => [
      ...door.code('anna'),
      ...door.face({ kind: 'ambiguous', person: null, claim: { person: 'anna', similarity: 0.6 } }),
    ],
    GRANTED('face+code'),
  ],
  [
    'claim: not alike',
    { modes: ['face+code'], claim: true },
    (door) => [
      ...door.code('anna'),
      ...door.face({ kind: 'unknown', person: null, claim: { person: 'anna', similarity: 0.3 } }),
    ],
    DENIED('unknown'),
  ],
  [
    'no way at all',
    { modes: [] },
    (door) => [...door.face(), ...door.code('anna')],
    DENIED('not-accepted-here'),
  ],
];

for (const [name, rules, happens, expected] of MODES) {
  test(`mode ${name}`, () => {
    const said = happens(new TestDoor(rules)).filter((text) => text !== 'face-wanted');
    assert.deepEqual(said, expected);
  });
}

test('whoever shows a valid code first is told that the face is waited for', () => {
  const door = new TestDoor({ modes: ['face+code'] });
  assert.deepEqual(door.code('anna'), ['face-wanted']);
  assert.ok(!door.face().includes('face-wanted'));
});

test('a camera that is not trusted neither opens nor locks out', () => {
  const door = new TestDoor();
  assert.deepEqual(door.face({}, { camera: 'garden' }), []);
  for (let one = 0; one < 20; one++) door.live('not-live', { camera: 'garden', track: `s${one}` });
  assert.deepEqual(door.face(), GRANTED('face'));
});

test('one known face and one spoof in a frame: the spoof closes the face path for everybody', () => {
  const door = new TestDoor();
  door.live('not-live', { track: 'photo' });
  assert.deepEqual(door.face(), DENIED('spoof-in-view'));
  door.pass(3000);
  assert.deepEqual(door.face(), GRANTED('face'));
});

test('a photograph that is taken away leaves its mark on the track', () => {
  const door = new TestDoor();
  door.live('not-live');
  door.pass(4000);
  assert.ok(!door.face().includes('UNLOCK'));
  assert.deepEqual(door.face({}, { track: 'afresh' }), GRANTED('face'));
});

test('twins are ambiguous and do not open', () => {
  const door = new TestDoor();
  assert.deepEqual(door.face({ kind: 'ambiguous', person: null }), DENIED('ambiguous'));
});

test('five spoofs close the face path for 30 s, five more for 60; code, badge and command still open', () => {
  const door = new TestDoor({ modes: ['face', 'code'], remoteUnlock: true });
  let shown = 0;
  const spoofs = (count: number) =>
    Array.from({ length: count }, () => door.live('not-live', { track: `s${shown++}` })).flat();
  assert.ok(!spoofs(4).includes('locked-out locked-out'));
  assert.ok(spoofs(1).includes('locked-out locked-out'));
  door.pass(4000);
  assert.deepEqual(door.face(), DENIED('locked-out'));
  assert.deepEqual(door.code('anna'), GRANTED('code'));
  assert.deepEqual(door.code('ben', 'wiegand', 'badge'), GRANTED('badge', 'ben'));
  door.pass(10_000);
  const command = {
    kind: 'command',
    request: 'c',
    actor: 'http:admin',
    authorised: true,
    fresh: true,
  } as const;
  assert.deepEqual(door.run(command), GRANTED('command', 'null'));
  door.pass(15_701);
  assert.deepEqual(door.face(), GRANTED('face'));
  spoofs(5);
  door.pass(29_000).live('not-live', { track: 'again' });
  assert.deepEqual(door.pass(3000).face(), GRANTED('face'), 'a success forgave, so it began with 30 s again');
  spoofs(10);
  door.pass(50_000);
  assert.deepEqual(door.face({}, { track: 'u' }), DENIED('locked-out'));
});

test('one spoof that is held up for long counts once', () => {
  const door = new TestDoor();
  for (let one = 0; one < 100; one++) door.pass(100).live('not-live');
  assert.equal(door.state.faces.failures, 1);
});

test('a claim that a face contradicts is a failure; one that nobody comes for is not', () => {
  const door = new TestDoor({ modes: ['face+code'] });
  door.code('anna');
  assert.deepEqual(door.pass(10_001).run({ kind: 'tick' }), DENIED('no-look'));
  assert.equal(door.state.faces.failures, 0);
  door.code('anna');
  door.face({ person: 'ben' });
  assert.deepEqual(door.pass(10_001).run({ kind: 'tick' }), DENIED('claim-failed'));
  assert.equal(door.state.faces.failures, 1);
});

test('guessing a code closes the keypad and nothing else', () => {
  const door = new TestDoor({ modes: ['face', 'code'] });
  for (let one = 0; one < 5; one++) door.code(null);
  assert.deepEqual(door.code('anna'), DENIED('too-many-guesses'));
  assert.deepEqual(door.code('anna', 'wiegand', 'badge'), GRANTED('badge'));
  assert.deepEqual(door.pass(10_000).code('anna'), GRANTED('code'));
});

test('a clock that is not synchronised opens nothing by schedule, and all that is always allowed', () => {
  const door = new TestDoor({ modes: ['face', 'code'] });
  assert.deepEqual(door.code('carl'), GRANTED('code', 'carl'));
  door.synchronised = false;
  assert.deepEqual(door.pass(20_000).code('carl'), DENIED('clock-unsynchronised'));
  assert.deepEqual(door.face({ person: 'carl' }), DENIED('clock-unsynchronised'));
  assert.deepEqual(door.face({}, { track: 'anna' }), GRANTED('face'));
});

test('a wall clock that jumps moves no evidence and no lock-out: they go by the monotonic one', () => {
  const door = new TestDoor();
  for (let one = 0; one < 5; one++) door.live('not-live', { track: `s${one}` });
  door.pass(4000).wallMs += 7 * 86_400_000;
  assert.deepEqual(door.face(), DENIED('locked-out'));
  const again = new TestDoor();
  again.face({ quality: 0.1 });
  again.wallMs -= 86_400_000;
  assert.deepEqual(again.face(), GRANTED('face'));
});

test('a person who is removed while in view is nobody, in the middle of a grant as well', () => {
  const door = new TestDoor();
  door.live();
  for (const _ of [1, 2]) door.pass(100).look();
  door.run({ kind: 'personRemoved', person: 'anna' });
  assert.deepEqual(door.pass(100).look(), []);

  const late = new TestDoor();
  late.live();
  for (const _ of [1, 2]) late.pass(100).look();
  const grant = late.pass(100).put({
    kind: 'looked',
    camera: 'porch',
    track: 't',
    look: lookAt(late.now),
  });
  assert.equal(grant[0]?.kind, 'auditGrant');
  assert.deepEqual(late.run({ kind: 'personRemoved', person: 'anna' }), DENIED('no-rule'));
  const id = grant[0]?.kind === 'auditGrant' ? grant[0].grant.id : '';
  assert.deepEqual(late.run({ kind: 'audited', grant: id, ok: true }), []);
});

test('what cannot be written down does not open; what was written down too late neither', () => {
  const door = new TestDoor({ modes: ['code'] });
  const input = {
    kind: 'credential',
    request: 'q',
    source: 'wiegand',
    method: 'code',
    person: 'anna',
  } as const;
  assert.deepEqual(door.run(input, false), ['audit grant code anna', ...DENIED('audit-failed')]);
  const [effect] = door.put(input);
  const grant = effect?.kind === 'auditGrant' ? effect.grant.id : '';
  assert.deepEqual(door.pass(2001).run({ kind: 'audited', grant, ok: true }), DENIED('grant-expired'));
});

test('a face that stands there while nothing can be written down: each try is counted, it is told once', () => {
  const door = new TestDoor();
  door.live();
  const look = () => {
    door.pass(100);
    const input = { kind: 'looked', camera: 'porch', track: 't', look: lookAt(door.now) } as const;
    return door.run(input, false);
  };
  const said = [1, 2, 3, 4, 5].flatMap(look);
  assert.deepEqual(said, [
    'audit grant face anna',
    ...DENIED('audit-failed'),
    ...['audit grant face anna', 'audit denied', 'audit grant face anna', 'audit denied'],
  ]);
});

test('a lock that fails long after it was told: that is said, and the next person was not kept out meanwhile', () => {
  const door = new TestDoor({ modes: ['code'] });
  const code = (request: string) =>
    door.put({ kind: 'credential', request, source: 'wiegand', method: 'code', person: 'anna' });
  const [asked] = code('first');
  assert.equal(asked?.kind, 'auditGrant');
  const { grant } = asked as Extract<DoorEffect, { kind: 'auditGrant' }>;
  assert.ok(door.put({ kind: 'audited', grant: grant.id, ok: true }).some(({ kind }) => kind === 'unlock'));
  door.pass(door.rules.grantMs + 1);
  assert.deepEqual(code('second').map(inWords), ['audit grant code anna']);
  const late = door.put({ kind: 'lockAnswered', grant, ok: false, code: 'door.lock-silent' });
  assert.deepEqual(late.map(inWords), ['audit unlock-failed', 'unlock-failed']);
  assert.equal(late[1]?.kind === 'tell' && late[1].request, 'first');
  assert.notEqual(door.state.pending, null, 'the second goes on');
});

test('a spoof that appears between decision and lock stops it', () => {
  const door = new TestDoor();
  door.live();
  const looked = (): DoorInput => ({
    kind: 'looked',
    camera: 'porch',
    track: 't',
    look: {
      at: door.now,
      kind: 'known',
      person: 'anna',
      similarity: 0.7,
      runnerUp: 0.2,
      quality: 0.8,
      passive: 0.9,
    },
  });
  for (const _ of [1, 2]) door.pass(100).put(looked());
  const [effect] = door.pass(100).put(looked());
  const grant = effect?.kind === 'auditGrant' ? effect.grant.id : '';
  door.live('not-live', { track: 'photo' });
  assert.deepEqual(door.run({ kind: 'audited', grant, ok: true }), DENIED('spoof-in-view'));
});

test('commands open only with authority, where they may, and once', () => {
  const command = (authorised: boolean) =>
    ({ kind: 'command', request: 'c', actor: 'mqtt', authorised, fresh: true }) as const;
  assert.deepEqual(new TestDoor().run(command(true)), DENIED('remote-unlock-off'));
  const door = new TestDoor({ remoteUnlock: true });
  assert.deepEqual(door.run(command(false)), DENIED('not-authorised'));
  assert.deepEqual(door.run(command(true)), GRANTED('command', 'null'));
  const flood = Array.from({ length: 1000 }, () => door.run(command(true))).flat();
  assert.ok(!flood.includes('UNLOCK'));
  assert.equal(flood.filter((text) => text === 'denied busy').length, 1000, 'each is answered');
  assert.equal(flood.filter((text) => text === 'audit denied').length, 1000, 'and none is lost');
  const old = { ...command(true), fresh: false };
  assert.deepEqual(door.pass(20_000).run(old), DENIED('clock-unsynchronised'));
});

test('a code that is shown again and again does not hide that another face stands there', () => {
  const door = new TestDoor({ modes: ['face+code'] });
  for (const round of [1, 2, 3, 4]) {
    door.code('anna');
    door.face({ person: 'ben' });
    assert.deepEqual(door.code('anna'), [...DENIED('claim-failed'), 'face-wanted']);
    assert.equal(door.state.faces.failures, round);
    door.state = { ...door.state, claim: null };
    door.pass(20_000);
  }
  door.code('anna');
  door.face({ person: 'ben' });
  assert.ok(door.code('anna').includes('locked-out locked-out'));
});

test('what was flat stays flat when rules are read again and when somebody is removed', () => {
  for (const input of [{ kind: 'forget' }, { kind: 'personRemoved', person: 'anna' }] as const) {
    const door = new TestDoor({ modes: ['face'], sure: { ...RULES.sure, liveness: 'off' } });
    door.look();
    door.live('not-live');
    door.run(input);
    door.pass(4000);
    assert.ok(!door.face().includes('UNLOCK'), input.kind);
    assert.deepEqual(door.face({}, { track: 'afresh' }), GRANTED('face'));
  }
});

test('a stranger who stands there is refused once', () => {
  const door = new TestDoor();
  const said = Array.from({ length: 50 }, () =>
    door.pass(100).look({ kind: 'unknown', person: null }),
  ).flat();
  assert.deepEqual(said, DENIED('unknown'));
});

test('a crowd does not make the state grow', () => {
  const door = new TestDoor();
  for (let one = 0; one < 500; one++)
    door.pass(1).look({ kind: 'unknown', person: null }, { track: `t${one % 40}` });
  assert.equal(door.state.tracks.length, 16);
  for (let one = 0; one < 500; one++) door.pass(1).look();
  assert.ok(door.state.tracks.every(({ looks }) => looks.length <= 32));
});

test('a restart of vision forgets what was seen', () => {
  const door = new TestDoor();
  door.live();
  for (const _ of [1, 2]) door.pass(100).look();
  door.run({ kind: 'forget' });
  assert.deepEqual(door.pass(100).look(), []);
});
