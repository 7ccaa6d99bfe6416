import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { decode, type WritableImage } from '../../src/image/index.js';
import { endlessCamera, moving, turningHead } from '../helpers/clips.js';
import { temporaryDir } from '../helpers/dirs.js';
import { openWeb, portrait, type Web } from './support.js';

const JSON_TYPE = { 'content-type': 'application/json' };

/** Server-sent events until the other side ends them. */
function eventsOf(text: string): { name: string; data: Record<string, unknown> }[] {
  return [...text.matchAll(/^event: (\S+)\ndata: (.*)$/gm)].map(([, name = '', data = '']) => ({
    name,
    data: JSON.parse(data) as Record<string, unknown>,
  }));
}

/** Resolves when an event has come that fits; those of the past count. */
async function recognised(web: Web, token: string, fits: RegExp): Promise<void> {
  const response = await fetch(`${web.base}/v1/events/live`, {
    headers: { authorization: `Bearer ${token}`, 'last-event-id': '00000000000000000000000000' },
  });
  let text = '';
  for await (const chunk of response.body ?? []) {
    text += Buffer.from(chunk).toString();
    if (fits.test(text)) return;
  }
  throw new Error('the stream ended');
}

test('somebody is led through an enrolment by HTTP, and a stranger who was kept is named', async (t) => {
  const dir = await temporaryDir(t);
  const { plain } = await turningHead();
  const jpeg = await portrait('Bea');
  const bea = decode(jpeg);
  const config = join(dir, 'faced.yaml');
  const camera = async (image: WritableImage) =>
    `{source: "${endlessCamera(await temporaryDir(t), moving(image))}"}`;
  const cameras = `{desk: ${await camera(plain)}, porch: ${await camera({ ...bea, data: bea.data })}}`;
  await writeFile(config, `gallery: {keepUnknownHours: 1}\ncameras: ${cameras}\n`);
  const web = await openWeb(t, { before: ['admin'], argv: ['--config', config] });
  const token = web.made ?? '';
  const post = (path: string, body: object) =>
    web.ask(path, { method: 'POST', token, headers: JSON_TYPE, body: JSON.stringify(body) });

  await t.test('guided: what to change, how far it is, and the samples', async () => {
    const { status, text } = await post('/v1/enroll/camera', { name: 'Carl', camera: 'desk', force: true });
    assert.equal(status, 200);
    const events = eventsOf(text);
    const [first] = events;
    assert.equal(first?.name, 'progress');
    assert.deepEqual([first?.data.taken, first?.data.wanted], [0, 3]);
    assert.equal(typeof first?.data.text, 'string');
    const done = events.at(-1);
    assert.ok(done?.name === 'done', text);
    const { person, samples } = done.data as {
      person: { name: string } | null;
      samples: { accepted: boolean }[];
    };
    assert.equal(person?.name, 'Carl');
    assert.ok(samples.some(({ accepted }) => accepted));
  });

  await t.test('a stranger: the picture, a name for all that was kept, and known by it', async () => {
    await recognised(web, token, /"camera":"porch"[^\n]*"decision":"unknown"/);
    interface Group {
      readonly group: string;
      readonly faces: number;
      readonly cameras: string[];
    }
    const groups = async () => (await web.ask('/v1/unknown', { token })).body.groups as Group[];
    const stranger = (await groups()).find(({ cameras }) => cameras.includes('porch'));
    assert.ok(stranger, JSON.stringify(await groups()));
    const image = await fetch(`${web.base}/v1/unknown/${stranger.group}/image`, {
      headers: { authorization: `Bearer ${token}` },
    });
    assert.equal(image.headers.get('content-type'), 'image/jpeg');
    assert.equal(decode(Buffer.from(await image.arrayBuffer())).width, 112);
    const mayRead = await web.token('read');
    const named = { method: 'POST', headers: JSON_TYPE, body: JSON.stringify({ name: '小贝' }) };
    const path = `/v1/unknown/${stranger.group}/name`;
    assert.equal((await web.ask(path, { ...named, token: mayRead })).status, 403);
    const { status, body, text } = await web.ask(path, { ...named, token });
    assert.equal(status, 200, text);
    assert.equal(body.person.name, '小贝');
    assert.ok(body.samples >= 1);
    assert.equal(
      (await groups()).some(({ group }) => group === stranger.group),
      false,
    );
    assert.equal((await web.ask(path, { ...named, token })).status, 404);
    const asked = await web.ask('/v1/recognize', {
      ...{ method: 'POST', token, body: jpeg },
      headers: { 'content-type': 'image/jpeg' },
    });
    assert.equal(asked.body.faces[0].person?.name, '小贝');
  });
});
