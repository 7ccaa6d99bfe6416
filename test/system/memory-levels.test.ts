import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { silentLogger } from '../../src/lib/log.js';
import { memoryStalls } from '../../src/system/memory.js';
import { MemoryLevels, type MemoryReading } from '../../src/system/memory-levels.js';
import { MemoryWatch } from '../../src/system/memory-watch.js';
import { temporaryDir } from '../helpers/dirs.js';

const MB = 2 ** 20;
const NOTHING: MemoryReading = {
  ...{ available: null, total: null, room: null, limit: null },
  ...{ resident: null, budget: null, stalled: null },
};

const FIRST_LEVELS: [string, Partial<MemoryReading>, 0 | 1 | 2 | null][] = [
  ['nothing is known', {}, null],
  ['a board of 4 GB at work', { available: 2900 * MB, total: 3791 * MB, stalled: 0 }, 0],
  ['the same, nearly full', { available: 120 * MB, total: 3791 * MB, stalled: 0 }, 1],
  ['the same, full', { available: 40 * MB, total: 3791 * MB, stalled: 0 }, 2],
  ['a board of 512 MB: the share counts', { available: 75 * MB, total: 430 * MB }, 0],
  ['a board of 512 MB, low', { available: 60 * MB, total: 430 * MB }, 1],
  ['a board of 512 MB, critical', { available: 25 * MB, total: 430 * MB }, 2],
  ['only the kernel’s pressure is known', { stalled: 12.5 }, 1],
  ['tasks wait for half of the time', { available: 2900 * MB, total: 3791 * MB, stalled: 51.33 }, 2],
  ['the control group is nearly full', { available: 2900 * MB, room: 30 * MB, limit: 300 * MB }, 1],
  ['the control group is full', { available: 2900 * MB, room: 0, limit: 300 * MB }, 2],
  ['a budget without a limit', { available: 2900 * MB, resident: 150 * MB, budget: 200 * MB }, 0],
  ['a budget that is nearly used', { available: 2900 * MB, resident: 180 * MB, budget: 200 * MB }, 1],
  ['a budget that is more than used', { available: 2900 * MB, resident: 230 * MB, budget: 200 * MB }, 2],
  ['a budget, and nobody knows what is used', { available: 2900 * MB, budget: 200 * MB }, 0],
];

for (const [what, reading, level] of FIRST_LEVELS) {
  test(`level at once: ${what}`, () => {
    const levels = new MemoryLevels();
    levels.read({ ...NOTHING, ...reading }, 0);
    assert.equal(levels.state.level, level);
  });
}

test('worse at once, better by one level after half a minute of twice the room', () => {
  const levels = new MemoryLevels();
  const read = (available: number, atS: number): number | null => {
    levels.read({ ...NOTHING, available: available * MB, total: 3791 * MB }, atS * 1000);
    return levels.state.level;
  };
  assert.equal(read(900, 0), 0);
  assert.equal(read(40, 1), 2);
  assert.equal(read(60, 2), 2, 'above the edge, and not by enough');
  assert.equal(read(200, 3), 2);
  assert.equal(read(90, 20), 2, 'the time begins anew');
  assert.equal(read(2000, 21), 2);
  assert.equal(read(2000, 50), 2);
  assert.equal(read(2000, 51), 1, 'one level, however much there is');
  assert.equal(read(2000, 52), 1);
  assert.equal(read(2000, 81), 1);
  assert.equal(read(2000, 82), 0);
  assert.equal(read(100, 83), 1);
});

test('figures that go on and off: the last known level ends, and nothing fails', () => {
  const levels = new MemoryLevels();
  levels.read({ ...NOTHING, available: 40 * MB }, 0);
  assert.equal(levels.read(NOTHING, 1)?.level, null);
  assert.equal(levels.read({ ...NOTHING, stalled: 0 }, 2)?.level, 0);
});

test('the watch reads /proc, and tells each change once', async (t) => {
  const root = await temporaryDir(t);
  mkdirSync(join(root, 'proc/pressure'), { recursive: true });
  const put = (availableMb: number, avg10: string): void => {
    writeFileSync(
      join(root, 'proc/meminfo'),
      `MemTotal: 3882000 kB\nMemAvailable: ${availableMb * 1024} kB\n`,
    );
    writeFileSync(
      join(root, 'proc/pressure/memory'),
      `some avg10=${avg10} avg60=0.12 avg300=0.00 total=81\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=0\n`,
    );
  };
  const told: number[] = [];
  let now = 0;
  const watch = new MemoryWatch({
    ...{ log: silentLogger, root, budget: null, now: () => now },
    onLevel: (level) => told.push(level),
  });
  const beat = (atS: number): void => {
    now = atS * 1000;
    watch.beat(null);
  };
  put(2000, '0.00');
  beat(0);
  assert.deepEqual([watch.level, watch.problems()], [0, []]);
  put(2000, '43.18');
  beat(1);
  assert.equal(memoryStalls(root), 43.18);
  beat(2);
  assert.match(watch.problems()[0]?.message ?? '', /critical, tasks waited 43.18 %/);
  put(2000, '6.00');
  beat(3);
  beat(33);
  beat(63);
  assert.equal(watch.level, 1, 'half of what began it is needed for its end');
  put(2000, '4.00');
  beat(64);
  beat(94);
  assert.deepEqual(told, [2, 1, 0]);
  assert.equal(memoryStalls(join(root, 'none')), null);
});
