import assert from 'node:assert/strict';
import { existsSync, statSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { before, type TestContext, test } from 'node:test';
import { connectAsync } from 'mqtt';
import { demoPortraits } from '../../src/camera/demo.js';
import { createImage, decode, encodeJpeg, resizeInto } from '../../src/image/index.js';
import { embedding, openStore, randomNumbers } from '../gallery/support.js';
import { startMosquitto, withoutMosquitto } from '../helpers/broker.js';
import { endlessCamera, moving, turningHead, writePictureClip } from '../helpers/clips.js';
import { temporaryDir } from '../helpers/dirs.js';
import { type Faced, facedIn } from '../helpers/faced.js';
import { demoPhotos } from '../helpers/models.js';

let photographs = '';

before(async () => {
  photographs = join((await demoPhotos())[0] ?? '', '..');
});

/** The pictures of Ada and Bea in a folder of the test's own. */
async function portraits(t: TestContext): Promise<{ dir: string; ada: string; bea: string }> {
  const dir = await temporaryDir(t);
  for (const { name, jpeg } of demoPortraits(photographs))
    await writeFile(join(dir, `${name.toLowerCase()}.jpg`), jpeg);
  return { dir, ada: join(dir, 'ada.jpg'), bea: join(dir, 'bea.jpg') };
}

interface Enrolled {
  readonly person: { id: string; name: string } | null;
  readonly samples: readonly { path: string; accepted: boolean; reason?: string }[];
}

async function ask<Answer>(faced: Faced, ...argv: string[]): Promise<Answer> {
  const { code, answer, stderr } = await faced.json(...argv);
  assert.equal(code, 0, `${argv.join(' ')}: ${JSON.stringify(answer)} ${stderr}`);
  return answer as Answer;
}

/** What each picture was refused for; null for those that were accepted. */
function codes({ samples }: Enrolled): (string | null)[] {
  return samples.map(({ accepted, reason }) => (accepted ? null : (reason?.split(':')[0] ?? '')));
}

test('enrol refuses what is somebody else’s, unlike the others, or there already', async (t) => {
  const faced = await facedIn(t);
  const { dir, ada, bea } = await portraits(t);
  const smaller = join(dir, 'ada-smaller.jpg');
  const picture = decode(await readFile(ada));
  const half = createImage(picture.width / 2, picture.height / 2, 'bgr24');
  resizeInto(picture, half, { interpolation: 'area' });
  await writeFile(smaller, encodeJpeg(half, 80));
  const first = await ask<Enrolled>(faced, 'enroll', 'Ada', bea, ada, smaller);
  // Two of the three are of one person, so the third is the stranger, although it came first.
  assert.equal(codes(first)[0], 'enroll.outlier');
  assert.deepEqual(codes(first).slice(1).toSorted(), ['enroll.nothing-new', null]);
  const cases: [string, string, string][] = [
    ['Bea', ada, 'enroll.duplicate'],
    ['Ada', ada, 'enroll.nothing-new'],
    ['Ada', bea, 'enroll.outlier'],
  ];
  for (const [name, path, code] of cases) {
    const { code: exit, answer } = await faced.json('enroll', name, path);
    assert.equal(exit, 1, `${name} ${path}`);
    assert.deepEqual(codes(answer as Enrolled), [code]);
  }
  const reason = ((await faced.json('enroll', 'Bea', ada)).answer as Enrolled).samples[0]?.reason;
  assert.match(reason ?? '', /this face is already Ada/);
  const forced = await ask<Enrolled>(faced, 'enroll', 'Twin', ada, '--force');
  assert.equal(forced.person?.name, 'Twin');
});

test('kept pictures: shown, embedded again for another recogniser, exported, forgotten', async (t) => {
  const faced = await facedIn(t, { FACED_GALLERY_KEEP_IMAGES: 'true' });
  const { dir, ada, bea } = await portraits(t);
  const { person } = await ask<Enrolled>(faced, 'enroll', 'Ada', ada);
  await ask<Enrolled>(faced, 'enroll', 'Bea', bea);
  const { samples } = await ask<{ samples: { id: string; image: boolean }[] }>(
    faced,
    'people',
    'samples',
    'Ada',
  );
  assert.deepEqual(
    samples.map(({ image }) => image),
    [true],
  );
  const out = join(dir, 'face.jpg');
  await ask(faced, 'people', 'image', samples[0]?.id ?? '', '--out', out);
  assert.equal(statSync(out).mode & 0o777, 0o600);
  const shown = decode(await readFile(out));
  assert.deepEqual([shown.width, shown.height], [112, 112]);

  // As if another recogniser had made the sample.
  const { store } = await openStore(t, { directory: faced.stateDir });
  const other = embedding(randomNumbers(7), 'another/1');
  await store.replaceEmbeddings([{ sample: samples[0]?.id ?? '', embedding: other }]);
  await store.stop();
  const doctor = (await faced.json('doctor')).answer as {
    checks: { name: string; ok: boolean; fix?: string }[];
  };
  const check = doctor.checks.find(({ name }) => name === 'samples');
  assert.equal(check?.ok, false);
  assert.match(check?.fix ?? '', /faced people reembed/);
  interface Identified {
    images: { faces: { decision: string; person?: { name: string }; similarity?: number }[] }[];
  }
  const lost = await ask<Identified>(faced, 'identify', ada);
  assert.equal(lost.images[0]?.faces[0]?.decision, 'unknown', 'another space is never compared');
  assert.deepEqual(await ask(faced, 'people', 'reembed'), { reembedded: 1, failed: 0, withoutImage: 0 });
  const found = await ask<Identified>(faced, 'identify', ada);
  assert.equal(found.images[0]?.faces[0]?.person?.name, 'Ada');
  assert.ok((found.images[0]?.faces[0]?.similarity ?? 0) > 0.99, 'the crop says what the picture said');

  await ask(faced, 'people', 'consent', 'Ada', '--text', 'house 1', '--date', '2026-11-01');
  const file = join(dir, 'ada.json');
  await ask(faced, 'people', 'export', 'Ada', '--out', file);
  const [exported] = JSON.parse(await readFile(file, 'utf8')).people;
  assert.equal(exported.id, person?.id);
  assert.equal(exported.consents[0].version, 'house 1');
  assert.equal(exported.consents[0].givenAt, Date.parse('2026-11-01'));
  assert.ok(exported.samples[0].image.length > 1000);
  assert.deepEqual(exported.events, []);
  assert.deepEqual(
    exported.audit.map(({ kind }: { kind: string }) => kind),
    ['enroll', 'consent.given', 'export'],
  );
  const elsewhere = await facedIn(t);
  assert.deepEqual(await ask(elsewhere, 'people', 'import', file), { people: 1, samples: 1 });
  const there = await ask<{ samples: { image: boolean }[] }>(elsewhere, 'people', 'samples', 'Ada');
  assert.equal(there.samples[0]?.image, true, 'the picture came along');
  assert.equal((await ask<{ consents: object[] }>(elsewhere, 'people', 'consent', 'Ada')).consents.length, 1);

  assert.deepEqual(await ask(faced, 'people', 'forget-images'), { images: 2 });
  const gone = await faced.json('people', 'image', samples[0]?.id ?? '', '--out', join(dir, 'none.jpg'));
  assert.equal((gone.answer as { error: { code: string } }).error.code, 'gallery.no-image');
  assert.equal(existsSync(join(dir, 'none.jpg')), false);
});

test('an import is held to the same rules as an enrolment, and says what it left out', async (t) => {
  const one = await facedIn(t);
  const two = await facedIn(t);
  const { dir, ada, bea } = await portraits(t);
  await ask(one, 'enroll', 'Ada', ada);
  await ask(two, 'enroll', 'Adelheid', ada);
  const file = join(dir, 'people.json');
  await ask(one, 'people', 'export', '--out', file);
  interface Imported {
    people: number;
    samples: number;
    refused?: { person: string; code: string; reason: string }[];
  }
  const left = await ask<Imported>(two, 'people', 'import', file);
  assert.deepEqual([left.people, left.samples], [0, 0]);
  assert.deepEqual(
    left.refused?.map(({ person, code, reason }) => [person, code, reason]),
    [['Ada', 'enroll.duplicate', 'this face is already Adelheid']],
  );
  const forced = await ask<Imported>(two, 'people', 'import', file, '--force');
  assert.deepEqual(forced, { people: 1, samples: 1 });
  // A promise that holds for one sample and not for two: what is here already does not count a second time.
  await writeFile(join(one.stateDir, 'faced.yaml'), 'recognition: {strangersPerThousand: 0.001}\n');
  assert.deepEqual(await ask<Imported>(one, 'people', 'import', file), { people: 0, samples: 0 });
  const { code, answer } = await one.json('enroll', 'Bea', bea);
  assert.deepEqual([code, (answer as { error: { code: string } }).error.code], [1, 'promise.unmeasured']);
});

test('a stranger is kept when asked for, named later with all samples, and known from then on', async (t) => {
  const faced = await facedIn(t, { FACED_GALLERY_KEEP_UNKNOWN_HOURS: '1', FACED_MQTT_EMBEDDED_PORT: '0' });
  const { dir, ada } = await portraits(t);
  const clip = join(dir, 'ada.avi');
  const image = decode(await readFile(ada));
  writePictureClip(clip, [{ image: { ...image, data: image.data }, seconds: 3 }]);
  assert.equal((await faced.run('run', '--source', `file:${clip}`, '--once')).code, 0);
  const { unknown } = await ask<{ unknown: { group: string; faces: number }[] }>(
    faced,
    'people',
    'unknown',
    'list',
  );
  assert.equal(unknown.length, 1);
  const { group, faces } = unknown[0] ?? { group: '', faces: 0 };
  assert.ok(faces >= 1);
  const out = join(dir, 'stranger.jpg');
  await ask(faced, 'people', 'unknown', 'show', group, '--out', out);
  assert.equal(decode(await readFile(out)).width, 112);
  const named = await ask<{ person: { name: string }; samples: number; refused: number }>(
    ...([faced, 'people', 'unknown', 'name', group, 'Ada', '--consent', 'house 1'] as const),
  );
  assert.equal(named.person.name, 'Ada');
  assert.equal(named.samples + named.refused, faces);
  assert.deepEqual(await ask(faced, 'people', 'unknown', 'list'), { unknown: [] });
  const { images } = await ask<{ images: { faces: { decision: string }[] }[] }>(faced, 'identify', ada);
  assert.equal(images[0]?.faces[0]?.decision, 'known');
  const again = await faced.json('people', 'unknown', 'name', group, 'Ada');
  assert.equal((again.answer as { error: { code: string } }).error.code, 'gallery.not-found');

  // Named, seen, and then forgotten by withdrawal: the events keep an id, no name.
  assert.equal((await faced.run('run', '--source', `file:${clip}`, '--once')).code, 0);
  const [before] = (await ask<{ people: { events: object[] }[] }>(faced, 'people', 'export', 'Ada')).people;
  assert.equal(before?.events.length, 1);
  await ask(faced, 'people', 'withdraw', 'Ada');
  assert.deepEqual(await ask(faced, 'people', 'list'), { people: [] });
  const audit = await faced.run('audit', 'export');
  assert.match(audit.stdout, /"consent\.withdrawn"/);
  assert.doesNotMatch(audit.stdout, /Ada/);
  const { store } = await openStore(t, { directory: faced.stateDir });
  const names = (await store.events({ limit: 10 })).flatMap(({ person }) => person?.name ?? []);
  assert.deepEqual(names, ['(removed)']);
});

test('strangers are kept by nobody who did not ask for it', async (t) => {
  const faced = await facedIn(t, { FACED_MQTT_EMBEDDED_PORT: '0' });
  const { dir, ada } = await portraits(t);
  const clip = join(dir, 'ada.avi');
  const image = decode(await readFile(ada));
  writePictureClip(clip, [{ image: { ...image, data: image.data }, seconds: 2 }]);
  assert.equal((await faced.run('run', '--source', `file:${clip}`, '--once')).code, 0);
  assert.deepEqual(await ask(faced, 'people', 'unknown', 'list'), { unknown: [] });
});

test('a clip as camera leads through an enrolment by command, and says what it wants', async (t) => {
  const faced = await facedIn(t);
  const dir = await temporaryDir(t);
  const clip = join(dir, 'head.avi');
  const { plain, mirrored } = await turningHead();
  writePictureClip(clip, [
    { image: plain, seconds: 6 },
    { image: mirrored, seconds: 8 },
  ]);
  const { code, answer, stderr } = await faced.json('enroll', 'Carl', '--source', `file:${clip}`);
  assert.equal(code, 0, stderr);
  const { person, samples } = answer as Enrolled;
  assert.equal(person?.name, 'Carl');
  assert.ok(samples.length >= 1 && samples.length <= 3);
  assert.ok(samples.some(({ accepted }) => accepted));
  assert.match(stderr, /0\/3 {2}Look straight into the camera/);
  const empty = join(dir, 'empty.avi');
  writePictureClip(empty, [{ image: createImage(400, 460, 'bgr24'), seconds: 1 }]);
  const nobody = await faced.json('enroll', 'Dora', '--source', `file:${empty}`);
  assert.equal(nobody.code, 1);
  assert.match(JSON.stringify(nobody.answer), /source\.open-failed|enroll\.timed-out/);
  const none = await faced.json('enroll', 'Dora', '--camera', 'garden');
  assert.equal((none.answer as { error: { code: string } }).error.code, 'source.invalid');
  assert.equal((await ask<{ people: object[] }>(faced, 'people', 'list')).people.length, 1);
});

test('enroll/set with a camera of the daemon: progress, one result, and the audit’s head is retained', {
  skip: withoutMosquitto,
}, async (t) => {
  const broker = await startMosquitto(t);
  const dir = await temporaryDir(t);
  const { plain } = await turningHead();
  const faced = await facedIn(t, { FACED_MQTT_URL: broker.url, FACED_DEVICE: 'porch' });
  const config = join(dir, 'faced.yaml');
  await writeFile(config, `cameras: {door: {source: "${endlessCamera(dir, moving(plain))}"}}\n`);
  const listener = await connectAsync(broker.url);
  t.after(() => listener.endAsync());
  const heard: { topic: string; body: Record<string, unknown>; retain: boolean }[] = [];
  const waiting: (() => void)[] = [];
  listener.on('message', (topic, payload, { retain }) => {
    if (!topic.endsWith('/status')) heard.push({ topic, body: JSON.parse(payload.toString()), retain });
    for (const wake of waiting.splice(0)) wake();
  });
  const next = async (suffix: string, id?: string) => {
    for (;;) {
      const found = heard.find(
        ({ topic, body }) => topic === `faced/porch/${suffix}` && (id === undefined || body.id === id),
      );
      if (found !== undefined) return found.body;
      await new Promise<void>((resolve) => waiting.push(resolve));
    }
  };
  await listener.subscribeAsync('faced/porch/#', { qos: 1 });
  const daemon = faced.spawn('run', '--config', config);
  await daemon.said(/faced is running/);
  const exp = Math.floor(Date.now() / 1000) + 60;
  const order = (id: string, name: string) =>
    listener.publishAsync('faced/porch/enroll/set', JSON.stringify({ id, exp, name, camera: 'door' }), {
      qos: 1,
    });
  // Only one can be led at a time.
  await Promise.all([order('e1', 'Carl'), order('e2', 'Dora')]);
  assert.equal((await next('enroll/progress')).advice, 'look-at-camera');
  const other = (await next('enroll/result', 'e2')) as { error: { code: string; message: string } };
  assert.equal(other.error?.code, 'busy', JSON.stringify(other));
  assert.match(other.error.message, /being learnt/);
  const result = (await next('enroll/result', 'e1')) as { ok: boolean; person: { name: string } };
  assert.equal(result.ok, true, JSON.stringify(result));
  assert.equal(result.person.name, 'Carl');
  const progress = heard.filter(({ topic }) => topic === 'faced/porch/enroll/progress');
  assert.ok(progress.every(({ body }) => body.id === 'e1' && !JSON.stringify(body).includes('Carl')));

  // The same face under another name is refused as soon as it is seen.
  const twin = await faced.json('enroll', 'Dora', '--camera', '--config', config);
  assert.equal((twin.answer as { error: { code: string } }).error.code, 'enroll.duplicate');
  assert.match(twin.stderr, /Look straight into the camera/, 'the progress crosses the control socket');

  const head = join(dir, 'head.json');
  await writeFile(head, JSON.stringify(await next('audit/head')));
  const state = await ask<{ ok: boolean }>(faced, 'audit', 'verify', '--head', head, '--config', config);
  assert.equal(state.ok, true);
  const rows = await faced.run('audit', 'export', '--config', config);
  assert.match(rows.stdout, /"kind":"start"/);
  assert.match(rows.stdout, /"kind":"enroll","actor":"mqtt"/);
  daemon.child.kill('SIGTERM');
  assert.equal(await daemon.ended, 0, daemon.stderr());
  const again = await connectAsync(broker.url);
  t.after(() => again.endAsync());
  const retained = new Promise<boolean>((resolve) =>
    again.once('message', (_t, _p, packet) => resolve(packet.retain)),
  );
  await again.subscribeAsync('faced/porch/audit/head', { qos: 1 });
  assert.equal(await retained, true);
});

test('backups by command: made, verified, turned, restored', async (t) => {
  const faced = await facedIn(t);
  const { dir, ada, bea } = await portraits(t);
  await ask(faced, 'enroll', 'Ada', ada);
  const folder = join(dir, 'backups');
  interface Made {
    path: string;
    keyId: string;
    keep: string;
    people: number;
  }
  const made = await ask<Made>(faced, 'backup', 'rotate', folder, '--keep', '2');
  assert.match(made.keep, new RegExp(`${made.keyId}.*gallery\\.key.*apart from the backup`, 's'));
  const verified = await ask<{ key: { opens: boolean }; problems: string[] }>(
    faced,
    'backup',
    'verify',
    made.path,
  );
  assert.deepEqual([verified.key.opens, verified.problems], [true, []]);
  await ask(faced, 'people', 'remove', 'Ada');
  await ask(faced, 'enroll', 'Bea', bea);
  const single = join(dir, 'single.db');
  await ask(faced, 'backup', 'create', single);
  const refused = await faced.json('backup', 'restore', single);
  assert.equal((refused.answer as { error: { code: string } }).error.code, 'gallery.occupied');
  const back = await ask<{ people: number; deletedAgain: number }>(
    faced,
    'backup',
    'restore',
    made.path,
    '--replace',
  );
  assert.deepEqual([back.people, back.deletedAgain], [0, 1], 'Ada was deleted since and stays deleted');
  await ask(faced, 'backup', 'restore', single);
  const { people } = await ask<{ people: { name: string }[] }>(faced, 'people', 'list');
  assert.deepEqual(
    people.map(({ name }) => name),
    ['Bea'],
  );
  const elsewhere = await facedIn(t);
  const foreign = await elsewhere.json('backup', 'verify', single);
  assert.equal(foreign.code, 1);
  for (const argv of [['backup'], ['backup', 'create'], ['backup', 'rotate', folder, '--keep', '0']])
    assert.equal((await faced.run(...argv)).code, 2, argv.join(' '));
});
