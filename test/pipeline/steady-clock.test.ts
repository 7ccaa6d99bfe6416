import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ulid } from 'ulid';
import { FacedError } from '../../src/domain/errors.js';
import type { ClockState } from '../../src/pipeline/ports.js';
import { SteadyClock } from '../../src/pipeline/steady-clock.js';

const HOUR = 3_600_000;

/** A machine's clocks, held still, and what there is to say about them. */
function scene(wall: number) {
  const now = { wall, monotonic: 1000 };
  const told: ClockState[] = [];
  const verdict: { is: 'wrong' | 'plausible' | 'synchronised'; meanwhile: (() => void) | null } = {
    is: 'plausible',
    meanwhile: null,
  };
  const steady = new SteadyClock({
    clock: { wall: () => now.wall, monotonic: () => now.monotonic },
    check: async () => {
      const { is, meanwhile } = verdict;
      verdict.meanwhile = null;
      await null;
      meanwhile?.();
      if (is === 'wrong') throw new FacedError('system.clock-wrong', 'wrong');
      return { synchronised: is === 'synchronised' };
    },
    onLooked: async (state) => void told.push(state),
  });
  const pass = (ms: number) => {
    now.wall += ms;
    now.monotonic += ms;
  };
  return { steady, now, told, verdict, pass };
}

test('a believed clock is told as it is', async (t) => {
  const { steady, told, pass } = scene(50 * HOUR);
  t.after(() => steady.stop());
  await steady.start(49 * HOUR);
  pass(250);
  assert.equal(steady.wall(), 50 * HOUR + 250);
  assert.equal(steady.at({ monotonicMs: 1100 }), 50 * HOUR + 100);
  assert.deepEqual(told, [{ at: { wallMs: 50 * HOUR, monotonicMs: 1000 }, known: false, isMachines: true }]);
});

test('one that is behind what was known goes on from there, until somebody vouches for it', async (t) => {
  const { steady, told, verdict, now, pass } = scene(7 * HOUR);
  t.after(() => steady.stop());
  await steady.start(10 * HOUR);
  pass(1000);
  assert.equal(steady.wall(), 10 * HOUR + 1000);
  await steady.look();
  assert.equal(steady.wall(), 10 * HOUR + 1000, 'a second look knows no more');
  assert.equal(told.at(-1)?.isMachines, false);
  verdict.is = 'synchronised';
  await steady.look();
  assert.equal(steady.wall(), now.wall, 'it was right: what was known was not');
});

test('when it is set, time goes on as before until the new one was looked at', async (t) => {
  const { steady, told, verdict, now, pass } = scene(10 * HOUR);
  t.after(() => steady.stop());
  await steady.start(null);
  now.wall = 90 * HOUR;
  pass(500);
  verdict.is = 'wrong';
  assert.equal(steady.wall(), 10 * HOUR + 500);
  await assert.rejects(steady.look(), { code: 'system.clock-wrong' });
  assert.equal(steady.wall(), 10 * HOUR + 500);
  verdict.is = 'plausible';
  await steady.look();
  assert.equal(steady.wall(), 90 * HOUR + 500);
  assert.deepEqual(told.at(-1), {
    ...{ at: { wallMs: 90 * HOUR + 500, monotonicMs: 1500 }, known: false, isMachines: true },
  });
});

for (const isAsked of [false, true])
  test(`an answer about a clock that was set meanwhile counts for nothing${isAsked ? ', also when an event asked for the time' : ''}`, async (t) => {
    const { steady, verdict, now } = scene(10 * HOUR);
    t.after(() => steady.stop());
    await steady.start(null);
    verdict.is = 'synchronised';
    verdict.meanwhile = () => {
      now.wall = 90 * HOUR;
      if (isAsked) assert.equal(steady.wall(), 10 * HOUR);
    };
    await steady.look();
    assert.equal(steady.wall(), 10 * HOUR);
    await steady.look();
    assert.equal(steady.wall(), 90 * HOUR);
  });

test('ids go up whatever the clocks do, from the last that was given before', async (t) => {
  const { steady, verdict, now } = scene(2000);
  t.after(() => steady.stop());
  verdict.is = 'wrong';
  const last = ulid(30 * HOUR);
  await steady.start(10 * HOUR, last);
  const ids = [last, steady.newId(), steady.newId()];
  now.wall = 90 * HOUR;
  verdict.is = 'synchronised';
  await steady.look();
  ids.push(steady.newId());
  now.wall = 20 * HOUR;
  await steady.look();
  ids.push(steady.newId(), steady.newId());
  assert.deepEqual([...ids].sort(), ids);
  assert.equal(new Set(ids).size, 6);
});
