import assert from 'node:assert/strict';
import { cpSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import type { CameraView } from '../../src/pipeline/view.js';
import { temporaryDir } from '../helpers/dirs.js';
import { photoPath, writeActors } from './clips.js';
import { watch, watchAll, withoutModels } from './watch.js';

const skip = withoutModels();

for (const [person, shown, enrolled] of [
  ['Abdullah_Gul', 1, 6],
  ['Alec_Baldwin', 2, 4],
  ['Alexandra_Stevenson', 1, 2],
] as const) {
  test(`one person, enrolled from another picture, is announced once (${person})`, { skip }, async (t) => {
    const clip = join(await temporaryDir(t), 'clip.avi');
    writeActors(clip, 4000, [
      {
        person,
        photo: shown,
        fromMs: 500,
        toMs: 3600,
        start: [60, 100],
        stop: [300, 140],
        hidden: [2000, 2300],
      },
    ]);
    const people = [
      [person, enrolled],
      ['Adam_Sandler', 1],
      ['Al_Sharpton', 1],
    ] as const;
    const { said, ended, judged, stats } = await watch(t, `file:${clip}`, people);
    assert.deepEqual(said, [person]);
    assert.equal(ended.length, 1, 'one track');
    assert.equal(stats.failed, 0);
    const first = judged[0]?.sighting.mediaMs ?? Number.POSITIVE_INFINITY;
    assert.ok(first <= 500 + 300, `decided by the frame at ${first} ms, face from 500 ms`);
  });
}

test('a stranger is announced once, and not as anybody', { skip }, async (t) => {
  const clip = join(await temporaryDir(t), 'clip.avi');
  writeActors(clip, 5000, [
    { person: 'Al_Pacino', photo: 1, fromMs: 200, toMs: 2500, start: [60, 100], stop: [200, 120] },
    // Gone for a second, and there again elsewhere.
    { person: 'Al_Pacino', photo: 1, fromMs: 3500, toMs: 4900, start: [400, 200], stop: [420, 210] },
  ]);
  const people = [
    ['Adam_Sandler', 1],
    ['Al_Sharpton', 1],
    ['Abdullah_Gul', 6],
  ] as const;
  assert.deepEqual((await watch(t, `file:${clip}`, people)).said, ['unknown']);
});

test('two people who cross are announced once each, with their own names', { skip }, async (t) => {
  const clip = join(await temporaryDir(t), 'clip.avi');
  writeActors(clip, 5000, [
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
  ]);
  const people = [
    ['Alec_Baldwin', 4],
    ['Abdullah_Gul', 6],
    ['Adam_Sandler', 1],
  ] as const;
  const { said, judged, sightings } = await watch(t, `file:${clip}`, people);
  assert.deepEqual([...said].sort(), ['Abdullah_Gul', 'Alec_Baldwin']);
  // Behind the names: the track that began on the left is the one that ends on the right.
  const baldwin = judged.find(
    ({ decision }) => decision.kind === 'known' && decision.person.id === 'Alec_Baldwin',
  );
  const places = sightings.filter((one) => one.track === baldwin?.sighting.track).map((one) => one.box[0]);
  const rises = places.every((x, index) => index === 0 || x >= (places[index - 1] ?? 0) - 5);
  assert.ok(rises, `the track of who goes to the right went ${places.join(', ')}`);
});

test('two who are hidden by each other and turn round keep their names', { skip }, async (t) => {
  const clip = join(await temporaryDir(t), 'clip.avi');
  writeActors(clip, 8000, [
    { person: 'Alec_Baldwin', photo: 2, fromMs: 200, toMs: 3000, start: [20, 120], stop: [215, 120] },
    { person: 'Abdullah_Gul', photo: 1, fromMs: 200, toMs: 3000, start: [420, 120], stop: [225, 120] },
    { person: 'Alec_Baldwin', photo: 2, fromMs: 3000, toMs: 7500, start: [215, 120], stop: [20, 120] },
    { person: 'Abdullah_Gul', photo: 1, fromMs: 3000, toMs: 7500, start: [225, 120], stop: [420, 120] },
  ]);
  const people = [
    ['Alec_Baldwin', 4],
    ['Abdullah_Gul', 6],
    ['Adam_Sandler', 1],
  ] as const;
  assert.deepEqual([...(await watch(t, `file:${clip}`, people)).said].sort(), [
    'Abdullah_Gul',
    'Alec_Baldwin',
  ]);
});

test('an empty view is hardly looked at and says nothing', { skip }, async (t) => {
  const clip = join(await temporaryDir(t), 'clip.avi');
  writeActors(clip, 8000, []);
  const { said, sightings, stats } = await watch(t, `file:${clip}`, []);
  assert.deepEqual([said, sightings], [[], []]);
  assert.equal(stats.processed, 120);
  assert.ok(stats.asleep >= 90, `asleep in ${stats.asleep} of 120 frames`);
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
