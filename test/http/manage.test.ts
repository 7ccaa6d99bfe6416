import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { temporaryDir } from '../helpers/dirs.js';
import { form, openWeb, portrait } from './support.js';

const JSON_TYPE = { 'content-type': 'application/json' };

test('settings, doctor, samples with pictures, merge, backup and restore', async (t) => {
  const config = join(await temporaryDir(t), 'faced.yaml');
  await writeFile(config, '# mine\ngallery:\n  keepImages: true\n');
  const web = await openWeb(t, { before: ['admin'], env: { FACED_CONFIG: config } });
  const token = web.made ?? '';
  const post = (path: string, body: object) =>
    web.ask(path, { method: 'POST', token, headers: JSON_TYPE, body: JSON.stringify(body) });
  const [ada, bea] = [await portrait('Ada'), await portrait('Bea')];

  await t.test(
    'a setting is changed in the file and holds at once; others need a restart or the file',
    async () => {
      const before = await web.ask('/v1/config', { token });
      assert.equal(before.body.config.recognition.strangersPerThousand, 1);
      assert.ok(before.body.fileOnly.includes('http.host'));
      assert.ok(!before.body.fileOnly.includes('log.level'));
      const patch = (body: object) =>
        web.ask('/v1/config', { method: 'PATCH', token, headers: JSON_TYPE, body: JSON.stringify(body) });
      const changed = await patch({
        recognition: { strangersPerThousand: 5 },
        gallery: { keepEventsDays: 9 },
      });
      assert.equal(changed.status, 200, changed.text);
      assert.deepEqual(changed.body.needRestart, ['gallery.keepEventsDays']);
      assert.match(await readFile(config, 'utf8'), /^# mine\n[\s\S]*strangersPerThousand: 5/);
      assert.equal((await web.ask('/v1/config', { token })).body.config.recognition.strangersPerThousand, 5);
      const wrong = await patch({ recognition: { strangersPerThousand: -5 } });
      assert.equal(wrong.status, 422);
      assert.match(wrong.body.error.message, /^recognition\.strangersPerThousand must be/);
      assert.equal((await patch({ http: { host: '0.0.0.0' } })).status, 403);
      const { answer } = await web.faced.json('audit', 'export');
      const { rows } = answer as { rows: { kind: string; actor: string; detail: object }[] };
      const written = rows.filter(({ kind }) => kind.startsWith('config'));
      assert.equal(written.length, 1, 'one row for one change');
      assert.match(written[0]?.actor ?? '', /^http:token:/);
      assert.deepEqual(written[0]?.detail, {
        settings: ['recognition.strangersPerThousand', 'gallery.keepEventsDays'],
        needRestart: ['gallery.keepEventsDays'],
      });
    },
  );

  await t.test('doctor', async () => {
    const { status, body } = await web.ask('/v1/doctor', { token });
    assert.equal(status, 200);
    assert.ok(body.checks.some(({ name, ok }: { name: string; ok: boolean }) => name === 'models' && ok));
  });

  let adaId = '';
  await t.test('samples and their pictures; two entries become one', async () => {
    const made = await web.ask('/v1/people', { method: 'POST', token, body: form([ada], { name: 'Ada' }) });
    assert.equal(made.status, 200, made.text);
    adaId = made.body.person.id;
    const other = await web.ask('/v1/people', {
      ...{ method: 'POST', token },
      body: form([bea], { name: 'Ada again', force: 'true' }),
    });
    assert.equal(other.status, 200, other.text);
    const otherId = other.body.person.id;
    const { body } = await web.ask(`/v1/people/${adaId}`, { token });
    const [sample] = body.samples;
    assert.equal(sample.image, true);
    const image = await fetch(`${web.base}/v1/people/${adaId}/samples/${sample.id}/image`, {
      headers: { authorization: `Bearer ${token}` },
    });
    assert.equal(image.headers.get('content-type'), 'image/jpeg');
    assert.deepEqual([...Buffer.from(await image.arrayBuffer()).subarray(0, 2)], [0xff, 0xd8]);
    assert.equal((await web.ask(`/v1/people/${otherId}/samples/${sample.id}/image`, { token })).status, 404);

    assert.equal((await post(`/v1/people/${adaId}/merge`, { from: adaId })).status, 409);
    assert.equal((await post(`/v1/people/${adaId}/merge`, { from: otherId })).status, 200);
    const { people } = (await web.ask('/v1/people', { token })).body;
    assert.deepEqual(
      people.map(({ id, samples }: { id: string; samples: number }) => [id, samples]),
      [[adaId, 2]],
    );
    assert.equal(
      (await web.ask(`/v1/people/${adaId}/samples/${sample.id}`, { method: 'DELETE', token })).status,
      200,
    );
  });

  await t.test('a camera that is not there calls a guided enrolment off with its reason', async () => {
    const { text } = await post('/v1/enroll/camera', { name: 'Cleo', camera: 'none' });
    assert.match(text, /^event: failed\ndata: \{"error":\{"code":"[a-z.-]+"/m);
  });

  await t.test('strangers: none unless they are to be kept', async () => {
    assert.deepEqual((await web.ask('/v1/unknown', { token })).body, { groups: [] });
    assert.equal((await web.ask('/v1/unknown/none/image', { token })).status, 404);
  });

  await t.test('a backup is put back: the people of then, the tokens of now', async () => {
    const backup = await fetch(`${web.base}/v1/backup`, { headers: { authorization: `Bearer ${token}` } });
    assert.equal(backup.status, 200);
    const bytes = Buffer.from(await backup.arrayBuffer());
    assert.match(bytes.toString('latin1', 0, 16), /^SQLite format 3/);
    const later = await web.token('read');
    const more = await web.ask('/v1/people', {
      method: 'POST',
      token,
      body: form([bea], { name: 'Bea', force: 'true' }),
    });
    assert.equal(more.status, 200, more.text);

    const restore = { method: 'POST', headers: { 'content-type': 'application/vnd.sqlite3' } } as const;
    assert.equal(
      (await web.ask('/v1/restore', { ...restore, token, body: bytes })).status,
      403,
      'a token may not',
    );
    const { code } = (await web.faced.json('http', 'code')).answer as { code: string };
    const first = await fetch(`${web.base}/v1/accounts/first`, {
      ...{ method: 'POST', headers: JSON_TYPE },
      body: JSON.stringify({ name: 'Ada', password: 'correct horse battery', code }),
    });
    const { csrf } = (await first.json()) as { csrf: string };
    const cookie = (first.headers.get('set-cookie') ?? '').split(';')[0] ?? '';
    const signedIn = { ...restore.headers, cookie, 'x-csrf-token': csrf };
    const broken = await web.ask('/v1/restore', {
      method: 'POST',
      headers: signedIn,
      body: bytes.subarray(0, 5000),
    });
    assert.equal(broken.status >= 400, true, broken.text);
    assert.equal((await web.ask('/v1/people', { token })).body.people.length, 2, 'nothing was changed');

    const restored = await web.ask('/v1/restore', { method: 'POST', headers: signedIn, body: bytes });
    assert.equal(restored.status, 200, restored.text);
    const { people } = (await web.ask('/v1/people', { token: later })).body;
    assert.deepEqual(
      people.map(({ name }: { name: string }) => name),
      ['Ada'],
    );
    const again = await web.ask('/v1/session', { headers: { cookie } });
    assert.equal(again.body.account.name, 'Ada', 'who is signed in stays so');
    assert.equal((await web.faced.json('audit', 'verify')).code, 0);
  });
});

test('a promise that no measurement supports is refused, and nothing has changed: the file neither', async (t) => {
  const config = join(await temporaryDir(t), 'faced.yaml');
  const file = '# mine\nrecognition:\n  strangersPerThousand: 5\n';
  await writeFile(config, file);
  const web = await openWeb(t, { before: ['admin'], env: { FACED_CONFIG: config } });
  const token = web.made ?? '';
  for (const name of ['Ada', 'Bea'] as const) {
    const body = form([await portrait(name)], { name });
    assert.equal((await web.ask('/v1/people', { method: 'POST', token, body })).status, 200);
  }
  const refused = await web.ask('/v1/config', {
    ...{ method: 'PATCH', token, headers: JSON_TYPE },
    body: JSON.stringify({ recognition: { strangersPerThousand: 0.001 } }),
  });
  assert.equal(refused.body.error?.code, 'promise.unmeasured', refused.text);
  assert.equal(await readFile(config, 'utf8'), file);
  assert.equal((await web.ask('/v1/config', { token })).body.config.recognition.strangersPerThousand, 5);
  const { answer } = await web.faced.json('audit', 'export');
  const { rows } = answer as { rows: { kind: string; actor: string }[] };
  const written = rows.filter(({ kind }) => kind.startsWith('config'));
  assert.deepEqual(
    written.map(({ kind }) => kind),
    ['config', 'config-refused'],
  );
  for (const { actor } of written) assert.match(actor, /^http:token:/);
});
