import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { before, test } from 'node:test';
import { connectAsync } from 'mqtt';
import { demoPortraits } from '../../src/camera/demo.js';
import { createImage, decode, resizeInto, VideoWriter } from '../../src/image/index.js';
import { freePort, startMosquitto, withoutMosquitto } from '../helpers/broker.js';
import { temporaryDir } from '../helpers/dirs.js';
import { facedIn } from '../helpers/faced.js';
import { demoPhotos } from '../helpers/models.js';

interface Event {
  readonly decision: string;
  readonly person: { readonly name: string } | null;
  readonly track: string;
}

let photographs = '';

before(async () => {
  photographs = join((await demoPhotos())[0] ?? '', '..');
});

function portrait(name: string): Uint8Array {
  const found = demoPortraits(photographs).find((one) => one.name === name);
  assert.ok(found);
  return found.jpeg;
}

/** Two seconds of one face that moves a little, as a Motion JPEG clip. */
async function clipOf(path: string, jpeg: Uint8Array): Promise<void> {
  const face = decode(jpeg);
  const frame = createImage(640, 480, 'bgr24');
  const writer = new VideoWriter(path, { width: 640, height: 480, fps: 15 });
  for (let index = 0; index < 30; index++) {
    const height = face.height * 0.9 - index;
    const roi = { x: -0.2 * face.width, y: index / 2, width: (height * 4) / 3, height };
    resizeInto(face, frame, { roi });
    writer.write(frame);
  }
  writer.close();
}

test('the demo: two people announced once each, strangers as unknown, the same over a real broker', {
  skip: withoutMosquitto,
}, async (t) => {
  const broker = await startMosquitto(t);
  const faced = await facedIn(t, { FACED_MQTT_URL: broker.url, FACED_DEVICE: 'porch' });
  const listener = await connectAsync(broker.url);
  t.after(() => listener.endAsync());
  const heard: Event[] = [];
  listener.on('message', (topic, payload) => {
    if (topic === 'faced/porch/recognition') heard.push(JSON.parse(payload.toString()));
  });
  await listener.subscribeAsync('faced/porch/#', { qos: 1 });
  const { code, stdout, stderr } = await faced.run('run', '--source', 'demo', '--once', '--json');
  assert.equal(code, 0, stderr);
  const printed: Event[] = stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
  const named = printed.flatMap(({ person }) => person?.name ?? []);
  assert.deepEqual(named.toSorted(), ['Ada', 'Bea']);
  assert.ok(printed.filter(({ decision }) => decision === 'unknown').length >= 2);
  assert.deepEqual(heard, printed);
  const { answer } = await faced.json('people', 'list');
  assert.deepEqual(answer, { people: [] }, 'the people of the demo are not in the real gallery');
});

test('enrol, identify, rename, export, import, remove', async (t) => {
  const dir = await temporaryDir(t);
  const faced = await facedIn(t);
  const [ada, bea, group] = [join(dir, 'ada.jpg'), join(dir, 'bea.jpg'), join(photographs, 'sample6.jpg')];
  await writeFile(ada, portrait('Ada'));
  await writeFile(bea, portrait('Bea'));
  const enrolled = await faced.json('enroll', 'Ada / 👩', ada, group, join(dir, 'nothing.jpg'));
  assert.equal(enrolled.code, 0, enrolled.stderr);
  const { person, samples } = enrolled.answer as {
    person: { id: string; name: string };
    samples: { accepted: boolean; reason?: string }[];
  };
  assert.equal(person.name, 'Ada / 👩');
  assert.deepEqual(
    samples.map(({ accepted }) => accepted),
    [true, false, false],
  );
  assert.match(samples[1]?.reason ?? '', /^enroll\.several-faces: /);
  assert.match(samples[2]?.reason ?? '', /^usage\.not-found: /);

  const identified = await faced.json('identify', ada, bea);
  assert.equal(identified.code, 0);
  const { images } = identified.answer as {
    images: { path: string; faces: { decision: string; person?: { id: string }; landmarks: number[][] }[] }[];
  };
  assert.deepEqual(
    images.map(({ faces }) => faces.map(({ decision }) => decision)),
    [['known'], ['unknown']],
  );
  assert.equal(images[0]?.faces[0]?.person?.id, person.id);
  assert.equal(images[0]?.faces[0]?.landmarks.length, 5);

  assert.equal((await faced.run('people', 'rename', 'Ada / 👩', 'Ada')).code, 0);
  const file = join(dir, 'people.json');
  assert.equal((await faced.run('people', 'export', '--out', file)).code, 0);
  const other = await facedIn(t);
  assert.deepEqual((await other.json('people', 'import', file)).answer, { people: 1, samples: 1 });
  const list = (await other.json('people', 'list')).answer as {
    people: { id: string; name: string; samples: number }[];
  };
  assert.deepEqual(
    list.people.map(({ id, name, samples }) => ({ id, name, samples })),
    [{ id: person.id, name: 'Ada', samples: 1 }],
  );
  const slip = await other.json('people', 'remove', 'Ada', 'nobody');
  assert.equal((slip.answer as { error: { code: string } }).error.code, 'gallery.not-found');
  assert.equal(((await other.json('people', 'list')).answer as { people: unknown[] }).people.length, 1);
  assert.equal((await other.run('people', 'remove', 'Ada', 'Ada')).code, 0);
  assert.deepEqual((await other.json('people', 'list')).answer, { people: [] });
  const audit = await other.json('audit', 'verify');
  assert.equal(audit.code, 0);
  assert.equal((audit.answer as { ok: boolean }).ok, true);
});

test('wrong use is 2, failure is 1, and both say what to do', async (t) => {
  const dir = await temporaryDir(t);
  const faced = await facedIn(t);
  const broken = join(dir, 'broken.jpg');
  await writeFile(broken, 'no picture');
  const cases: [string[], number, RegExp][] = [
    [['dance'], 2, /there is no command "dance"/],
    [[], 2, /enroll/],
    [['--json'], 2, /"commands"/],
    [['enroll', 'Ada'], 2, /enroll takes a NAME/],
    [['run', '--sauce', 'demo'], 2, /sauce/],
    [['people', 'list', '--config', join(dir, 'none.yaml')], 1, /config\.unreadable/],
    [['run', '--source', 'camera1', '--once'], 1, /source\.invalid.*\n.*v4l2:/s],
    [['run', '--source', `file:${join(dir, 'none.avi')}`, '--once'], 1, /none\.avi/],
    [['enroll', 'Ada', broken], 1, /image\.unreadable/],
    [['identify', broken], 1, /image\.unreadable/],
    [['people', 'remove', 'nobody'], 1, /gallery\.not-found/],
  ];
  for (const [argv, code, says] of cases) {
    const result = await faced.run(...argv);
    assert.equal(result.code, code, `${argv.join(' ')}: ${result.stderr}`);
    assert.match(result.stdout + result.stderr, says);
  }
  const picture = join(dir, 'ada.jpg');
  await writeFile(picture, portrait('Ada'));
  const long = await faced.json('enroll', 'x'.repeat(300), picture);
  assert.equal(long.code, 1);
  assert.equal((long.answer as { error: { code: string } }).error.code, 'gallery.invalid-name');
});

test('commands work beside the running daemon; a second daemon is refused; SIGTERM ends it cleanly', async (t) => {
  const dir = await temporaryDir(t);
  const faced = await facedIn(t, { FACED_MQTT_EMBEDDED_PORT: '0' });
  const daemon = faced.spawn('run');
  await daemon.said(/faced is running/);
  const picture = join(dir, 'ada.jpg');
  await writeFile(picture, portrait('Ada'));
  assert.equal((await faced.run('enroll', 'Ada', picture)).code, 0);
  const identified = (await faced.json('identify', picture)).answer as {
    images: { faces: { decision: string }[] }[];
  };
  assert.equal(identified.images[0]?.faces[0]?.decision, 'known');
  const second = await faced.run('run');
  assert.equal(second.code, 1);
  assert.match(second.stderr, /gallery\.locked/);
  daemon.child.kill('SIGTERM');
  assert.equal(await daemon.ended, 0, daemon.stderr());
  assert.deepEqual((await faced.json('people', 'list')).code, 0);
});

for (const isolation of ['thread', 'process'] as const) {
  test(`SIGTERM while a ${isolation} loads the models ends it cleanly, without a word of errors`, async (t) => {
    const dir = await temporaryDir(t);
    const clip = join(dir, 'ada.avi');
    await clipOf(clip, portrait('Ada'));
    const faced = await facedIn(t, { FACED_MQTT_EMBEDDED_PORT: '0', FACED_ISOLATION: isolation });
    const daemon = faced.spawn('run', '--source', `file:${clip}`);
    await daemon.said(/the embedded MQTT broker listens/);
    daemon.child.kill('SIGTERM');
    assert.equal(await daemon.ended, 0, daemon.stderr());
    assert.doesNotMatch(daemon.stderr(), / (warn|error) /);
  });
}

test('SIGTERM while the demo learns its people ends it cleanly', async (t) => {
  const faced = await facedIn(t, { FACED_MQTT_EMBEDDED_PORT: '0' });
  const daemon = faced.spawn('run', '--source', 'demo', '--verbose');
  while (!existsSync(join(faced.stateDir, 'demo', 'gallery.db')))
    await new Promise((resolve) => setImmediate(resolve));
  daemon.child.kill('SIGTERM');
  assert.equal(await daemon.ended, 0, daemon.stderr());
});

test('an event survives kill -9 while the broker is away, and arrives once the broker is there', {
  skip: withoutMosquitto,
}, async (t) => {
  const dir = await temporaryDir(t);
  const port = await freePort();
  const faced = await facedIn(t, { FACED_MQTT_URL: `mqtt://127.0.0.1:${port}`, FACED_DEVICE: 'porch' });
  await writeFile(join(dir, 'ada.jpg'), portrait('Ada'));
  const clip = join(dir, 'ada.avi');
  await clipOf(clip, portrait('Ada'));
  assert.equal((await faced.run('enroll', 'Ada', join(dir, 'ada.jpg'))).code, 0);

  const first = faced.spawn('run', '--source', `file:${clip}`, '--json');
  const event = JSON.parse(await first.line((line) => line.includes('"known"'))) as { id: string };
  first.child.kill('SIGKILL');
  await first.ended;

  const broker = await startMosquitto(t, ['allow_anonymous true'], port);
  const listener = await connectAsync(broker.url);
  t.after(() => listener.endAsync());
  const arrived = new Promise<string>((resolve) => {
    listener.on('message', (topic, payload) => {
      if (topic === 'faced/porch/recognition') resolve(JSON.parse(payload.toString()).id);
    });
  });
  await listener.subscribeAsync('faced/porch/recognition', { qos: 1 });
  const second = faced.spawn('run');
  assert.equal(await arrived, event.id);
  second.child.kill('SIGTERM');
  assert.equal(await second.ended, 0, second.stderr());
});

test('SIGHUP takes over what needs no restart, names what does, and survives a broken file', async (t) => {
  const faced = await facedIn(t, { FACED_MQTT_EMBEDDED_PORT: '0' });
  const file = join(faced.stateDir, 'faced.yaml');
  await writeFile(file, 'recognition:\n  strangersPerThousand: 1\n');
  const daemon = faced.spawn('run');
  await daemon.said(/faced is running/);
  await writeFile(file, 'recognition:\n  strangersPerThousand: 10\ndevice: other\n');
  daemon.child.kill('SIGHUP');
  await daemon.said(/some settings need a restart needRestart=.*device/);
  await writeFile(file, 'recognition:\n  strangersPerThousand: many\n');
  daemon.child.kill('SIGHUP');
  await daemon.said(/the configuration was not taken over.*recognition\.strangersPerThousand/s);
  await writeFile(file, 'recognition:\n  strangersPerThousand: 10\n');
  assert.equal((await faced.json('people', 'list')).code, 0);
  daemon.child.kill('SIGTERM');
  assert.equal(await daemon.ended, 0, daemon.stderr());
});

test('doctor answers every check, with a mend for each that fails', async (t) => {
  const faced = await facedIn(t);
  const { answer } = await faced.json('doctor');
  const { checks } = answer as { checks: { name: string; ok: boolean; detail: string; fix?: string }[] };
  const names = checks.map(({ name }) => name);
  for (const name of [
    'board',
    'node',
    'opencv',
    'models',
    'camera',
    'broker',
    'memory',
    'state',
    'key',
    'promise',
  ]) {
    assert.ok(names.includes(name), `${name} is missing from ${names.join(', ')}`);
  }
  for (const { name, ok, fix } of checks) assert.ok(ok || fix !== undefined, `${name} fails without a mend`);
  for (const name of ['node', 'opencv', 'models', 'promise']) {
    assert.ok(checks.find((one) => one.name === name)?.ok, `${name}: ${JSON.stringify(checks)}`);
  }
});
