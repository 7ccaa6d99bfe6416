import assert from 'node:assert/strict';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import type { AuditRow } from '../../src/pipeline/ports.js';
import { asCamera, portraitOf, writeFaceClip } from '../helpers/clips.js';
import { temporaryDir } from '../helpers/dirs.js';
import { openServer } from './server-support.js';
import { form, openWeb } from './support.js';

const JSON_TYPE = { 'content-type': 'application/json' };

test('a door is asked by who may ask doors, where its own settings allow it; pictures never open one', async (t) => {
  const dir = await temporaryDir(t);
  const [ada, bea] = [await portraitOf('Ada'), await portraitOf('Bea')];
  writeFileSync(join(dir, 'Ada.jpg'), ada);
  writeFaceClip(join(dir, 'Bea.avi'), { jpeg: bea, seconds: 20 });
  const door = (name: string, more: string) =>
    `${name}: {lock: {driver: recorder, file: ${dir}/${name}.record}, pulse: 0.1, ${more}}`;
  const doors = [
    // Whoever is seen by its camera opens it; its camera sees Bea.
    door('hall', 'cameras: [porch], modes: [face], sure: {liveness: "off"}'),
    door('front', 'modes: [code], codes: [http], remoteUnlock: true'),
    door('back', 'modes: [code], codes: [control]'),
    door('cellar', 'modes: [face+code], codes: [http], cameras: [porch], sure: {liveness: "off"}'),
  ];
  const config = join(dir, 'faced.yaml');
  writeFileSync(
    config,
    `cameras: {porch: {source: "${asCamera(join(dir, 'Bea.avi'))}", trusted: door}}\ndoors: {${doors.join(', ')}}\naccess: {rules: [{name: r, doors: [all], people: [Ada], when: always}]}\n`,
  );
  const web = await openWeb(t, { argv: ['--config', config], enrol: ['Ada', join(dir, 'Ada.jpg')] });
  const record = (name: string) =>
    existsSync(join(dir, `${name}.record`)) ? readFileSync(join(dir, `${name}.record`), 'utf8') : '';
  const [asker, reader] = [await web.token('door'), await web.token('read', 'recognize', 'enroll')];
  const post = (path: string, token: string | undefined, body?: object) =>
    web.ask(`/v1/doors/${path}`, {
      method: 'POST',
      ...(token === undefined ? {} : { token }),
      ...(body === undefined ? {} : { headers: JSON_TYPE, body: JSON.stringify(body) }),
    });
  const code = (secret: string) => ({ method: 'code', secret });

  for (let count = 0; count < 4; count++) {
    const seen = await web.ask('/v1/recognize', { method: 'POST', token: reader, body: form([ada]) });
    assert.equal(seen.body.faces[0].decision, 'known');
  }
  for (const path of ['front/unlock', 'front/lock', 'front/present']) {
    assert.equal((await post(path, undefined, code('4711'))).status, 401);
    assert.equal((await post(path, reader, code('4711'))).status, 403, path);
  }
  assert.equal((await post('nowhere/unlock', asker)).status, 404);

  assert.deepEqual((await post('back/unlock', asker)).body.error.message, 'the door refused');
  assert.deepEqual((await post('front/unlock', asker)).body, { door: 'front', outcome: 'granted' });
  assert.equal((await post('front/unlock', asker)).status, 429, 'a second one within the cool-down');
  assert.deepEqual((await post('front/lock', asker)).body, { door: 'front', outcome: 'granted' });

  const key = web.faced.spawn('door', 'add-key', 'Ada', '--config', config);
  key.child.stdin?.end('471128\n');
  assert.equal(await key.ended, 0, key.stderr());
  assert.equal((await post('back/present', asker, code('471128'))).body.error.code, 'door.refused');
  assert.equal((await post('front/present', asker, code('000000'))).body.error.code, 'door.refused');
  assert.deepEqual((await post('front/present', asker, code('471128'))).body, {
    door: 'front',
    outcome: 'granted',
  });
  assert.deepEqual((await post('cellar/present', asker, code('471128'))).body, {
    door: 'cellar',
    outcome: 'face-wanted',
  });
  assert.equal((await post('front/present', asker, code('4711\n28'))).status, 400);

  const status = await web.ask('/v1/doors', { token: reader });
  assert.deepEqual(
    status.body.doors.map((one: { door: string }) => one.door),
    ['hall', 'front', 'back', 'cellar'],
  );
  web.daemon.child.kill('SIGTERM');
  assert.equal(await web.daemon.ended, 0);
  for (const name of ['hall', 'back', 'cellar']) assert.doesNotMatch(record(name), /unlocked/, name);
  assert.match(record('front'), /unlocked/);
  assert.doesNotMatch(web.daemon.stderr(), /471128|000000/);
  const { answer } = await web.faced.json('audit', 'export', '--config', config);
  const granted = (answer as { rows: AuditRow[] }).rows.filter(({ kind }) => kind === 'door.granted');
  assert.deepEqual(
    granted.map(({ detail }) => [detail.door, detail.path]),
    [
      ['front', 'command'],
      ['front', 'code'],
    ],
  );
  assert.match(String(granted[0]?.detail.actor), /^http:token:/);
});

test('a house without doors has none to ask', async (t) => {
  const { base, access } = await openServer(t);
  const { token } = await access.createToken({ scopes: ['door'], label: '', days: null, actor: 'cli' });
  const response = await fetch(`${base}/v1/doors/front/unlock`, {
    method: 'POST',
    headers: { authorization: `Bearer ${token}` },
  });
  assert.equal(response.status, 404);
});
