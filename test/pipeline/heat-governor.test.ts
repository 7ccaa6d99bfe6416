import assert from 'node:assert/strict';
import { test } from 'node:test';
import { HeatGovernor, type HeatReading, PACES } from '../../src/pipeline/heat-governor.js';

const QUIET: HeatReading = {
  ...{ temperatureC: 50, limitC: null, throttled: false },
  ...{ underVoltage: false, load: 0.5 },
};
const EVERY_MS = 5000;

/** A curve is one reading every five seconds. Answers the level after each. */
function follow(governor: HeatGovernor, curve: readonly Partial<HeatReading>[], from = 0): number[] {
  return curve.map((one, index) => {
    governor.read({ ...QUIET, ...one }, (from + index) * EVERY_MS);
    return governor.state.level;
  });
}

const degrees = (list: readonly (number | null)[]) => list.map((temperatureC) => ({ temperatureC }));
const steady = (c: number | null, seconds: number) => degrees(Array.from({ length: seconds / 5 }, () => c));

test('a closed case in the sun: the pace goes down before the limit, by single levels, and each is less than the one before', () => {
  // Two degrees a minute up from 60, as long as nothing is done.
  const curve = degrees(Array.from({ length: 110 }, (_, index) => 60 + index / 6));
  const levels = follow(new HeatGovernor(), curve);
  const first = levels.findIndex((level) => level > 0);
  assert.ok((curve[first]?.temperatureC ?? 100) < 76, 'well before 80 °C');
  assert.ok(first > 60, 'and not while it is merely warm');
  levels.reduce((before, level) => {
    assert.ok(level - before === 0 || level - before === 1);
    return level;
  });
  assert.equal(levels.at(-1), PACES.length - 1);
  const smaller = levels.findIndex((level) => (PACES[level]?.frame ?? 1) < 1);
  assert.ok(
    smaller > first && (curve[smaller]?.temperatureC ?? 100) < 80,
    'frames are smaller before the limit',
  );
  for (const [index, pace] of PACES.entries()) {
    assert.ok(pace.share > 0 && pace.share <= 1);
    const before = PACES[index - 1];
    if (before !== undefined)
      assert.ok(
        pace.share < before.share &&
          pace.frame <= before.frame &&
          pace.settledEveryMs > before.settledEveryMs,
      );
  }
});

test('it comes back slowly, a level a minute, and not in between', () => {
  const governor = new HeatGovernor();
  follow(governor, steady(79, 60));
  assert.equal(governor.state.level, 3);
  const between = follow(governor, steady(72, 600), 12);
  assert.ok(
    between.every((level) => level === 3),
    'cooler, and not cool enough',
  );
  const back = follow(governor, steady(60, 300), 132);
  const times = [2, 1, 0].map((level) => back.indexOf(level));
  const [a = 0, b = 0, c = 0] = times;
  assert.ok(a >= 12 && b - a >= 12 && c - b >= 12, `${times}`);
  assert.equal(governor.pace, PACES[0]);
});

test('around the limit it does not swing', () => {
  const curve = degrees(Array.from({ length: 240 }, (_, index) => 74.5 + Math.sin(index / 5) * 2));
  const levels = follow(new HeatGovernor(), curve);
  const changes = levels.filter((level, index) => index > 0 && level !== levels[index - 1]).length;
  assert.ok(changes <= PACES.length - 1, `${changes} changes`);
});

test('the limit of the kernel counts where it names one', () => {
  assert.equal(
    follow(
      new HeatGovernor(),
      steady(85, 120).map((one) => ({ ...one, limitC: 97 })),
    ).at(-1),
    0,
  );
  assert.ok(
    (follow(
      new HeatGovernor(),
      steady(68, 120).map((one) => ({ ...one, limitC: 70 })),
    ).at(-1) ?? 0) > 0,
  );
});

test('no sensor, one that comes and goes, and a single hot look slow nothing', () => {
  assert.equal(follow(new HeatGovernor(), steady(null, 600)).at(-1), 0);
  assert.deepEqual(
    new Set(follow(new HeatGovernor(), degrees([50, 120, 50, null, 50, 99, null, 50]))),
    new Set([0]),
  );
});

test('a sensor that goes away does not leave the cameras slow for ever', () => {
  const governor = new HeatGovernor();
  follow(governor, steady(79, 60));
  assert.equal(follow(governor, steady(null, 300), 12).at(-1), 0);
  assert.match(governor.state.why, /no sensor/);
});

test('a flag of the firmware counts whatever the sensor says; a quick start of work does not', () => {
  const throttled = Array.from({ length: 12 }, () => ({ throttled: true, temperatureC: null }));
  assert.ok((follow(new HeatGovernor(), throttled).at(-1) ?? 0) > 0);
  const weak = new HeatGovernor();
  follow(
    weak,
    Array.from({ length: 3 }, () => ({ underVoltage: true })),
  );
  assert.equal(weak.state.why, 'the supply is too weak');
  assert.equal(follow(new HeatGovernor(), degrees([40, 50, 60, 62, 63, 64])).at(-1), 0);
});

test('load costs one level and only when it lasts', () => {
  const heavy = (seconds: number) => Array.from({ length: seconds / 5 }, () => ({ load: 4 }));
  assert.equal(follow(new HeatGovernor(), heavy(50)).at(-1), 0);
  const governor = new HeatGovernor();
  assert.equal(follow(governor, heavy(600)).at(-1), 1);
  assert.equal(follow(governor, steady(50, 120), 120).at(-1), 0);
});
