import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { editConfig, isFileOnly, loadConfig, shownConfig } from '../../src/config/index.js';
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
  const { config, source } = await editConfig({ file, env: {}, patch });
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
    await assert.rejects(editConfig({ file, env: {}, patch }), (error: { code: string; message: string }) => {
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
  for (const patch of patches)
    await assert.rejects(editConfig({ file, env: {}, patch }), { code: 'http.forbidden' });
  assert.equal(isFileOnly(['cameras', 'door', 'fps']), false);
  assert.equal(isFileOnly(['cameras', 'door', 'source']), true);
});

test('an empty file, or one of comments alone, takes a change', async (t) => {
  const file = join(await temporaryDir(t), 'faced.yaml');
  for (const text of ['', '# nothing yet\n', 'null\n', '---\n']) {
    await writeFile(file, text);
    await editConfig({ file, env: {}, patch: {} });
    const { config } = await editConfig({ file, env: {}, patch: { log: { level: 'warn' } } });
    assert.equal(config.log.level, 'warn');
  }
  await writeFile(file, '[1, 2]\n');
  await assert.rejects(editConfig({ file, env: {}, patch: {} }), { code: 'config.unreadable' });
});

test('a file is made by the first change; passwords are not shown', async (t) => {
  const file = join(await temporaryDir(t), 'faced.yaml');
  await editConfig({ file, env: {}, patch: { log: { level: 'debug' } } });
  assert.equal(await readFile(file, 'utf8'), 'log:\n  level: debug\n');
  await writeFile(file, FILE);
  const shown = JSON.stringify(shownConfig(loadConfig({ path: file, env: {} }).config));
  assert.ok(!shown.includes('secret') && shown.includes('rtsp://…@camera/stream'));
});
