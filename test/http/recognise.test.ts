import assert from 'node:assert/strict';
import { test } from 'node:test';
import { form, groupPhoto, openWeb, portrait } from './support.js';

test('who is in a picture: raw, as a form, as JSON, and what each scope may know', async (t) => {
  const web = await openWeb(t);
  const [mayRecognise, mayRead, mayEnroll] = [
    await web.token('recognize'),
    await web.token('recognize', 'read'),
    await web.token('enroll'),
  ];
  const [ada, bea, group] = [await portrait('Ada'), await portrait('Bea'), await groupPhoto()];
  const raw = { method: 'POST', body: ada, headers: { 'content-type': 'image/jpeg' } } as const;

  const enrolled = await web.ask('/v1/enroll', {
    method: 'POST',
    token: mayEnroll,
    body: form([ada], { name: 'Ada' }),
  });
  assert.equal(enrolled.status, 200, enrolled.text);
  assert.equal(enrolled.body.accepted, true);
  const { person } = enrolled.body;
  const again = { method: 'POST', body: form([ada], { name: 'Somebody else' }) } as const;
  const refused = await web.ask('/v1/enroll', { ...again, token: mayEnroll });
  assert.equal(refused.body.code, 'enroll.duplicate');
  assert.doesNotMatch(refused.text, /Ada/, 'enrolling is no way to ask who somebody is');

  await t.test('three forms of the same picture get the same answer', async () => {
    const answers = [
      await web.ask('/v1/recognize', { ...raw, token: mayRecognise }),
      await web.ask('/v1/recognize', { method: 'POST', token: mayRecognise, body: form([ada]) }),
      await web.ask('/v1/recognize', {
        method: 'POST',
        token: mayRecognise,
        body: JSON.stringify({ image: ada.toString('base64') }),
        headers: { 'content-type': 'application/json' },
      }),
    ];
    for (const { status, body, text } of answers) {
      assert.equal(status, 200, text);
      assert.deepEqual(body, answers[0]?.body);
    }
    const [face, ...others] = answers[0]?.body.faces ?? [];
    assert.equal(others.length, 0);
    assert.equal(face.decision, 'known');
    assert.deepEqual(face.person, person);
    assert.equal(face.landmarks.length, 5);
    assert.equal(face.box.length, 4);
    assert.ok(face.quality.score > 0 && face.liveness > 0);
  });

  await t.test('a token that may only recognise learns no similarity and no embedding', async () => {
    for (const path of ['/v1/recognize', '/recognize']) {
      const { body, text } = await web.ask(path, { ...raw, token: mayRecognise });
      assert.doesNotMatch(text, /similarity|runnerUp|threshold/);
      assert.equal(body.faces[0].embedding, undefined);
    }
    const alias = await web.ask('/recognize', { ...raw, token: mayRecognise });
    assert.equal(alias.body.embedding, null);
    for (const path of ['/v1/embed', '/v1/compare'])
      assert.equal((await web.ask(path, { ...raw, token: mayRecognise })).status, 403);
  });

  await t.test('with the read scope both are told, and compare agrees with them', async () => {
    const one = await web.ask('/recognize', { ...raw, token: mayRead });
    assert.equal(one.body.embedding.length, 512);
    assert.deepEqual(one.body.faces[0].embedding, one.body.embedding);
    assert.ok(one.body.faces[0].similarity > one.body.faces[0].threshold);
    const other = await web.ask('/recognize', { ...raw, body: bea, token: mayRead });
    const compared = await web.ask('/v1/compare', { method: 'POST', token: mayRead, body: form([ada, bea]) });
    assert.equal(compared.status, 200, compared.text);
    const cosine = one.body.embedding.reduce(
      (sum: number, value: number, index: number) => sum + value * other.body.embedding[index],
      0,
    );
    assert.ok(Math.abs(compared.body.similarity - cosine) < 1e-5);
    assert.equal(other.body.faces[0].decision, 'unknown');
    assert.equal(other.body.faces[0].person, null);
    const embedded = await web.ask('/v1/embed', { ...raw, body: group, token: mayRead });
    assert.ok(embedded.body.faces.length >= 3);
  });

  await t.test('the people: list, one with samples, rename, remove', async () => {
    const admin = await web.token('admin');
    const list = await web.ask('/v1/people', { token: mayRead });
    assert.deepEqual(
      list.body.people.map(({ id, name, samples }: { id: string; name: string; samples: number }) => ({
        id,
        name,
        samples,
      })),
      [{ ...person, samples: 1 }],
    );
    const one = await web.ask(`/v1/people/${person.id}`, { token: mayRead });
    assert.equal(one.body.samples.length, 1);
    const rename = {
      method: 'PATCH',
      body: JSON.stringify({ name: '阿达' }),
      headers: { 'content-type': 'application/json' },
    };
    assert.equal((await web.ask(`/v1/people/${person.id}`, { ...rename, token: mayRead })).status, 403);
    assert.equal(
      (await web.ask(`/v1/people/${person.id}`, { ...rename, token: mayEnroll })).body.name,
      '阿达',
    );
    assert.equal(
      (await web.ask(`/v1/people/${person.id}`, { method: 'DELETE', token: mayEnroll })).status,
      403,
    );
    assert.equal((await web.ask(`/v1/people/${person.id}`, { method: 'DELETE', token: admin })).status, 200);
    assert.equal((await web.ask(`/v1/people/${person.id}`, { token: mayRead })).status, 404);
  });

  await t.test('no picture that was sent caused an event, or is on record as more than a use', async () => {
    assert.deepEqual((await web.ask('/v1/events', { token: mayRead })).body, { events: [], next: null });
    const { answer } = await web.faced.json('audit', 'export');
    const { rows } = answer as {
      rows: { kind: string; actor: string; detail: { route?: string; outcome?: string } }[];
    };
    const uses = rows.filter(({ kind }) => kind === 'http');
    assert.ok(uses.some(({ detail }) => detail.route === '/v1/recognize' && detail.outcome === 'allowed'));
    assert.ok(uses.some(({ detail }) => detail.route === '/v1/embed' && detail.outcome === 'refused'));
    assert.ok(uses.every(({ actor }) => /^http:token:[0-9A-Z]{26}$/.test(actor)));
    assert.ok(rows.some(({ kind, actor }) => kind === 'enroll' && actor.startsWith('http:token:')));
  });
});
