import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { deviceName, loadConfig } from '../../src/config/load.js';
import { FacedError } from '../../src/domain/errors.js';
import { ROOT } from '../helpers/data.js';
import { temporaryDir } from '../helpers/dirs.js';

async function fileWith(t: TestContext, text: string | Uint8Array): Promise<string> {
  const path = join(await temporaryDir(t), 'faced.yaml');
  writeFileSync(path, text);
  return path;
}

/** The lines of a refusal without the first one, which names the file. */
async function mistakesIn(
  t: TestContext,
  text: string,
  env: Record<string, string> = {},
): Promise<readonly string[]> {
  const error = await refusal(t, text, env);
  return error.message
    .split('\n')
    .slice(1)
    .map((line) => line.trim());
}

async function refusal(
  t: TestContext,
  text: string | Uint8Array,
  env: Record<string, string> = {},
): Promise<FacedError> {
  const path = await fileWith(t, text);
  try {
    loadConfig({ path, env });
  } catch (error) {
    assert.ok(error instanceof FacedError, String(error));
    return error;
  }
  assert.fail('the configuration was accepted');
}

const MISTAKES: readonly { readonly yaml: string; readonly says: readonly string[] }[] = [
  {
    yaml: 'cameras: {door: {source: demo, fps: 0}}',
    says: ['cameras.door.fps must be 1 to 60 (is 0)'],
  },
  {
    yaml: 'cameras: {door: {source: demo, fps: 2.5}}',
    says: ['cameras.door.fps must be a whole number from 1 to 60 (is 2.5)'],
  },
  {
    yaml: 'schedule: {backup: "30 25 * * *"}',
    says: [
      'schedule.backup must be a cron expression of five fields such as "30 3 * * *": the hour is "25", and can be 0 to 23, *, a list, a range or a step',
    ],
  },
  { yaml: 'cameras: {door: {fps: 5}}', says: ['cameras.door.source is missing'] },
  { yaml: 'cameras: {door: }', says: ['cameras.door must be a group of settings (is null)'] },
  {
    yaml: 'cameras: {door: {source: /dev/video0}}',
    says: [
      'cameras.door.source must be a source such as v4l2:/dev/video0, csi:0, rtsp://…, file:…, images:…, gstreamer:… or demo (is "/dev/video0")',
    ],
  },
  {
    yaml: 'cameras: {Front Door: {source: demo}}',
    says: ['cameras.Front Door is not a name that can be used: 1 to 32 lower-case letters, digits, - and _'],
  },
  {
    yaml: 'cameras: {door: {source: demo, zones: [[[0, 0], [1, 0]]]}}',
    says: ['cameras.door.zones[0] must be a list of 3 to 64 (is [[0,0],[1,0]])'],
  },
  {
    yaml: 'cameras: {door: {source: demo, masks: [[[0, 0], [1, 0], [320, 1]]]}}',
    says: ['cameras.door.masks[0][2][0] must be 0 to 1 (is 320)'],
  },
  {
    yaml: 'cameras: {door: {source: demo, rotation: 45}}',
    says: ['cameras.door.rotation must be 0, 90, 180 or 270 (is 45)'],
  },
  { yaml: 'mqt: {}', says: ['mqt is not a setting; did you mean mqtt?'] },
  { yaml: 'mqtt: {clientID: x}', says: ['mqtt.clientID is not a setting; did you mean clientId?'] },
  { yaml: 'log: {file: x}', says: ['log.file is not a setting; known are level'] },
  { yaml: 'log: {level: loud}', says: ['log.level must be debug, info, warn or error (is "loud")'] },
  {
    yaml: 'mqtt: {url: "http://broker"}',
    says: [
      'mqtt.url must be the address of a broker, such as mqtt://broker:1883 or mqtts://broker:8883, or null (is "http://broker")',
    ],
  },
  { yaml: 'mqtt: {attempts: maybe}', says: ['mqtt.attempts must be true or false (is "maybe")'] },
  { yaml: 'mqtt: [1]', says: ['mqtt must be a group of settings (is [1])'] },
  {
    yaml: 'gallery: {keyFile: ""}',
    says: ['gallery.keyFile must be text that is not empty, or null (is "")'],
  },
  { yaml: 'liveness: {minimum: 2}', says: ['liveness.minimum must be 0 to 1, or null (is 2)'] },
  {
    yaml: 'mqtt: {url: "mqtts://b", cert: c.pem}',
    says: ['mqtt.key must be set when mqtt.cert is'],
  },
  {
    yaml: 'mqtt: {url: "mqtt://b", ca: c.pem, passwordFile: p}',
    says: [
      'mqtt.username must be set when mqtt.passwordFile is',
      'mqtt.url must begin with mqtts:// when a certificate is set (mqtt.ca, mqtt.cert)',
    ],
  },
  {
    yaml: 'liveness: {passive: off, minimum: 0.5}',
    says: ['liveness.minimum needs the passive test (liveness.passive: report)'],
  },
];

test('each mistake has its sentence, path first', async (t) => {
  for (const { yaml, says } of MISTAKES) assert.deepEqual(await mistakesIn(t, yaml), says, yaml);
});

test('all mistakes are reported at once', async (t) => {
  const error = await refusal(
    t,
    'cameras: {door: {source: demo, fps: 0, minFace: 1}}\nmqt: 1\nlog: {level: 7}\n',
  );
  assert.equal(error.code, 'config.invalid');
  assert.match(error.message, /^\S+faced\.yaml has 4 mistakes:\n/);
  assert.equal(error.message.split('\n').length, 5);
});

test('a password in an address is not repeated in the sentence', async (t) => {
  const [line] = await mistakesIn(t, 'mqtt: {url: "mqtt://me:secret@broker:1883/a b"}');
  assert.match(line ?? '', /^mqtt\.url must be/);
  assert.doesNotMatch(line ?? '', /secret/);
});

const BOMB = `a: &a [x, x, x, x, x, x, x, x, x, x]
b: &b [*a, *a, *a, *a, *a, *a, *a, *a, *a, *a]
c: &c [*b, *b, *b, *b, *b, *b, *b, *b, *b, *b]
d: &d [*c, *c, *c, *c, *c, *c, *c, *c, *c, *c]
e: [*d, *d, *d, *d, *d, *d, *d, *d, *d, *d]
`;

test('YAML that is not fit is refused, with its place', async (t) => {
  assert.match((await refusal(t, BOMB)).message, /cannot be used: its aliases \(\*name\) stand for too much/);
  assert.match((await refusal(t, 'log:\n  level: info\nlog: {}\n')).message, /line 3, column 1: .*unique/);
  assert.match((await refusal(t, 'log: {level: [}\n')).message, /line 1, column \d+/);
  assert.match((await refusal(t, 'device: !secret abc\n')).message, /line 1, column 9: .*tag/i);
  assert.match((await refusal(t, '- a\n- b\n')).message, /must be a map of settings/);
  assert.match((await refusal(t, 'a: 1\n---\nb: 2\n')).message, /line 2|multiple documents/);
  const large = await refusal(t, `# ${'x'.repeat(1024 * 1024)}\n`);
  assert.equal(large.code, 'config.unreadable');
});

test('an alias that is used plainly is fine', async (t) => {
  const path = await fileWith(
    t,
    'cameras:\n  a: {source: demo, masks: &street [[[0, 0], [1, 0], [1, 1]]]}\n  b: {source: demo, masks: *street}\n',
  );
  const { config } = loadConfig({ path, env: {} });
  assert.deepEqual(config.cameras.b?.masks, config.cameras.a?.masks);
});

test('a file that was named and is not there is a mistake', async (t) => {
  const path = join(await temporaryDir(t), 'none.yaml');
  for (const options of [{ path, env: {} }, { env: { FACED_CONFIG: path } }])
    assert.throws(() => loadConfig(options), { code: 'config.unreadable', message: /none\.yaml.*ENOENT/ });
});

test('without a file the defaults hold', async (t) => {
  const { config, source, warnings } = loadConfig({ env: { FACED_STATE_DIR: await temporaryDir(t) } });
  assert.equal(source, null);
  assert.deepEqual(warnings, []);
  assert.deepEqual(config.cameras, {});
  assert.equal(config.recognition.strangersPerThousand, 1);
  assert.equal(config.mqtt.url, null);
  assert.deepEqual(config.mqtt.embedded, { host: '127.0.0.1', port: 1883 });
  assert.deepEqual([config.http.enabled, config.http.host, config.http.port], [true, '127.0.0.1', 8723]);
  assert.match(config.device, /^[a-z0-9][a-z0-9_-]*$/);
});

test('the state directory’s file is found, defaults fill it, empty sections are the defaults', async (t) => {
  const state = await temporaryDir(t);
  writeFileSync(join(state, 'faced.yaml'), 'mqtt:\nlog:\ncameras:\n  door:\n    source: demo\n');
  const { config, source } = loadConfig({ env: { FACED_STATE_DIR: state } });
  assert.equal(source, join(state, 'faced.yaml'));
  assert.equal(config.cameras.door?.rotation, 0);
  assert.equal(config.mqtt.healthEvery, 60);
});

test('every form of a source is taken as a camera’s source', async (t) => {
  for (const source of [
    'demo',
    'demo?loop=yes',
    'v4l2:/dev/video0',
    'csi:0',
    'rtsp://10.0.0.2/a',
    'images:/p',
  ]) {
    const path = await fileWith(t, `cameras: {door: {source: "${source}"}}`);
    assert.equal(loadConfig({ path, env: {} }).config.cameras.door?.source, source);
  }
});

test('two loads share nothing', async (t) => {
  const env = { FACED_STATE_DIR: await temporaryDir(t) };
  const first = loadConfig({ env }).config;
  first.mqtt.embedded.port = 1;
  assert.equal(loadConfig({ env }).config.mqtt.embedded.port, 1883);
});

test('relative paths start at the folder of the file', async (t) => {
  const path = await fileWith(t, 'gallery: {keyFile: keys/a}\nmodels: {dir: /models}\n');
  const { config } = loadConfig({ path, env: {} });
  assert.equal(config.gallery.keyFile, join(path, '..', 'keys', 'a'));
  assert.equal(config.models.dir, '/models');
});

test('the command line is stronger than the environment, and that than the file', async (t) => {
  const path = await fileWith(t, 'log: {level: warn}\nhttp: {port: 1}\ndevice: a\n');
  const env = { FACED_LOG_LEVEL: 'error', FACED_HTTP_PORT: '2' };
  const { config } = loadConfig({ path, env, overrides: { 'log.level': 'debug' } });
  assert.deepEqual([config.log.level, config.http.port, config.device], ['debug', 2, 'a']);
});

test('a host name becomes a device name', () => {
  const table = {
    'Front Door.local': 'front-door',
    pi4: 'pi4',
    '--': 'faced',
    '': 'faced',
    'ä-tür': 't-r',
    _x: 'x',
  };
  for (const [host, device] of Object.entries(table)) assert.equal(deviceName(host), device, host);
});

test('every shipped example loads, and each says something', () => {
  const folder = join(ROOT, 'docs', 'examples');
  const files = readdirSync(folder).filter((file) => file.endsWith('.yaml'));
  assert.ok(files.length >= 4);
  for (const file of files) {
    const { config, warnings } = loadConfig({ path: join(folder, file), env: {} });
    assert.deepEqual(warnings, []);
    assert.ok(Object.keys(config.cameras).length > 0, file);
    assert.match(readFileSync(join(folder, file), 'utf8'), /^# /, `${file} begins with what it is for`);
  }
});

test('a folder in the place of the file is said plainly', async (t) => {
  const path = join(await temporaryDir(t), 'faced.yaml');
  mkdirSync(path);
  assert.throws(() => loadConfig({ path, env: {} }), { code: 'config.unreadable', message: /EISDIR/ });
});
