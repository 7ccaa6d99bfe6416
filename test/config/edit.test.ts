import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { editConfig, isFileOnly, loadConfig, shownConfig } from '../../src/config/index.js';
import { withoutMounts } from '../gallery/support.js';
import { temporaryDir } from '../helpers/dirs.js';

const FILE = `# our door
cameras:
  door: # the front one
    source: rtsp://user:secret@camera/stream
    fps: 10
mqtt:
recognition:
  strangersPerThousand: 2
`;

/** As a state directory beside the file. */
const edit = ({ file, patch }: { file: string; patch: Record<string, unknown> }) =>
  editConfig({ file, settingsFile: join(dirname(file), 'settings.yaml'), env: {}, patch });

test('a change keeps comments, fills empty sections, and null brings the default back', async (t) => {
  const file = join(await temporaryDir(t), 'faced.yaml');
  await writeFile(file, FILE);
  const patch = {
    cameras: {
      door: {
        fps: 5,
        zones: [
          [
            [0, 0],
            [1, 0],
            [1, 1],
          ],
        ],
      },
    },
    mqtt: { attempts: true },
    recognition: { strangersPerThousand: null },
    log: { level: 'warn' },
  };
  const { config, source } = await edit({ file, patch });
  assert.equal(source, file);
  assert.equal(config.cameras.door?.fps, 5);
  assert.equal(config.mqtt.attempts, true);
  assert.equal(config.recognition.strangersPerThousand, 1);
  assert.equal(config.log.level, 'warn');
  const text = await readFile(file, 'utf8');
  assert.match(text, /^# our door/);
  assert.match(text, /# the front one/);
  assert.deepEqual(loadConfig({ path: file, env: {} }).config, config);
});

test('what is not right is not written, and each mistake is said', async (t) => {
  const file = join(await temporaryDir(t), 'faced.yaml');
  await writeFile(file, FILE);
  const patches = [
    { cameras: { door: { fps: 0 } } },
    { log: { level: 'loud' }, recognition: { margin: 'x' } },
    { nothing: 1 },
    { recognition: { strangersPerThousand: -1 } },
    { __proto__x: { a: 1 } },
    { log: 5 },
  ];
  for (const patch of patches)
    await assert.rejects(edit({ file, patch }), (error: { code: string; message: string }) => {
      assert.equal(error.code, 'config.invalid');
      assert.ok(!error.message.includes(file) && error.message.length > 10, error.message);
      return true;
    });
  assert.equal(await readFile(file, 'utf8'), FILE);
});

test('pipelines, paths, addresses and who may come in are for the file only', async (t) => {
  const file = join(await temporaryDir(t), 'faced.yaml');
  const patches = [
    { cameras: { door: { source: 'gstreamer:filesrc location=/etc/passwd' } } },
    { mqtt: { url: 'mqtt://elsewhere' } },
    { mqtt: { passwordFile: '/etc/passwd' } },
    { gallery: { keyFile: 'x' } },
    { http: { host: '0.0.0.0' } },
    { doors: { front: { cameras: ['door'] } } },
    { access: { clock: 'trusted' } },
    { models: { dir: '/tmp' } },
    { cameras: { door: null } },
  ];
  for (const patch of patches) await assert.rejects(edit({ file, patch }), { code: 'http.forbidden' });
  assert.equal(isFileOnly(['cameras', 'door', 'fps']), false);
  assert.equal(isFileOnly(['cameras', 'door', 'source']), true);
});

test('an empty file, or one of comments alone, takes a change', async (t) => {
  const file = join(await temporaryDir(t), 'faced.yaml');
  for (const text of ['', '# nothing yet\n', 'null\n', '---\n']) {
    await writeFile(file, text);
    await edit({ file, patch: {} });
    const { config } = await edit({ file, patch: { log: { level: 'warn' } } });
    assert.equal(config.log.level, 'warn');
  }
  await writeFile(file, '[1, 2]\n');
  await assert.rejects(edit({ file, patch: {} }), { code: 'config.unreadable' });
});

test('a file is made by the first change; passwords are not shown', async (t) => {
  const file = join(await temporaryDir(t), 'faced.yaml');
  await edit({ file, patch: { log: { level: 'debug' } } });
  assert.equal(await readFile(file, 'utf8'), 'log:\n  level: debug\n');
  await writeFile(file, FILE);
  const shown = JSON.stringify(shownConfig(loadConfig({ path: file, env: {} }).config));
  assert.ok(!shown.includes('secret') && shown.includes('rtsp://…@camera/stream'));
});

test('where the file may not be written, changes are kept apart and hold in its place', async (t) => {
  const settingsFile = join(await temporaryDir(t), 'settings.yaml');
  // Nobody makes a file there, root neither.
  const file = '/sys/faced.yaml';
  const { config, source } = await editConfig({
    file,
    settingsFile,
    env: {},
    patch: { log: { level: 'warn' } },
  });
  assert.equal(source, settingsFile);
  assert.equal(config.log.level, 'warn');
  assert.match(await readFile(settingsFile, 'utf8'), /^# Changed over the page/);
  await assert.rejects(editConfig({ file, settingsFile: '/sys/settings.yaml', env: {}, patch: {} }), {
    code: 'config.unwritable',
    fix: /state directory/,
  });
});

test('a file that is mounted by itself stays as it is', { skip: withoutMounts() }, async (t) => {
  const folder = await temporaryDir(t);
  const [file, settingsFile] = [join(folder, 'faced.yaml'), join(folder, 'settings.yaml')];
  await writeFile(file, FILE);
  assert.equal(spawnSync('mount', ['--bind', file, file]).status, 0);
  const { source } = await editConfig({
    file,
    settingsFile,
    env: {},
    patch: { log: { level: 'warn' } },
  }).finally(() => spawnSync('umount', ['-l', file]));
  assert.equal(source, settingsFile);
  assert.equal(await readFile(file, 'utf8'), FILE);
  assert.deepEqual((await readdir(folder)).sort(), ['faced.yaml', 'settings.yaml']);
});

test('changes kept apart: the file stays as it is, null beats it, undo brings back what was, the environment is stronger', async (t) => {
  const folder = await temporaryDir(t);
  const [file, settingsFile] = [join(folder, 'faced.yaml'), join(folder, 'settings.yaml')];
  await writeFile(file, FILE);
  await writeFile(settingsFile, '');
  const change = (patch: Record<string, unknown>) => editConfig({ file, settingsFile, env: {}, patch });
  const load = (env: Record<string, string> = {}) => loadConfig({ path: file, settingsFile, env }).config;
  await change({ cameras: { door: { fps: 5 } }, recognition: { strangersPerThousand: 4 } });
  const { undo } = await change({ recognition: { strangersPerThousand: null }, log: { level: 'warn' } });
  assert.equal(await readFile(file, 'utf8'), FILE);
  const now = load();
  assert.deepEqual(
    [now.cameras.door?.fps, now.recognition.strangersPerThousand, now.log.level],
    [5, 1, 'warn'],
  );
  assert.equal(now.cameras.door?.source, 'rtsp://user:secret@camera/stream');
  assert.equal(load({ FACED_LOG_LEVEL: 'error' }).log.level, 'error');
  await undo();
  assert.deepEqual([load().recognition.strangersPerThousand, load().log.level], [4, 'info']);
  for (const patch of [
    { nothing: 1 },
    { cameras: { garden: { fps: 5 } } },
    { cameras: { door: { fps: 0 } } },
  ])
    await assert.rejects(change(patch), ({ code, message }: { code: string; message: string }) => {
      assert.equal(code, 'config.invalid');
      assert.ok(!message.includes(folder) && message.length > 10, message);
      return true;
    });
  await assert.rejects(change({ doors: { front: null } }), { code: 'http.forbidden' });
});

test('kept apart, nothing says who may come in, and what the file no longer has is passed over', async (t) => {
  const folder = await temporaryDir(t);
  const [path, settingsFile] = [join(folder, 'faced.yaml'), join(folder, 'settings.yaml')];
  await writeFile(path, FILE);
  const load = () => loadConfig({ path, settingsFile, env: {} });
  for (const text of [
    'doors: { front: { cameras: [door] } }',
    'cameras: { door: { source: demo } }',
    'http: null',
  ]) {
    await writeFile(settingsFile, text);
    assert.throws(load, { code: 'config.invalid', message: /can be changed in the file only/ });
  }
  const patch = { log: { level: 'warn' } };
  await writeFile(settingsFile, 'doors: { front: { cameras: [door] } }');
  await assert.rejects(editConfig({ file: path, settingsFile, env: {}, patch }), {
    code: 'config.invalid',
    message: 'settings.yaml: doors.front.cameras can be changed in the file only.',
  });
  await writeFile(settingsFile, '[1, 2]\n');
  assert.throws(load, { code: 'config.invalid', message: /settings\.yaml must be a map/ });
  await writeFile(
    settingsFile,
    'cameras: { garden: { fps: 5 }, door: { fps: 7 } }\nlater: { x: 1 }\n__proto__: { y: 1 }\n',
  );
  const { config, warnings, apart } = load();
  assert.deepEqual([Object.keys(config.cameras), config.cameras.door?.fps], [['door'], 7]);
  assert.deepEqual([apart, warnings.length], [['cameras.door.fps'], 3]);
  await writeFile(settingsFile, 'recognition: { strangersPerThousand: 0 }');
  assert.throws(load, { code: 'config.invalid', message: /strangersPerThousand.*changed apart/ });
});

test('kept apart, a section or a camera out of which the last line was taken is not there', async (t) => {
  const folder = await temporaryDir(t);
  const [path, settingsFile] = [join(folder, 'faced.yaml'), join(folder, 'settings.yaml')];
  await writeFile(path, FILE);
  const load = () => loadConfig({ path, settingsFile, env: {} });
  await writeFile(settingsFile, 'mqtt:\nrecognition:\ncameras:\n  door:\n');
  const { config, apart } = load();
  assert.deepEqual(apart, []);
  assert.equal(config.cameras.door?.source, 'rtsp://user:secret@camera/stream');
  assert.equal(config.recognition.strangersPerThousand, 2);
  await editConfig({ file: path, settingsFile, env: {}, patch: { cameras: { door: { fps: 5 } } } });
  assert.equal(load().config.cameras.door?.fps, 5);
});
