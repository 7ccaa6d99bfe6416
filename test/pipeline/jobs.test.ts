import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FacedError } from '../../src/domain/errors.js';
import { createLogger } from '../../src/lib/log.js';
import { ClockWatch } from '../../src/pipeline/clock-watch.js';
import { type DueTimes, type Job, Jobs, type Timetable } from '../../src/pipeline/jobs.js';

const NOON = Date.UTC(2027, 4, 1, 12);
const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

/** Times come due when the test says so; the next one is an hour after `now`. */
function house(jobs: readonly Job[], due: DueTimes = {}) {
  const dues = new Map<string, () => void>();
  const lines: string[] = [];
  const written: DueTimes[] = [];
  const timetable: Timetable = {
    plan: (expression, onDue) => {
      dues.set(expression, onDue);
      return { next: () => NOON + HOUR_MS, stop: () => void dues.delete(expression) };
    },
  };
  const running = new Jobs({
    jobs,
    timetable,
    due,
    log: createLogger('debug', { write: (line) => void lines.push(line) }),
    writeDue: async (one) => void written.push(one),
    clock: { wall: () => NOON },
  });
  return { running, lines, written, dues, tick: (expression: string) => dues.get(expression)?.() };
}

test('one piece of work at a time, and none is taken twice', async () => {
  const order: string[] = [];
  let release = () => {};
  let begun = () => {};
  const begins = new Promise<void>((resolve) => {
    begun = resolve;
  });
  const { running, tick, lines } = house([
    {
      name: 'slow',
      when: 'a',
      run: async () => {
        order.push('slow begins');
        begun();
        await new Promise<void>((resolve) => {
          release = resolve;
        });
        order.push('slow ends');
        return undefined;
      },
    },
    { name: 'quick', when: 'b', run: async () => void order.push('quick') },
    { name: 'never', when: null, run: async () => void order.push('never') },
  ]);
  running.start();
  tick('a');
  tick('b');
  tick('a');
  await begins;
  assert.deepEqual(order, ['slow begins']);
  release();
  await running.settled();
  assert.deepEqual(order, ['slow begins', 'slow ends', 'quick']);
  assert.equal(lines.filter((line) => line.includes('due again before it was done')).length, 1);
});

test('what failed is a problem until it succeeds, and the others go on', async () => {
  let full = true;
  const { running, tick } = house([
    {
      name: 'backup',
      when: 'a',
      run: async () => {
        if (full) throw new FacedError('gallery.disk-full', 'no room');
        return undefined;
      },
    },
  ]);
  running.start();
  tick('a');
  await running.settled();
  assert.deepEqual(running.problems(), [
    { code: 'gallery.disk-full', message: 'scheduled work (backup): no room' },
  ]);
  full = false;
  tick('a');
  await running.settled();
  assert.deepEqual(running.problems(), []);
});

test('what was missed while nothing ran is said and done once; what is due later is not', async () => {
  const done: string[] = [];
  const job = (name: string): Job => ({ name, when: name, run: async () => void done.push(name) });
  const { running, lines, written } = house([job('missed'), job('later'), job('new')], {
    missed: NOON - 40 * DAY_MS,
    later: NOON + HOUR_MS,
  });
  running.start();
  await running.settled();
  assert.deepEqual(done, ['missed']);
  assert.equal(lines.filter((line) => line.includes('was missed')).length, 1);
  const next = NOON + HOUR_MS;
  assert.deepEqual(written.at(-1), { missed: next, later: next, new: next });
});

test('after the stop nothing begins; what runs is waited for, and what was due stays due', async () => {
  const done: string[] = [];
  const { running, tick, dues, written } = house(
    [
      {
        name: 'a',
        when: 'a',
        run: async () => {
          await new Promise((resolve) => setImmediate(resolve));
          done.push('a');
          return undefined;
        },
      },
      { name: 'b', when: 'b', run: async () => void done.push('b') },
    ],
    { b: NOON - DAY_MS },
  );
  running.start();
  await running.settled();
  assert.deepEqual(done, ['b']);
  tick('a');
  // The first microtask begins `a`.
  await Promise.resolve();
  tick('b');
  await running.stop();
  assert.deepEqual(done, ['b', 'a']);
  assert.equal(dues.size, 0);
  assert.ok(written.length > 0);
});

function watchAt(seenAt: number | null, synchronised: boolean | null) {
  const now = { wall: NOON, monotonic: 1000, synchronised };
  const watch = new ClockWatch({
    seenAt,
    ask: async () => {
      if (now.synchronised === null) throw new Error('nobody to ask');
      return now.synchronised;
    },
    clock: { wall: () => now.wall, monotonic: () => now.monotonic },
  });
  return { watch, now };
}

const WRONG = { code: 'system.clock-wrong' };

test('a board whose clock starts years away deletes nothing by age until a time daemon has set it', async () => {
  for (const years of [-57, -3, 5]) {
    const { watch, now } = watchAt(NOON, false);
    now.wall = NOON + years * 365 * DAY_MS;
    await assert.rejects(watch.check(), WRONG, `${years} years`);
    assert.equal(watch.seenAt, NOON, 'a wrong time is not written down as a right one');
    now.wall = NOON + 60_000;
    now.monotonic += 60_000;
    now.synchronised = true;
    await watch.check();
    assert.equal(watch.seenAt, now.wall);
  }
});

test('before this program was written is wrong, whoever vouches for it', async () => {
  const { watch, now } = watchAt(null, true);
  now.wall = 0;
  await assert.rejects(watch.check(), WRONG);
});

test('a clock that nobody synchronises is believed as long as it goes on', async () => {
  for (const answer of [false, null]) {
    const { watch, now } = watchAt(NOON - 300 * DAY_MS, answer);
    assert.deepEqual(await watch.check(), { synchronised: answer });
    now.wall += 40 * DAY_MS;
    now.monotonic += 40 * DAY_MS;
    await watch.check();
    now.wall += 2 * DAY_MS;
    await assert.rejects(watch.check(), WRONG, 'two days in no time');
  }
});
