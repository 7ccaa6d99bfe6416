import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Embedding } from '../../src/domain/embedding.js';
import type { Face } from '../../src/domain/face.js';
import { Tracker } from '../../src/pipeline/tracker.js';

function face(x: number, y: number, size = 60): Face {
  const point = { x: x + size / 2, y: y + size / 2 };
  return {
    box: { x, y, width: size, height: size },
    landmarks: [point, point, point, point, point],
    score: 0.9,
  };
}

function tracker(options: { lingerMs?: number } = {}): Tracker {
  let next = 0;
  return new Tracker({ ...options, newId: () => `t${++next}` });
}

/** Unit vectors of a plane: two people are a right angle apart. */
function look(angle: number): Embedding {
  const radians = (angle * Math.PI) / 180;
  return { space: 'test', vector: Float32Array.from([Math.cos(radians), Math.sin(radians)]) };
}
const ANNA = look(0);
const BERT = look(90);

test('a face is believed after a moment, followed, and over when unseen for the linger time', () => {
  const tracks = tracker();
  assert.deepEqual(
    tracks.update([face(100, 100)], 0).seen.map((one) => [one.id, one.confirmed]),
    [['t1', false]],
  );
  for (let now = 100; now <= 1000; now += 100) {
    const { seen } = tracks.update([face(100 + now / 5, 100)], now);
    assert.deepEqual(
      seen.map((one) => [one.id, one.confirmed]),
      [['t1', true]],
    );
  }
  assert.deepEqual(tracks.update([], 2900).ended, []);
  assert.equal(tracks.alive, 1);
  const { ended } = tracks.update([], 3100);
  assert.deepEqual(
    ended.map((one) => [one.id, one.lastSeenMs]),
    [['t1', 1000]],
  );
  assert.equal(tracks.alive, 0);
});

test('a single false detection is forgotten and never reported as ended', () => {
  const tracks = tracker();
  tracks.update([face(100, 100)], 0);
  assert.deepEqual(tracks.update([], 400).ended, []);
  assert.equal(tracks.alive, 1);
  assert.deepEqual(tracks.update([], 600).ended, []);
  assert.equal(tracks.alive, 0);
  assert.deepEqual(tracks.endAll(), []);
});

for (const [what, frameMs, speed] of [
  ['30 frames a second, a run', 33, 0.4],
  ['10 frames a second, a walk', 100, 0.25],
  ['2 frames a second, a slow walk', 500, 0.1],
] as const) {
  test(`one person moving is one track at ${what}`, () => {
    const tracks = tracker();
    const ids = new Set<string>();
    for (let now = 0; now <= 3000; now += frameMs) {
      for (const one of tracks.update([face(20 + speed * now, 100)], now).seen) ids.add(one.id);
    }
    assert.deepEqual([...ids], ['t1']);
  });
}

test('a detection that fails for a moment does not break the track, moving or not', () => {
  const tracks = tracker();
  const ids = new Set<string>();
  for (let now = 0; now <= 3000; now += 100) {
    const missing = now >= 1000 && now < 1400;
    for (const one of tracks.update(missing ? [] : [face(20 + 0.15 * now, 100)], now).seen) ids.add(one.id);
  }
  assert.deepEqual([...ids], ['t1']);
});

test('many faces keep their tracks, whatever order they are found in', () => {
  const homes = new Map<string, number>();
  const tracks = tracker();
  const at = (index: number, now: number) => face(20 + index * 120, 100 + 10 * Math.sin(now / 200 + index));
  for (let now = 0; now <= 2000; now += 100) {
    const found = [0, 1, 2, 3, 4].map((index) => at(index, now));
    if (now % 200 === 0) found.reverse();
    const { seen } = tracks.update(found, now);
    assert.equal(seen.length, 5);
    for (const one of seen) {
      const index = Math.round((one.face.box.x - 20) / 120);
      const before = homes.get(one.id);
      if (before !== undefined) assert.equal(index, before, one.id);
      homes.set(one.id, index);
    }
  }
  assert.equal(homes.size, 5);
});

test('two people who pass each other keep their tracks by their speed', () => {
  const tracks = tracker();
  const owner = new Map<string, string>();
  for (let now = 0; now <= 2000; now += 100) {
    const left = face(50 + 0.2 * now, 100, 62);
    const right = face(450 - 0.2 * now, 108, 58);
    // While one covers the other only the nearer is found.
    const covered = Math.abs(left.box.x - right.box.x) < 30;
    for (const one of tracks.update(covered ? [left] : [left, right], now).seen) {
      const who = one.face === left ? 'left' : 'right';
      assert.equal(owner.get(one.id) ?? who, who, `${one.id} at ${now}`);
      owner.set(one.id, who);
    }
  }
  assert.deepEqual([...owner.keys()].sort(), ['t1', 't2']);
});

test('two who turn back at the meeting are put right by their embeddings', () => {
  const tracks = tracker();
  tracks.update([face(100, 100), face(300, 100)], 0);
  const { seen } = tracks.update([face(100, 100), face(300, 100)], 100);
  const [anna, bert] = seen.map((one) => one.id);
  assert.ok(anna !== undefined && bert !== undefined);
  tracks.identify(anna, ANNA, 1);
  tracks.identify(bert, BERT, 1);
  // Their places say nothing changed; their faces say that they did.
  tracks.update([face(100, 100), face(300, 100)], 200);
  assert.deepEqual(tracks.identify(anna, BERT, 1), { kind: 'exchanged', track: bert, other: anna });
  const after = tracks.update([face(100, 100), face(300, 100)], 300).seen;
  assert.equal(after.find((one) => one.face.box.x === 100)?.id, bert);
  assert.equal(after.find((one) => one.face.box.x === 300)?.id, anna);
  assert.deepEqual(tracks.identify(anna, ANNA, 1), { kind: 'same', track: anna });
});

test('a lost face that comes up elsewhere takes up its track by embedding; another one does not', () => {
  for (const [who, expected] of [
    [ANNA, { kind: 'resumed', track: 't1', instead: 't2' }],
    [BERT, { kind: 'same', track: 't2' }],
  ] as const) {
    const tracks = tracker();
    tracks.update([face(20, 100)], 0);
    tracks.update([face(20, 100)], 100);
    tracks.identify('t1', ANNA, 1);
    tracks.update([], 200);
    tracks.update([face(500, 300)], 900);
    assert.deepEqual(tracks.identify('t2', who, 1), expected);
    const { seen } = tracks.update([face(500, 300)], 1000);
    assert.deepEqual(
      seen.map((one) => one.id),
      [expected.track],
    );
  }
});

test('somebody else in the same place is a new track, but one strange shot is not enough', () => {
  const tracks = tracker();
  tracks.update([face(100, 100)], 0);
  tracks.update([face(100, 100)], 100);
  tracks.identify('t1', ANNA, 1);
  assert.deepEqual(tracks.identify('t1', BERT, 1), { kind: 'doubtful', track: 't1' });
  assert.deepEqual(tracks.identify('t1', ANNA, 1), { kind: 'same', track: 't1' });
  assert.equal(tracks.identify('t1', BERT, 1)?.kind, 'doubtful');
  const last = tracks.identify('t1', BERT, 1);
  assert.ok(last?.kind === 'replaced');
  assert.equal(last.ended.id, 't1');
  assert.equal(last.track, 't2');
  assert.deepEqual(
    tracks.update([face(100, 100)], 200).seen.map((one) => one.id),
    ['t2'],
  );
});

test('a face of quite another size is not the same, and the number of tracks is bounded', () => {
  const tracks = tracker();
  tracks.update([face(100, 100, 40)], 0);
  assert.deepEqual(
    tracks.update([face(60, 60, 140)], 100).seen.map((one) => one.id),
    ['t2'],
  );
  const crowd = Array.from({ length: 100 }, (_, index) =>
    face((index % 10) * 70, Math.floor(index / 10) * 70),
  );
  tracks.update(crowd, 200);
  assert.equal(tracks.alive, 32);
});

test('whoever comes up a moment later in the same place has to look the same to go on', () => {
  for (const { who, goesOn } of [
    { who: ANNA, goesOn: true },
    { who: BERT, goesOn: false },
  ]) {
    const tracks = tracker();
    for (let now = 0; now <= 300; now += 100) tracks.update([face(100, 100)], now);
    assert.equal(tracks.identify('t1', ANNA, 1)?.kind, 'same');
    for (let now = 400; now <= 1000; now += 100) tracks.update([], now);
    const { seen } = tracks.update([face(100, 100)], 1100);
    assert.deepEqual(
      seen.map(({ id }) => id),
      ['t2'],
    );
    const identity = tracks.identify('t2', who, 1);
    assert.deepEqual(
      identity,
      goesOn ? { kind: 'resumed', track: 't1', instead: 't2' } : { kind: 'same', track: 't2' },
    );
  }
});

test('a camera of one frame a second keeps its tracks by place', () => {
  const tracks = tracker();
  tracks.update([face(100, 100)], 0);
  tracks.identify('t1', ANNA, 1);
  const { seen } = tracks.update([face(102, 100)], 1000);
  assert.deepEqual(
    seen.map(({ id }) => id),
    ['t1'],
  );
});

test('a face that was in view together with the one that is hidden now is not that one, however alike', () => {
  const tracks = tracker();
  for (let now = 0; now <= 200; now += 100) tracks.update([face(100, 100)], now);
  tracks.identify('t1', ANNA, 1);
  for (let now = 300; now <= 500; now += 100) tracks.update([face(100, 100), face(400, 100)], now);
  tracks.update([face(400, 100)], 600);
  assert.deepEqual(tracks.identify('t2', ANNA, 1), { kind: 'same', track: 't2' });
});
