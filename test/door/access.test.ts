import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type AccessPolicy, mayPass, policyMistakes, type TimeWindow } from '../../src/door/access.js';
import { civilTime, dayBefore } from '../../src/door/calendar.js';

const WORKDAYS = [1, 2, 3, 4, 5] as const;

function house(when: 'always' | TimeWindow[], more: Partial<AccessPolicy> = {}): AccessPolicy {
  return {
    zone: 'Europe/Berlin',
    groups: { family: ['anna'], cleaners: ['carl'] },
    holidays: ['12-25', '2026-11-25'],
    guests: [],
    rules: [{ id: 'r', doors: ['front'], groups: ['family'], people: ['ben'], when }],
    ...more,
  };
}

const hours = (from: string, to: string, more: Partial<TimeWindow> = {}): TimeWindow => ({
  days: WORKDAYS,
  from,
  to,
  ...more,
});
const guest = (from: string | undefined, until: string): AccessPolicy['guests'] => [
  { person: 'anna', until: Date.parse(until), ...(from === undefined ? {} : { from: Date.parse(from) }) },
];

/** Tuesday in Berlin is UTC+1 in November; 2026-03-29 and 2026-10-25 are the changes of daylight saving there. */
const TABLE: readonly [
  name: string,
  policy: AccessPolicy,
  at: string,
  expected: string,
  ask?: { person?: string; door?: string; synchronised?: boolean },
][] = [
  ['a group', house('always'), '2026-11-24T12:00Z', 'r'],
  ['a person by id', house('always'), '2026-11-24T12:00Z', 'r', { person: 'ben' }],
  ['somebody of another group', house('always'), '2026-11-24T12:00Z', 'no-rule', { person: 'carl' }],
  ['another door', house('always'), '2026-11-24T12:00Z', 'no-rule', { door: 'garage' }],
  [
    'a name that every object has',
    house('always'),
    '2026-11-24T12:00Z',
    'no-rule',
    { person: 'constructor' },
  ],
  ['before the window', house([hours('07:00', '08:30')]), '2026-11-24T05:59:59Z', 'outside-hours'],
  ['the first second', house([hours('07:00', '08:30')]), '2026-11-24T06:00:00Z', 'r'],
  ['the last second', house([hours('07:00', '08:30')]), '2026-11-24T07:29:59Z', 'r'],
  ['the end itself', house([hours('07:00', '08:30')]), '2026-11-24T07:30:00Z', 'outside-hours'],
  ['a day that is not named', house([hours('07:00', '08:30')]), '2026-11-28T06:30Z', 'outside-hours'],
  ['a holiday once', house([hours('07:00', '08:30')]), '2026-11-25T06:30Z', 'outside-hours'],
  ['a holiday every year', house([hours('07:00', '08:30')]), '2026-12-25T06:30Z', 'outside-hours'],
  ['a window for holidays', house([hours('07:00', '08:30', { onHolidays: true })]), '2026-12-25T06:30Z', 'r'],
  ['always, on a holiday', house('always'), '2026-12-25T06:30Z', 'r'],
  ['over midnight, evening', house([hours('22:00', '06:00')]), '2026-11-27T21:30Z', 'r'],
  ['over midnight, the next morning', house([hours('22:00', '06:00')]), '2026-11-28T04:59Z', 'r'],
  [
    'over midnight, no evening before',
    house([hours('22:00', '06:00')]),
    '2026-11-30T04:59Z',
    'outside-hours',
  ],
  ['over midnight from a holiday', house([hours('22:00', '06:00')]), '2026-11-26T04:00Z', 'outside-hours'],
  ['over midnight into a holiday', house([hours('22:00', '06:00')]), '2026-11-25T04:00Z', 'r'],
  ['until 24:00', house([hours('20:00', '24:00')]), '2026-11-24T22:59Z', 'r'],
  ['after 24:00', house([hours('20:00', '24:00')]), '2026-11-24T23:00Z', 'outside-hours'],
  ['all day', house([hours('00:00', '24:00')]), '2026-11-24T22:59Z', 'r'],
  // Daylight saving: 01:00 UTC on 29 March the Berlin clock goes from 2:00 to 3:00, on 25 October from 3:00 to 2:00.
  ['spring, before the gap', house([{ days: [7], from: '01:30', to: '03:15' }]), '2026-03-29T00:59Z', 'r'],
  ['spring, after the gap', house([{ days: [7], from: '01:30', to: '03:15' }]), '2026-03-29T01:14Z', 'r'],
  [
    'spring, past the end',
    house([{ days: [7], from: '01:30', to: '03:15' }]),
    '2026-03-29T01:15Z',
    'outside-hours',
  ],
  [
    'spring, a window in the gap',
    house([{ days: [7], from: '02:15', to: '02:45' }]),
    '2026-03-29T01:30Z',
    'outside-hours',
  ],
  ['autumn, first 2:30', house([{ days: [7], from: '02:15', to: '02:45' }]), '2026-10-25T00:30Z', 'r'],
  [
    'autumn, between',
    house([{ days: [7], from: '02:15', to: '02:45' }]),
    '2026-10-25T00:50Z',
    'outside-hours',
  ],
  ['autumn, second 2:30', house([{ days: [7], from: '02:15', to: '02:45' }]), '2026-10-25T01:30Z', 'r'],
  ['summer: the same hour is UTC+2', house([hours('07:00', '08:30')]), '2026-07-07T05:30Z', 'r'],
  // Guests
  [
    'a guest in time',
    house('always', { guests: guest(undefined, '2026-11-24T18:00Z') }),
    '2026-11-24T17:59Z',
    'r',
  ],
  [
    'a guest past the end',
    house('always', { guests: guest(undefined, '2026-11-24T18:00Z') }),
    '2026-11-24T18:00Z',
    'ended',
  ],
  [
    'a guest too early',
    house('always', { guests: guest('2026-11-24T12:00Z', '2026-11-24T18:00Z') }),
    '2026-11-24T11:59Z',
    'not-yet',
  ],
  [
    'a guest outside the hours',
    house([hours('07:00', '08:30')], { guests: guest(undefined, '2026-11-24T18:00Z') }),
    '2026-11-24T12:00Z',
    'outside-hours',
  ],
  [
    'a guest without a rule',
    house('always', { guests: guest(undefined, '2026-11-24T18:00Z'), rules: [] }),
    '2026-11-24T12:00Z',
    'no-rule',
  ],
  // A clock that is not to be believed
  ['unsynchronised, always', house('always'), '2026-11-24T12:00Z', 'r', { synchronised: false }],
  [
    'unsynchronised, window',
    house([hours('07:00', '08:30')]),
    '2026-11-24T07:00Z',
    'clock-unsynchronised',
    { synchronised: false },
  ],
  [
    'unsynchronised, guest',
    house('always', { guests: guest(undefined, '2026-11-24T18:00Z') }),
    '2026-11-24T12:00Z',
    'clock-unsynchronised',
    { synchronised: false },
  ],
];

for (const [name, policy, at, expected, ask] of TABLE) {
  test(`may pass: ${name}`, () => {
    const answer = mayPass(policy, {
      person: 'anna',
      door: 'front',
      synchronised: true,
      ...ask,
      wallMs: Date.parse(at),
    });
    assert.equal(answer.allowed ? answer.rule : answer.reason, expected);
  });
}

test('the wall clock of a zone', () => {
  assert.deepEqual(civilTime(Date.parse('2026-11-24T23:30Z'), 'Europe/Berlin'), {
    date: '2026-11-25',
    weekday: 3,
    minute: 30,
  });
  assert.deepEqual(civilTime(Date.parse('2026-01-01T00:15Z'), 'America/St_Johns'), {
    date: '2025-12-31',
    weekday: 3,
    minute: 20 * 60 + 45,
  });
  // Samoa has no 30 December 2011: the day before the 31st is the 30th on the calendar all the same.
  const samoa = civilTime(Date.parse('2011-12-30T12:00Z'), 'Pacific/Apia');
  assert.equal(samoa.date, '2011-12-31');
  assert.equal(dayBefore(samoa).date, '2011-12-30');
});

test('all mistakes of a policy are said at once, with their path', () => {
  const wrong = policyMistakes({
    zone: 'Europe/Atlantis',
    groups: {},
    holidays: ['02-30', '2026-02-29', '02-29'],
    guests: [{ person: 'anna', from: 2, until: 1 }],
    rules: [{ id: 'r', doors: 'all', groups: ['nobody'], when: [{ days: [], from: '7', to: '24:01' }] }],
  });
  assert.deepEqual(
    wrong.map((line) => line.split(':')[0]),
    [
      'zone',
      'holidays[0]',
      'holidays[1]',
      'guests[0]',
      'rules[0].groups',
      'rules[0].when[0].from',
      'rules[0].when[0].to',
      'rules[0].when[0].days',
    ],
  );
  assert.deepEqual(policyMistakes(house([hours('22:00', '06:00')])), []);
});
