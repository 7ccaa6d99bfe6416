/** The whole daemon: a clip as a camera, the real models, store, holder and broker. The lock is the recorder. */
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import type { IClientOptions } from 'mqtt';
import { commandMac } from '../../src/door/command-mac.js';
import { listen, startMosquitto, withoutMosquitto } from '../helpers/broker.js';
import { asCamera, portraitOf, writeFaceClip } from '../helpers/clips.js';
import { ROOT } from '../helpers/data.js';
import { temporaryDir } from '../helpers/dirs.js';
import { type Faced, facedIn } from '../helpers/faced.js';
import { authority } from '../helpers/tls.js';

const withoutOpenssl =
  spawnSync('openssl', ['version']).error === undefined ? withoutMosquitto : 'needs openssl';

interface Place {
  readonly dir: string;
  readonly faced: Faced;
  /** What the recorder of a door wrote. */
  record(door: string): string;
  configure(text: string): string;
}

async function place(t: TestContext, env: NodeJS.ProcessEnv = {}): Promise<Place> {
  const dir = await temporaryDir(t);
  for (const name of ['Ada', 'Bea'] as const) {
    const jpeg = await portraitOf(name);
    writeFileSync(join(dir, `${name}.jpg`), jpeg);
    writeFaceClip(join(dir, `${name}.avi`), { jpeg, seconds: 20 });
  }
  const faced = await facedIn(t, env);
  const configuration = join(dir, 'faced.yaml');
  return {
    dir,
    faced,
    record: (door) => {
      const file = join(dir, `${door}.record`);
      return existsSync(file) ? readFileSync(file, 'utf8') : '';
    },
    configure: (text) => {
      writeFileSync(configuration, text.replaceAll('DIR', dir));
      return configuration;
    },
  };
}

const camera = (dir: string, name: string) =>
  `{source: "${asCamera(join(dir, `${name}.avi`))}", trusted: door}`;
const door = (name: string, more: string) =>
  `${name}: {lock: {driver: recorder, file: DIR/${name}.record}, ${more}}`;
const ALWAYS = (people: string) =>
  `access: {rules: [{name: r, doors: [all], people: [${people}], when: always}]}`;

interface AuditRow {
  readonly kind: string;
  readonly detail: {
    readonly door?: string;
    readonly path?: string;
    readonly reason?: string;
    readonly request?: string;
    readonly rows?: Readonly<Record<string, number>>;
  };
}

/** The rows of the doors; the chain has to be whole. */
async function audit({ faced }: Place, config: string): Promise<AuditRow[]> {
  const verified = await faced.json('audit', 'verify', '--config', config);
  assert.equal(verified.code, 0, verified.stderr);
  const { answer } = await faced.json('audit', 'export', '--config', config);
  return (answer as { rows: AuditRow[] }).rows.filter(({ kind }) => kind.startsWith('door.'));
}

test('a person of the gallery opens the door, a stranger does not, and nobody does once they are deleted', {
  skip: withoutMosquitto,
}, async (t) => {
  const broker = await startMosquitto(t);
  const here = await place(t, { FACED_MQTT_URL: broker.url, FACED_DEVICE: 'porch' });
  const { dir, faced, record } = here;
  const face = 'modes: [face], pulse: 0.1, coolDown: 2, sure: {liveness: "off"}';
  const config = here.configure(
    [
      `cameras: {front: ${camera(dir, 'Ada')}, back: ${camera(dir, 'Bea')}}`,
      `doors: {${door('front', `cameras: [front], ${face}`)}, ${door('back', `cameras: [back], ${face}`)}}`,
      ALWAYS('Ada'),
    ].join('\n'),
  );
  assert.equal((await faced.run('enroll', '--config', config, 'Ada', join(dir, 'Ada.jpg'))).code, 0);
  const house = await listen(t, broker.url, ['faced/porch/lock/#']);
  const events = () =>
    house
      .on('faced/porch/lock/event')
      .map(
        (text) =>
          JSON.parse(text) as { door: string; event: string; reason: string | null; person: string | null },
      );
  const running = faced.spawn('run', '--config', config, '--json');
  const known = JSON.parse(await running.line((line) => line.includes('"known"'))) as {
    person: { id: string; name: string };
  };
  await house.until(() => events().some(({ event }) => event === 'granted'));
  await house.until(() => events().some((one) => one.door === 'back' && one.reason === 'unknown'));
  const granted = events().find(({ event }) => event === 'granted');
  assert.equal(granted?.door, 'front');
  assert.equal(granted?.person, known.person.id);
  await house.until(() =>
    house.on('faced/porch/lock/state').some((text) => /"front":\{"state":"unlocked"/.test(text)),
  );
  await house.until(() => /"front":\{"state":"locked"/.test(house.on('faced/porch/lock/state').at(-1) ?? ''));
  assert.ok(house.received.every(({ payload }) => !payload.toString().includes(known.person.name)));

  const { code } = await faced.run('people', 'remove', 'Ada', '--config', config);
  assert.equal(code, 0);
  const before = events().filter(({ event }) => event === 'granted').length;
  const unlocks = record('front').match(/unlocked/g)?.length ?? 0;
  await house.until(() => events().some((one) => one.door === 'front' && one.reason === 'unknown'));
  running.child.kill('SIGTERM');
  assert.equal(await running.ended, 0);
  assert.equal(events().filter(({ event }) => event === 'granted').length, before);
  assert.equal(record('front').match(/unlocked/g)?.length ?? 0, unlocks);
  assert.ok(unlocks > 0);
  assert.doesNotMatch(record('back'), /unlocked/);
  assert.match(record('front'), /locked low\n$/, 'at rest when the daemon has ended');
  assert.doesNotMatch(running.stderr(), /Ada/);

  const rows = await audit(here, config);
  const count = (kind: string) =>
    rows.filter((row) => row.kind === kind && row.detail.door === 'front').length;
  assert.equal(count('door.granted'), before);
  assert.equal(count('door.unlocked'), unlocks);
  assert.ok(rows.some((row) => row.kind === 'door.denied' && row.detail.door === 'back'));
});

test('a file opens nothing: not as a camera of the configuration, not as another source under its name', async (t) => {
  const here = await place(t);
  const { dir, faced, record } = here;
  const face = 'modes: [face], sure: {liveness: "off"}';
  const named = here.configure(
    `cameras: {front: {source: "file:${dir}/Ada.avi", trusted: door}}\ndoors: {${door('front', `cameras: [front], ${face}`)}}`,
  );
  const refused = await faced.run('run', '--config', named, '--once');
  assert.equal(refused.code, 1);
  assert.match(refused.stderr, /cameras\.front\.trusted must not be door/);
  const config = here.configure(
    `cameras: {camera: ${camera(dir, 'Bea')}}\ndoors: {${door('front', `cameras: [camera], ${face}`)}}\n${ALWAYS('Ada')}`,
  );
  await faced.run('enroll', '--config', config, 'Ada', join(dir, 'Ada.jpg'));
  const { code, stdout, stderr } = await faced.run(
    ...['run', '--config', config, '--source', `file:${dir}/Ada.avi`, '--once', '--json'],
  );
  assert.equal(code, 0, stderr);
  assert.match(stdout, /"decision":"known"/);
  assert.match(stderr, /these cameras do not run, or may not open this door/);
  assert.doesNotMatch(record('front'), /unlocked/);
  assert.ok((await audit(here, config)).every(({ kind }) => kind !== 'door.granted'));
});

test('a door that cannot be as its settings say stops the daemon, and the reason is named', async (t) => {
  const here = await place(t);
  const doors = `doors: {${door('front', 'codes: [mqtt]')}}`;
  const run = async (text: string) => {
    const { code, stderr } = await here.faced.run('run', '--config', here.configure(text));
    assert.equal(code, 1, stderr);
    return stderr;
  };
  assert.match(
    await run(`${doors}\nmqtt: {lockKeyFile: DIR/none.key}`),
    /lockKeyFile: .* \(config\.unreadable\)/,
  );
  writeFileSync(join(here.faced.stateDir, 'credentials.json'), 'torn');
  assert.match(await run(doors), /credentials\.json: not JSON \(door\.policy-invalid\)/);
});

/** A broker with TLS, a password for each, and the access rules of docs/mqtt.md as they stand there. */
async function guardedBroker(t: TestContext) {
  const { dir, ca, path } = await authority(t);
  const page = readFileSync(join(ROOT, 'docs', 'mqtt.md'), 'utf8');
  const acl = /```text\n# \/etc\/mosquitto\/acl\n([\s\S]*?)```/.exec(page)?.[1];
  assert.ok(acl !== undefined, 'docs/mqtt.md has no access rules');
  writeFileSync(join(dir, 'acl'), acl, { mode: 0o600 });
  const users = [...acl.matchAll(/^user (\S+)$/gm)].map(([, user]) => user ?? '');
  const passwords = join(dir, 'passwords');
  writeFileSync(passwords, '', { mode: 0o600 });
  for (const user of [...users, 'lamp'])
    execFileSync('mosquitto_passwd', ['-b', passwords, user, `${user}-secret`], { stdio: 'pipe' });
  const broker = await startMosquitto(t, [
    'allow_anonymous false',
    `password_file ${passwords}`,
    `acl_file ${join(dir, 'acl')}`,
    `cafile ${ca}`,
    `certfile ${path('server.pem')}`,
    `keyfile ${path('server.key')}`,
  ]);
  const options = (user: string): IClientOptions => ({
    username: user,
    password: `${user}-secret`,
    ca: readFileSync(ca),
  });
  writeFileSync(join(dir, 'faced-password'), 'faced-front-door-secret\n', { mode: 0o600 });
  return { dir, url: `mqtts://localhost:${broker.port}`, options };
}

test('mosquitto with TLS, passwords and the rules of docs/mqtt.md: who has no right neither opens nor reads', {
  skip: withoutOpenssl,
}, async (t) => {
  const guarded = await guardedBroker(t);
  const here = await place(t);
  const { dir, faced, record } = here;
  const key = Buffer.alloc(32, 7);
  writeFileSync(join(dir, 'lock.key'), key.toString('hex'), { mode: 0o600 });
  const config = here.configure(
    [
      'device: front-door',
      `cameras: {porch: ${camera(dir, 'Ada')}}`,
      `doors: {${door('front', 'cameras: [porch], codes: [mqtt], remoteUnlock: true, pulse: 0.1, coolDown: 600, sure: {liveness: "off"}')}}`,
      ALWAYS('Ada'),
      `mqtt: {url: "${guarded.url}", username: faced-front-door, passwordFile: ${guarded.dir}/faced-password, ca: ${guarded.dir}/ca.pem, lockKeyFile: DIR/lock.key, homeAssistant: {enabled: true}}`,
    ].join('\n'),
  );
  assert.equal((await faced.run('enroll', '--config', config, 'Ada', join(dir, 'Ada.jpg'))).code, 0);
  const run = faced.spawn('run', '--config', config, '--json');
  await assert.rejects(listen(t, guarded.url, [], { ...guarded.options('lamp'), password: 'wrong' }));
  const everything = ['#', 'faced/#', 'faced/front-door/recognition', 'faced/front-door/lock/event'];
  const lamp = await listen(t, guarded.url, [], guarded.options('lamp'));
  for (const topic of everything) await lamp.client.subscribeAsync(topic, { qos: 1 }).catch(() => {});
  const teacher = await listen(t, guarded.url, [], guarded.options('teacher'));
  const house = await listen(
    t,
    guarded.url,
    ['faced/+/recognition', 'faced/+/lock/state'],
    guarded.options('house'),
  );
  const ha = await listen(t, guarded.url, ['faced/#', 'homeassistant/#'], guarded.options('homeassistant'));
  const opener = await listen(
    t,
    guarded.url,
    ['faced/+/lock/result', 'faced/+/lock/event', 'faced/+/recognition'],
    guarded.options('opener'),
  );
  await house.until(() => house.on('faced/front-door/recognition').some((text) => text.includes('"Ada"')));
  await ha.until(() => ha.on('faced/front-door/lock/event').some((text) => text.includes('code-wanted')));

  const SET = 'faced/front-door/lock/set';
  const now = () => Math.floor(Date.now() / 1000);
  const signed = (
    id: string,
    action: object & { action: string },
    change: { exp?: number; text?: string } = {},
  ) => {
    const { exp = now() + 10, text = action.action } = change;
    const mac = commandMac(key, { device: 'front-door', door: 'front', action: text, id, exp });
    return JSON.stringify({ id, exp, door: 'front', hmac: mac, ...action });
  };
  const unlock = { action: 'unlock' };
  // Each of these would open, were it allowed to be heard.
  await lamp.client.publishAsync(SET, signed('lamp', unlock), { qos: 1 }).catch(() => {});
  await teacher.client.publishAsync(SET, signed('teacher', unlock), { qos: 1 }).catch(() => {});
  const send = (payload: string, retain = false) =>
    opener.client.publishAsync(SET, payload, { qos: 1, retain });
  await send('unlock');
  await send(JSON.stringify({ id: 'bare', exp: now() + 10, door: 'front', ...unlock }));
  await send(signed('late', unlock, { exp: now() - 60 }));
  await send(signed('early', unlock, { exp: now() + 300 }));
  await send(signed('kept', unlock), true);
  await opener.client.publishAsync(SET, '', { qos: 1, retain: true });
  await send(signed('changed', unlock).replace('"changed"', '"another"'));
  const results = () =>
    opener
      .on('faced/front-door/lock/result')
      .map(
        (text) => JSON.parse(text) as { id: string; ok: boolean; outcome?: string; error?: { code: string } },
      );
  await opener.until(() => results().length >= 5);
  assert.deepEqual(
    results().map(({ id, ok, error }) => [id, ok, error?.code]),
    [
      ['bare', false, 'mqtt.refused'],
      ['late', false, 'mqtt.refused'],
      ['early', false, 'mqtt.refused'],
      ['kept', false, 'mqtt.refused'],
      ['another', false, 'mqtt.refused'],
    ],
  );
  assert.doesNotMatch(record('front'), /unlocked/);

  // A face alone was not enough; the code of the same person is the second factor.
  await addCode(here, config, '471199');
  const shown = { action: 'present', method: 'code', secret: '471199' };
  await send(signed('code', shown, { text: 'present code * 471199' }));
  await opener.until(() => results().some(({ id }) => id === 'code'));
  assert.equal(results().find(({ id }) => id === 'code')?.ok, true, JSON.stringify(results().at(-1)));
  await ha.until(() =>
    ha
      .on('faced/front-door/lock/event')
      .some((text) => text.includes('"path":"face+code"') && text.includes('"request":"code"')),
  );
  await house.until(() =>
    /"front":\{"state":"unlocked"/.test(house.on('faced/front-door/lock/state').join()),
  );
  // The same again, and a flood: the door was opened a moment ago.
  await send(signed('code', shown, { text: 'present code * 471199' }));
  const flood = Array.from({ length: 200 }, (_, index) => signed(`flood-${index}`, unlock));
  await Promise.all(flood.map((payload) => send(payload)));
  await opener.until(() => results().some(({ id }) => id.startsWith('flood-')));

  assert.deepEqual(lamp.received.length, 0, 'a client without rights heard nothing');
  assert.ok(
    opener.received.every(({ topic }) => topic.endsWith('/lock/result')),
    'nor did the opener hear who came',
  );
  const announcement = JSON.parse(ha.on('homeassistant/device/faced_front-door/config')[0] ?? '{}') as {
    components: Record<string, { platform: string }>;
  };
  assert.equal(announcement.components.lock_front?.platform, 'sensor', 'Home Assistant cannot sign');
  run.child.kill('SIGTERM');
  assert.equal(await run.ended, 0, run.stderr());
  assert.doesNotMatch(run.stderr(), /access rules|refuses our/, 'the rules give faced all that it needs');
  assert.equal(record('front').match(/unlocked/g)?.length, 1);
  const rows = await audit(here, config);
  assert.deepEqual(
    rows.filter(({ kind }) => kind === 'door.granted').map(({ detail }) => detail.path),
    ['face+code'],
  );
  assert.ok(rows.length < 100, 'a flood does not fill the disk');
  const refused = rows.flatMap(({ kind, detail }) =>
    kind === 'door.command-refused' ? [`${detail.reason} ${detail.request ?? ''}`.trim()] : [],
  );
  for (const one of [
    'not-json',
    'unsigned bare',
    'late late',
    'too-far-ahead early',
    'retained kept',
    'unsigned another',
    'repeated code',
  ])
    assert.ok(refused.includes(one), one);
  const oneByOne = rows.filter(({ detail }) => detail.request?.startsWith('flood-') === true).length;
  const counted = rows.flatMap(({ detail }) => Object.values(detail.rows ?? {}));
  assert.equal(
    oneByOne + counted.reduce((sum, count) => sum + count, 0),
    200,
    'nothing of the flood is lost',
  );
});

async function addCode({ faced }: Place, config: string, code: string): Promise<void> {
  const adding = faced.spawn('door', 'add-key', 'Ada', '--config', config);
  adding.child.stdin?.end(`${code}\n`);
  assert.equal(await adding.ended, 0, adding.stderr());
}
