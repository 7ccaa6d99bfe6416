import assert from 'node:assert/strict';
import { cpSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import type { CameraView } from '../../src/pipeline/view.js';
import { temporaryDir } from '../helpers/dirs.js';
import { type Actor, photoPath, writeActors } from './clips.js';
import { type Watched, watch, watchAll, withoutModels } from './watch.js';

const skip = withoutModels();

const PEOPLE = [
  ['Abdullah_Gul', 6],
  ['Alec_Baldwin', 4],
  ['Alexandra_Stevenson', 2],
  ['Adam_Sandler', 1],
  ['Al_Sharpton', 1],
] as const;

/** Somebody who comes in after half a second, and whom the detector loses for a moment. */
const alone = (person: string, photo: number): Actor[] => [
  { person, photo, fromMs: 500, toMs: 3600, start: [60, 100], stop: [300, 140], hidden: [2000, 2300] },
];

const CLIPS: { readonly [name: string]: { readonly ms: number; readonly actors: readonly Actor[] } } = {
  gul: { ms: 4000, actors: alone('Abdullah_Gul', 1) },
  baldwin: { ms: 4000, actors: alone('Alec_Baldwin', 2) },
  stevenson: { ms: 4000, actors: alone('Alexandra_Stevenson', 1) },
  // Gone for a second, and there again elsewhere.
  stranger: {
    ms: 5000,
    actors: [
      { person: 'Al_Pacino', photo: 1, fromMs: 200, toMs: 2500, start: [60, 100], stop: [200, 120] },
      { person: 'Al_Pacino', photo: 1, fromMs: 3500, toMs: 4900, start: [400, 200], stop: [420, 210] },
    ],
  },
  passing: {
    ms: 5000,
    actors: [
      { person: 'Alec_Baldwin', photo: 2, fromMs: 200, toMs: 4800, start: [20, 120], stop: [420, 120] },
      {
        person: 'Abdullah_Gul',
        photo: 1,
        fromMs: 200,
        toMs: 4800,
        start: [420, 150],
        stop: [20, 150],
        size: 210,
      },
    ],
  },
  // One is hidden by the other, and then both turn round.
  turning: {
    ms: 8000,
    actors: [
      { person: 'Alec_Baldwin', photo: 2, fromMs: 200, toMs: 3000, start: [20, 120], stop: [215, 120] },
      { person: 'Abdullah_Gul', photo: 1, fromMs: 200, toMs: 3000, start: [420, 120], stop: [225, 120] },
      { person: 'Alec_Baldwin', photo: 2, fromMs: 3000, toMs: 7500, start: [215, 120], stop: [20, 120] },
      { person: 'Abdullah_Gul', photo: 1, fromMs: 3000, toMs: 7500, start: [225, 120], stop: [420, 120] },
    ],
  },
  empty: { ms: 8000, actors: [] },
};

test('clips of real faces, each a camera of one worker', { skip }, async (t) => {
  const dir = await temporaryDir(t);
  const names = Object.keys(CLIPS);
  const cameras = Object.entries(CLIPS).map(([name, { ms, actors }]) => {
    writeActors(join(dir, `${name}.avi`), ms, actors);
    return { source: `file:${join(dir, `${name}.avi`)}`, view: {} };
  });
  const all = await watchAll(t, cameras, PEOPLE);
  const of = (name: string): Watched => {
    const watched = all[names.indexOf(name)];
    if (watched === undefined) throw new Error(name);
    return watched;
  };

  for (const [name, person] of [
    ['gul', 'Abdullah_Gul'],
    ['baldwin', 'Alec_Baldwin'],
    ['stevenson', 'Alexandra_Stevenson'],
  ] as const) {
    await t.test(`one person, enrolled from another picture, is announced once (${name})`, () => {
      const { said, ended, judged, stats, sightings } = of(name);
      assert.deepEqual(said, [person]);
      assert.equal(ended.length, 1, 'one track');
      assert.equal(stats.failed, 0);
      const first = judged[0]?.sighting.mediaMs ?? Number.POSITIVE_INFINITY;
      assert.ok(first <= 500 + 300, `decided by the frame at ${first} ms, face from 500 ms`);
      assert.ok(sightings.length <= 6, `${sightings.length} embeddings`);
    });
  }

  await t.test('a stranger is announced once, and not as anybody', () => {
    assert.deepEqual(of('stranger').said, ['unknown']);
  });

  await t.test('two people who pass each other are announced once each, with their own names', () => {
    const { said, judged, sightings } = of('passing');
    assert.deepEqual([...said].sort(), ['Abdullah_Gul', 'Alec_Baldwin']);
    // Behind the names: the track that began on the left is the one that goes to the right.
    const baldwin = judged.find(
      ({ decision }) => decision.kind === 'known' && decision.person.id === 'Alec_Baldwin',
    );
    const places = sightings.filter((one) => one.track === baldwin?.sighting.track).map((one) => one.box[0]);
    assert.ok(places.length >= 3);
    const rises = places.every((x, index) => index === 0 || x >= (places[index - 1] ?? 0) - 5);
    assert.ok(rises, `the track of who goes to the right went ${places.join(', ')}`);
  });

  await t.test('two who hide each other and turn round keep their names', () => {
    assert.deepEqual([...of('turning').said].sort(), ['Abdullah_Gul', 'Alec_Baldwin']);
  });

  await t.test('an empty view is hardly looked at and says nothing', () => {
    const { said, sightings, stats } = of('empty');
    assert.deepEqual([said, sightings], [[], []]);
    assert.equal(stats.processed, 120);
    assert.ok(stats.asleep >= 90, `asleep in ${stats.asleep} of 120 frames`);
  });
});

test('nobody is seen outside the zones or under a mask, and a turned camera sees upright', {
  skip,
}, async (t) => {
  const dir = await temporaryDir(t);
  const [clip, turned] = [join(dir, 'clip.avi'), join(dir, 'turned.avi')];
  const actors = [
    { person: 'Alec_Baldwin', photo: 2, fromMs: 0, toMs: 2000, start: [40, 140], stop: [60, 140] },
  ] as const;
  writeActors(clip, 2000, actors);
  writeActors(turned, 2000, actors, { turned: true });
  const rightHalf = [
    [0.5, 0],
    [1, 0],
    [1, 1],
    [0.5, 1],
  ] as const;
  const leftHalf = [
    [0, 0],
    [0.5, 0],
    [0.5, 1],
    [0, 1],
  ] as const;
  const table: readonly [string, CameraView, readonly string[]][] = [
    [clip, { zones: [rightHalf] }, []],
    [clip, { masks: [leftHalf] }, []],
    [clip, { zones: [leftHalf], masks: [rightHalf] }, ['Alec_Baldwin']],
    [clip, { minFace: 200 }, []],
    [clip, { fps: 5 }, ['Alec_Baldwin']],
    [turned, { rotation: 90 }, ['Alec_Baldwin']],
    [turned, {}, []],
  ];
  const watched = await watchAll(
    t,
    table.map(([path, view]) => ({ source: `file:${path}`, view })),
    [['Alec_Baldwin', 4]],
  );
  for (const [index, [, view, said]] of table.entries()) {
    assert.deepEqual(watched[index]?.said, said, JSON.stringify(view));
  }
  const slow = watched[4]?.stats.processed ?? 0;
  assert.ok(slow >= 8 && slow <= 11, `${slow} frames of 2 s at 5 a second`);
  assert.deepEqual(watched[5]?.sightings[0]?.frame, [640, 480]);
});

test('each picture of a folder is decided by itself, the same person twice', { skip }, async (t) => {
  const dir = join(await temporaryDir(t), 'pictures');
  mkdirSync(dir);
  cpSync(photoPath('Alec_Baldwin', 2), join(dir, '1.jpg'));
  cpSync(photoPath('Alec_Baldwin', 4), join(dir, '2.jpg'));
  cpSync(photoPath('Al_Pacino', 1), join(dir, '3.jpg'));
  const { said, judged, ended } = await watch(t, `images:${dir}`, [['Alec_Baldwin', 4]]);
  assert.deepEqual(said, ['Alec_Baldwin', 'Alec_Baldwin', 'unknown']);
  assert.equal(new Set(judged.map((one) => one.sighting.track)).size, 3);
  assert.equal(ended.length, 3);
});
