import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fail, isClosed, NO_BACKOFF, settle } from '../../src/door/backoff.js';
import { canBeTrusted, isTrustedByDefault } from '../../src/door/rules.js';
import {
  DEFAULT_SURE,
  judgeTrack,
  type Look,
  type SureRules,
  type TrackEvidence,
} from '../../src/door/sure.js';
import { lookAt } from './test-door.js';

const NOW = 100_000;
const RULES: SureRules = { ...DEFAULT_SURE, minSimilarity: 0.45 };

function look(ago: number, more: Partial<Look> = {}): Look {
  return lookAt(NOW - ago, more);
}

const three = (more: Partial<Look> = {}): Look[] => [look(500, more), look(300, more), look(100, more)];
const alive = { active: 'live', activeAt: NOW - 200 } as const;

/** Each row: what was seen, what the door asks for, and the answer: a person, or why not. */
const TABLE: readonly [
  name: string,
  looks: Look[],
  expected: string,
  more?: { rules?: Partial<SureRules>; evidence?: Partial<TrackEvidence>; claimed?: string },
][] = [
  ['three agreeing looks', three(), 'anna'],
  ['nothing', [], 'no-look'],
  ['two looks', three().slice(1), 'too-few-looks'],
  ['three looks in one moment', [look(102), look(101), look(100)], 'too-short'],
  ['the newest is too old', [look(1800), look(1600), look(1400)], 'stale'],
  ['all are too old', [look(9000), look(8000), look(7000)], 'stale'],
  ['looks from the future', [look(-10), look(-20), look(-500)], 'stale'],
  ['too far apart', [look(2900), look(200), look(100)], 'anna'],
  ['one of three has left the window', [look(3100), look(200), look(100)], 'too-few-looks'],
  ['unknown', three({ kind: 'unknown', person: null }), 'unknown'],
  ['ambiguous', three({ kind: 'ambiguous', person: null }), 'ambiguous'],
  ['a spoof', three({ kind: 'spoof', person: null }), 'spoof'],
  ['a spoof just now', [look(600, { kind: 'spoof' }), ...three()], 'spoof'],
  ['a spoof long ago', [look(5000, { kind: 'spoof' }), ...three()], 'anna'],
  ['known without a person', three({ person: null }), 'unknown'],
  ['known without a similarity', three({ similarity: null }), 'unknown'],
  ['under the door’s own threshold', three({ similarity: 0.449 }), 'unknown'],
  ['at the door’s own threshold', three({ similarity: 0.45 }), 'anna'],
  ['too near to the next person', three({ runnerUp: 0.61 }), 'margin'],
  ['at the margin', three({ similarity: 0.75, runnerUp: 0.65 }), 'anna', { rules: { margin: 0.0999 } }],
  ['nobody else in the gallery', three({ runnerUp: null }), 'anna'],
  ['somebody else among the looks', [look(700, { person: 'ben' }), ...three()], 'disagree'],
  [
    'unknown in between begins again',
    [look(500), look(300, { kind: 'unknown' }), look(100)],
    'too-few-looks',
  ],
  ['unknown before, then three', [look(700, { kind: 'unknown' }), ...three()], 'anna'],
  ['the last is unknown', [...three(), look(50, { kind: 'unknown' })], 'unknown'],
  [
    'a poor look in between says nothing',
    [look(500), look(400, { kind: 'poor' }), look(300), look(100)],
    'anna',
  ],
  ['poor looks do not count', [look(500), look(300), look(100, { quality: 0.39 })], 'too-few-looks'],
  ['only poor looks', three({ kind: 'poor' }), 'poor'],
  [
    'the good ones are old, a poor one is new',
    [look(2000), look(1800), look(1500), look(100, { kind: 'poor' })],
    'stale',
  ],
  ['liveness: nothing yet', three(), 'liveness-pending', { evidence: { active: 'pending', activeAt: null } }],
  ['liveness: flat', three(), 'not-live', { evidence: { active: 'not-live' } }],
  [
    'liveness: flat, though only passive is asked',
    three(),
    'not-live',
    { evidence: { active: 'not-live' }, rules: { liveness: 'passive' } },
  ],
  ['liveness: too long ago', three(), 'liveness-pending', { evidence: { activeAt: NOW - 5001 } }],
  ['liveness: in the future', three(), 'liveness-pending', { evidence: { activeAt: NOW + 1 } }],
  [
    'liveness: switched off elsewhere, asked for here',
    three(),
    'liveness-pending',
    { evidence: { active: 'off', activeAt: null } },
  ],
  [
    'liveness: not asked for',
    three({ passive: null }),
    'anna',
    { evidence: { active: 'off', activeAt: null }, rules: { liveness: 'off' } },
  ],
  ['passive: low', three({ passive: 0.3 }), 'not-live'],
  ['passive: the mean counts', [look(500, { passive: 0.3 }), look(300), look(100)], 'anna'],
  ['passive: not measured', three({ passive: null }), 'liveness-pending'],
  ['passive: one not measured', [look(500, { passive: null }), look(300), look(100)], 'liveness-pending'],
  ['passive: NaN', three({ passive: Number.NaN }), 'not-live'],
  [
    'passive only, active pending',
    three(),
    'anna',
    { evidence: { active: 'pending' }, rules: { liveness: 'passive' } },
  ],
  ['active only, passive low', three({ passive: 0.1 }), 'anna', { rules: { liveness: 'active' } }],
  [
    'claim: one to one',
    three({ kind: 'unknown', person: null, claim: { person: 'anna', similarity: 0.46 } }),
    'anna',
    { claimed: 'anna' },
  ],
  [
    'claim: not alike',
    three({ claim: { person: 'anna', similarity: 0.44 } }),
    'unknown',
    { claimed: 'anna' },
  ],
  [
    'claim: compared with somebody else',
    three({ claim: { person: 'ben', similarity: 0.9 } }),
    'too-few-looks',
    { claimed: 'anna' },
  ],
  ['claim: not compared', three(), 'too-few-looks', { claimed: 'anna' }],
  [
    'claim: a spoof',
    three({ kind: 'spoof', claim: { person: 'anna', similarity: 0.9 } }),
    'spoof',
    { claimed: 'anna' },
  ],
];

for (const [name, looks, expected, more] of TABLE) {
  test(`sure: ${name}`, () => {
    const evidence: TrackEvidence = { track: 't', looks, ...alive, ...more?.evidence };
    const rules = { ...RULES, ...more?.rules };
    const answer = judgeTrack(evidence, { rules, now: NOW, claimed: more?.claimed ?? null });
    assert.equal(answer.sure ? answer.person : answer.reason, expected);
  });
}

test('a path closes after some failures, longer each time, and forgets', () => {
  const rules = { failures: 5, firstMs: 30_000, longestMs: 100_000, forgetMs: 600_000 };
  let state = NO_BACKOFF;
  const failures = (count: number, now: number) => {
    for (let one = 0; one < count; one++) state = fail(state, rules, now);
  };
  failures(4, 0);
  assert.equal(isClosed(state, 0), false);
  failures(1, 0);
  assert.equal(isClosed(state, 29_999), true);
  assert.equal(isClosed(state, 30_000), false);
  failures(5, 30_000);
  assert.equal(isClosed(state, 89_999), true);
  assert.equal(isClosed(state, 90_000), false);
  failures(5, 90_000);
  assert.equal(state.until, 190_000, 'not longer than the longest');
  failures(5, 100_000);
  assert.equal(state.until, 200_000, 'what goes on while it is closed counts as well');
  assert.deepEqual(settle(state, rules, 700_000), NO_BACKOFF);
  assert.notDeepEqual(settle(state, rules, 699_999), NO_BACKOFF);
});

test('a hundred thousand failures do not make the numbers grow', () => {
  const rules = { failures: 1, firstMs: 30_000, longestMs: 3_600_000, forgetMs: 600_000 };
  let state = NO_BACKOFF;
  for (let one = 0; one < 100_000; one++) state = fail(state, rules, one);
  assert.deepEqual(state, { failures: 0, rounds: 30, lastAt: 99_999, until: 99_999 + 3_600_000 });
});

test('only a wired camera is trusted by itself, and pictures never are', () => {
  const rows: [string, boolean, boolean][] = [
    ['v4l2:/dev/video0', true, true],
    ['csi:0', true, true],
    ['rtsp://camera/1', false, true],
    ['gstreamer:videotestsrc', false, true],
    ['file:clip.mp4', false, false],
    ['images:dir', false, false],
    ['demo', false, false],
  ];
  for (const [uri, byDefault, ever] of rows) {
    assert.deepEqual([isTrustedByDefault(uri), canBeTrusted(uri)], [byDefault, ever], uri);
  }
});
