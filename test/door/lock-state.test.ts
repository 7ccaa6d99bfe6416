import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  DEFAULT_LOCK_STATE,
  isForced,
  type LockView,
  lockStateOf,
  NEW_LOCK_VIEW,
} from '../../src/door/lock-state.js';

const NOW = 1_000_000;
const TABLE: readonly [name: string, view: Partial<LockView>, expected: string][] = [
  ['nothing known', {}, 'locked'],
  ['in a pulse, a lock that never speaks', { pulseUntil: NOW + 1 }, 'unlocked'],
  ['at the end of it', { pulseUntil: NOW }, 'locked'],
  ['in a pulse, and it says so', { pulseUntil: NOW + 1, said: 'unlocked' }, 'unlocked'],
  ['still moving open', { pulseUntil: NOW + 1, said: 'locked', changedAt: NOW - 2000 }, 'locked'],
  ['asked to open, did not', { pulseUntil: NOW + 1, said: 'locked', changedAt: NOW - 2001 }, 'jammed'],
  ['still moving shut', { pulseUntil: NOW - 2000, said: 'unlocked', changedAt: NOW - 5000 }, 'unlocked'],
  ['asked to shut, did not', { pulseUntil: NOW - 2001, said: 'unlocked', changedAt: NOW - 5000 }, 'jammed'],
  ['it says it is jammed', { said: 'jammed' }, 'jammed'],
  ['it cannot be reached', { said: 'locked', broken: true }, 'jammed'],
  ['the door stands open', { doorOpenSince: NOW - 59_999 }, 'locked'],
  ['for too long', { doorOpenSince: NOW - 60_000 }, 'open too long'],
  ['for too long, and jammed', { doorOpenSince: NOW - 60_000, said: 'jammed' }, 'open too long'],
];

for (const [name, view, expected] of TABLE) {
  test(`lock state: ${name}`, () => {
    assert.equal(lockStateOf({ ...NEW_LOCK_VIEW, ...view }, DEFAULT_LOCK_STATE, NOW), expected);
  });
}

test('a door that opens without a pulse and without the exit button was forced', () => {
  const forced = (pulseUntil: number | null, exitPressedAt: number | null) =>
    isForced({ ...NEW_LOCK_VIEW, pulseUntil }, DEFAULT_LOCK_STATE, { now: NOW, exitPressedAt });
  assert.equal(forced(null, null), true);
  assert.equal(forced(NOW - 10_000, null), false);
  assert.equal(forced(NOW - 10_001, null), true);
  assert.equal(forced(null, NOW - 10_000), false);
  assert.equal(forced(null, NOW - 10_001), true);
});
