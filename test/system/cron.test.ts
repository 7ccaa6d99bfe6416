import assert from 'node:assert/strict';
import { test } from 'node:test';
import { validate } from 'node-cron';
import { cronProblem } from '../../src/lib/cron-fields.js';
import { cronTimetable } from '../../src/system/cron.js';

test('node-cron ticks, says when it will, and stops', { timeout: 10_000 }, async () => {
  let ticked = () => {};
  const tick = new Promise<void>((resolve) => {
    ticked = resolve;
  });
  // It keeps no process alive, so the test has to.
  const alive = setInterval(() => {}, 1000);
  // With the sixth field, seconds, nobody has to wait for a minute.
  const planned = cronTimetable.plan('* * * * * *', () => ticked());
  assert.ok((planned.next() ?? 0) >= Date.now() - 1000);
  await tick;
  planned.stop();
  clearInterval(alive);
});

test('what the configuration takes, node-cron takes; what it refuses is said', () => {
  const good = [
    '7 */6 * * *',
    '30 3 * * *',
    '0 4 * * 0',
    '0,30 8-18 1-31/2 * 1-5',
    '59 23 31 12 7',
    '* * * * *',
  ];
  for (const one of good) {
    assert.equal(cronProblem(one), null, one);
    assert.equal(validate(one), true, one);
  }
  const bad: Readonly<Record<string, RegExp>> = {
    'every day': /five fields/,
    '* * * * * *': /five fields/,
    '60 * * * *': /the minute is "60", and can be 0 to 59/,
    '0 24 * * *': /the hour/,
    '0 0 0 * *': /the day of the month/,
    '0 0 * 13 *': /the month/,
    '0 0 * * 8': /the day of the week/,
    '0 9-5 * * *': /the hour/,
    '*/0 * * * *': /the minute/,
    '5/2 * * * *': /the minute/,
    ', * * * *': /the minute/,
  };
  for (const [one, says] of Object.entries(bad)) assert.match(cronProblem(one) ?? 'no problem', says, one);
});
