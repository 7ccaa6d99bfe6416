import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Turns } from '../../src/pipeline/turns.js';

/** Turns on a clock that only work moves. */
function onHeldClock() {
  let now = 0;
  const turns = new Turns(() => now);
  const log: string[] = [];
  const frame = (name: string, ms = 1) =>
    turns.take(async () => {
      log.push(name);
      now += ms;
    });
  const picture = (name: string, stages: number, ms = 1) =>
    turns.takeBehind(async (giveWay) => {
      for (let stage = 1; stage <= stages; stage++) {
        log.push(`${name}${stage}`);
        now += ms;
        await giveWay();
      }
    });
  return { turns, log, frame, picture };
}

test('a picture gives way to frames between its stages, and goes on before the next picture', async () => {
  const { log, frame, picture } = onHeldClock();
  const first = picture('a', 3);
  const second = picture('b', 1);
  await Promise.all([frame('f1'), frame('f2')]);
  await Promise.all([first, second]);
  assert.deepEqual(log, ['a1', 'f1', 'f2', 'a2', 'a3', 'b1']);
});

test('a frame waits for one stage, however many pictures wait', async () => {
  const { log, frame, picture } = onHeldClock();
  const pictures = ['a', 'b', 'c', 'd'].map((name) => picture(name, 2));
  await frame('f');
  assert.deepEqual(log, ['a1', 'f']);
  await Promise.all(pictures);
  assert.equal(log.length, 9);
});

test('where frames take all the time, pictures still get about a tenth of it', async () => {
  const { log, frame, picture } = onHeldClock();
  let over = false;
  const camera = async (): Promise<void> => {
    for (let count = 0; count < 400; count++) await frame('f', 10);
    over = true;
  };
  let stages = 0;
  const askAgain = async (): Promise<void> => {
    while (!over) {
      await picture('p', 1, 10);
      stages++;
    }
  };
  // Two cameras: there is always a frame that waits.
  await Promise.all([camera(), camera(), askAgain()]);
  const share = stages / log.length;
  assert.ok(share > 0.05 && share < 0.15, `${(100 * share).toFixed(1)} %`);
});

test('work that fails does not hold up the next', async () => {
  const { turns, log, frame } = onHeldClock();
  const failed = turns.takeBehind(() => Promise.reject(new Error('no')));
  const next = frame('f');
  await assert.rejects(failed, /no/);
  await next;
  assert.deepEqual(log, ['f']);
});
