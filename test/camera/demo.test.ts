import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { DemoSource, demoPortraits, readScenario, viewAt } from '../../src/camera/demo.js';
import { decode, encodeJpeg } from '../../src/image/index.js';
import { temporaryDir } from '../helpers/dirs.js';
import { at, paint } from '../helpers/pictures.js';

const SCENARIO = {
  fps: 10,
  width: 8,
  height: 6,
  scenes: [
    { photograph: 'a.jpg', seconds: 1, from: [0, 0, 8, 6], to: [100, 0, 8, 6] },
    { photograph: 'b.jpg', seconds: 0.5, from: [0, 0, 8, 6], to: [0, 0, 8, 6] },
  ],
  people: [],
} as const;

test('the view moves evenly, scene after scene, and ends or begins anew', () => {
  const box = (x: number) => ({ x, y: 0, width: 8, height: 6 });
  assert.deepEqual(viewAt(SCENARIO, 0, false), { photograph: 'a.jpg', box: box(0) });
  assert.deepEqual(viewAt(SCENARIO, 0.5, false), { photograph: 'a.jpg', box: box(50) });
  assert.deepEqual(viewAt(SCENARIO, 1.2, false), { photograph: 'b.jpg', box: box(0) });
  assert.equal(viewAt(SCENARIO, 1.5, false), null);
  assert.deepEqual(viewAt(SCENARIO, 2, true), { photograph: 'a.jpg', box: box(50) });
});

test('frames at the pace of the scenario; a slow reader misses some, which are counted', async (t) => {
  const photographs = await temporaryDir(t);
  const ramp = (add: number) =>
    encodeJpeg(
      paint(160, 16, (x) => [x + add, x + add, x + add]),
      98,
    );
  await writeFile(join(photographs, 'a.jpg'), ramp(0));
  await writeFile(join(photographs, 'b.jpg'), ramp(90));
  let now = 0;
  const clock = { wall: () => now, monotonic: () => now };
  const pause = async (ms: number) => {
    now += ms;
  };
  const source = new DemoSource({ camera: 'demo', photographs, loop: false }, { clock, pause }, SCENARIO);
  await source.start(new AbortController().signal);
  const seen: number[][] = [];
  for (let frame = await source.next(); frame !== null; frame = await source.next()) {
    seen.push([frame.seq, frame.capturedAt.monotonicMs, at(frame, 4, 3)[0] ?? 0]);
    if (frame.seq === 3) now += 450;
  }
  assert.deepEqual(
    seen.map(([seq]) => seq),
    [1, 2, 3, 7, 8, 9, 10, 11, 12, 13, 14, 15],
  );
  assert.deepEqual(seen[1]?.[1], 100);
  // Pixel 4 of a view that has moved by 10 pixels a frame over the ramp.
  for (const [seq = 0, , level = 0] of seen) {
    const expected = seq <= 10 ? 4 + 10 * (seq - 1) : 94;
    assert.ok(Math.abs(level - expected) <= 3, `${seq}: ${level} for ${expected}`);
  }
  assert.deepEqual(source.stats(), {
    state: 'ended',
    received: 15,
    dropped: 3,
    reopened: 0,
    problem: null,
    problemCode: null,
  });
});

test('the shipped scenario: 20 seconds or so, views of the shape of the frame, two people from other crops', async (t) => {
  const scenario = readScenario();
  const seconds = scenario.scenes.reduce((sum, scene) => sum + scene.seconds, 0);
  assert.ok(seconds >= 15 && seconds <= 25);
  for (const { from, to } of scenario.scenes) {
    for (const [, , width, height] of [from, to])
      assert.ok(Math.abs(width / height - 4 / 3) < 0.03, `${width}x${height}`);
  }
  assert.equal(scenario.people.length, 2);
  const shown = scenario.scenes.flatMap(({ from, to }) => [String(from), String(to)]);
  for (const { crop } of scenario.people) assert.ok(!shown.includes(String(crop)));
  const photographs = await temporaryDir(t);
  const blank = encodeJpeg(paint(1920, 1000, () => [90, 90, 90]));
  for (const { photograph } of scenario.people) await writeFile(join(photographs, photograph), blank);
  for (const [index, { jpeg }] of demoPortraits(photographs).entries()) {
    const [, , width, height] = scenario.people[index]?.crop ?? [];
    const portrait = decode(jpeg);
    assert.deepEqual([portrait.width, portrait.height], [width, height]);
  }
});
