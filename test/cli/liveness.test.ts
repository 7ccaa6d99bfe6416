import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { encodeJpeg } from '../../src/image/index.js';
import { FOR_PICTURES, openModels } from '../../src/inference/index.js';
import { dataPath, withoutData } from '../helpers/data.js';
import { temporaryDir } from '../helpers/dirs.js';
import { facedIn } from '../helpers/faced.js';
import { type ClipKind, type ClipOptions, framesOf } from '../helpers/liveness/clips.js';
import type { Portrait } from '../helpers/liveness/portrait.js';
import { portraitOf, writeLivenessClip } from '../helpers/liveness/portraits.js';
import { testStore } from '../helpers/models.js';
import { writeClip } from '../helpers/pictures.js';

interface Clip {
  readonly path: string;
  readonly frames: number;
  readonly live: boolean;
  readonly passive: number | null;
  readonly active: number | null;
  readonly reason: string;
  readonly leftOut?: number;
  readonly error?: { readonly code: string; readonly message: string };
}

const FPS = 12;
const SEED = 3;
/** A picture that ends where it has hardly begun. */
const CUT = Uint8Array.of(0xff, 0xd8, 0xff, 0xe0, 0, 16);

async function cast(t: TestContext): Promise<{ subject: Portrait; other: Portrait }> {
  const { detector } = await openModels({ store: await testStore(t), detector: FOR_PICTURES });
  const photo = async (name: string): Promise<Portrait> => {
    const portrait = await portraitOf(dataPath('lfw', 'images', name, `${name}_0001.jpg`), detector);
    assert.ok(portrait !== null, name);
    return portrait;
  };
  return { subject: await photo(PEOPLE[0]), other: await photo(PEOPLE[1]) };
}

const PEOPLE = ['Abbas_Kiarostami', 'Aaron_Sorkin'] as const;
const ATTACKS = ['print-still', 'print-tilted', 'print-bent', 'mask-eyes', 'screen-photo'] as const;
const LIVE = ['live-turn', 'live-side'] as const;

test('films of pictures are refused and those of a head that turns are not', {
  skip: withoutData('lfw'),
}, async (t) => {
  const dir = await temporaryDir(t);
  const people = await cast(t);
  const paths = [...ATTACKS, ...LIVE].map((kind) => {
    const path = join(dir, `${kind}.avi`);
    writeLivenessClip(path, kind, people, { seed: SEED, fps: FPS });
    return path;
  });
  const folder = join(dir, 'frames');
  writeFrames(folder, 'live-turn', people);
  const holed = join(dir, 'holed');
  writeFrames(holed, 'live-turn', people);
  for (const name of ['7.jpg', '20.jpg']) writeFileSync(join(holed, name), CUT);
  const photograph = join(dir, 'photograph.jpg');
  writeFileSync(photograph, encodeJpeg(people.subject.image));
  const faced = await facedIn(t);
  const { code, answer } = await faced.json('liveness', ...paths, folder, holed, photograph);
  assert.equal(code, 0);
  const { clips } = answer as { clips: Clip[] };
  const told = clips.map(({ path, live }) => [path.slice(dir.length + 1).replace('.avi', ''), live]);
  assert.deepEqual(told, [
    ...ATTACKS.map((kind) => [kind, false]),
    ...LIVE.map((kind) => [kind, true]),
    ['frames', true],
    ['holed', true],
    ['photograph.jpg', false],
  ]);
  const keys = ['path', 'frames', 'live', 'passive', 'active', 'reason'];
  for (const clip of clips)
    assert.deepEqual(Object.keys(clip), clip.path === holed ? [...keys, 'leftOut'] : keys);
  assert.equal(clips.at(-2)?.leftOut, 2);
  for (const { frames, passive, active, reason, leftOut = 0, error } of clips.slice(0, -1)) {
    assert.equal(frames, 3 * FPS - leftOut);
    assert.ok(passive !== null && passive >= 0 && passive <= 1);
    assert.ok(active !== null && active >= 0 && active <= 1);
    assert.match(reason, /^[a-z-]+$/);
    assert.equal(error, undefined);
  }
  assert.equal(clips.at(-1)?.reason, 'single-picture');
  assert.equal(clips.at(-1)?.frames, 1);

  // Another policy: nothing is asked for, and a passive score that nobody reaches.
  const still = paths[0] ?? '';
  const off = await faced.json('liveness', still, '--mode', 'off');
  assert.equal((off.answer as { clips: Clip[] }).clips[0]?.live, true);
  const strict = await facedIn(t, { FACED_LIVENESS_MODE: 'both', FACED_LIVENESS_MINIMUM: '1' });
  const turned = paths[ATTACKS.length] ?? '';
  const both = await strict.json('liveness', turned);
  const [clip] = (both.answer as { clips: Clip[] }).clips;
  assert.deepEqual([clip?.live, clip?.reason], [false, 'passive-low']);
});

function writeFrames(folder: string, kind: ClipKind, people: { subject: Portrait; other: Portrait }): void {
  mkdirSync(folder);
  let index = 0;
  // Numbers without leading zeros: 10 comes after 9.
  for (const frame of framesOf(kind, people, { seed: SEED, fps: FPS }))
    writeFileSync(join(folder, `${++index}.jpg`), encodeJpeg(frame));
}

test('a camera that asks for signs of life calls a picture a spoof', {
  skip: withoutData('lfw'),
}, async (t) => {
  const dir = await temporaryDir(t);
  const people = await cast(t);
  const eventOf = async (kind: ClipKind) => {
    const clip = join(dir, `${kind}.avi`);
    writeLivenessClip(clip, kind, people, { seed: SEED, fps: FPS, seconds: 4 });
    const config = join(dir, `${kind}.yaml`);
    writeFileSync(config, `cameras: {door: {source: 'file:${clip}', fps: 12, liveness: active}}\n`);
    const faced = await facedIn(t, { FACED_MQTT_EMBEDDED_PORT: '0' });
    const { code, stdout, stderr } = await faced.run('run', '--config', config, '--once', '--json');
    assert.equal(code, 0, stderr);
    return stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as { decision: string; liveness: number | null });
  };
  const [attack, ...more] = await eventOf('print-tilted');
  assert.deepEqual([attack?.decision, more.length], ['spoof', 0]);
  assert.ok(attack?.liveness !== null && (attack?.liveness ?? 1) < 1, String(attack?.liveness));
  const [alive] = await eventOf('live-side');
  assert.deepEqual([alive?.decision, alive?.liveness], ['unknown', 1]);
});

const ODD: readonly {
  readonly name: string;
  readonly kind: ClipKind;
  readonly options: Partial<ClipOptions>;
  readonly live: boolean;
  readonly reason: RegExp;
}[] = [
  { name: 'slow', kind: 'live-side', options: { fps: 5 }, live: true, reason: /^solid/ },
  { name: 'half as fast', kind: 'live-turn', options: { fps: 7 }, live: true, reason: /^solid/ },
  { name: 'fast', kind: 'live-side', options: { fps: 60 }, live: true, reason: /^solid/ },
  { name: 'small', kind: 'live-side', options: { width: 160, height: 120 }, live: true, reason: /^solid/ },
  { name: 'short', kind: 'live-side', options: { seconds: 0.4 }, live: false, reason: /^no-face$/ },
  {
    name: 'one-frame',
    kind: 'live-side',
    options: { seconds: 1 / FPS },
    live: false,
    reason: /^single-picture$/,
  },
];

test('films of any rate and size are judged, and too short ones are not alive; many of them warn of nothing', {
  skip: withoutData('lfw'),
}, async (t) => {
  const dir = await temporaryDir(t);
  const people = await cast(t);
  const paths = ODD.map(({ name, kind, options }) => {
    const path = join(dir, `${name}.avi`);
    writeLivenessClip(path, kind, people, { seed: SEED, fps: FPS, ...options });
    return path;
  });
  const faced = await facedIn(t);
  const again = Array.from({ length: 11 }, () => paths[4] ?? '');
  const { code, stdout, stderr } = await faced.run('liveness', ...paths, ...again, '--json');
  assert.equal(code, 0, stderr);
  assert.doesNotMatch(stderr, /Warning/);
  const { clips } = JSON.parse(stdout) as { clips: Clip[] };
  for (const [at, { name, live, reason }] of ODD.entries()) {
    assert.equal(clips[at]?.live, live, name);
    assert.match(clips[at]?.reason ?? '', reason, name);
  }
});

test('clips that cannot be read are answered one by one, and the command fails', async (t) => {
  const dir = await temporaryDir(t);
  const [empty, text, folder, cut, faceless] = ['empty.avi', 'text.mp4', 'folder', 'cut.jpg', 'wall.avi'].map(
    (name) => join(dir, name),
  ) as [string, string, string, string, string];
  writeFileSync(empty, '');
  writeFileSync(text, 'this is no film\n'.repeat(100));
  mkdirSync(folder);
  writeFileSync(cut, CUT);
  const broken = join(dir, 'broken');
  mkdirSync(broken);
  for (const name of ['1.jpg', '2.jpg', '3.jpg']) writeFileSync(join(broken, name), CUT);
  writeClip(faceless, { frames: 12 });
  const faced = await facedIn(t);
  const missing = join(dir, 'missing.avi');
  const { code, answer } = await faced.json('liveness', missing, empty, text, folder, cut, broken, faceless);
  assert.equal(code, 1);
  const { clips } = answer as { clips: Clip[] };
  assert.deepEqual(
    clips.map(({ live, reason, error }) => [live, reason, error?.code]),
    [
      [false, 'unreadable', 'usage.not-found'],
      [false, 'unreadable', 'source.open-failed'],
      [false, 'unreadable', 'source.open-failed'],
      [false, 'unreadable', 'source.open-failed'],
      [false, 'unreadable', 'image.unreadable'],
      [false, 'unreadable', 'image.unreadable'],
      [false, 'no-face', undefined],
    ],
  );
  assert.equal(clips[6]?.frames, 12);
  assert.equal((await faced.run('liveness')).code, 2);
  assert.equal((await faced.run('liveness', faceless, '--mode', 'sometimes')).code, 2);
  assert.equal((await faced.run('liveness', faceless)).code, 0);
});
