import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { decode } from '../../src/image/index.js';
import { endlessCamera, moving } from '../helpers/clips.js';
import { temporaryDir } from '../helpers/dirs.js';
import { openWeb, portrait, type Web } from './support.js';

/** JPEGs of a multipart stream, as they come, until it is left. */
async function* pictures(web: Web, path: string, token: string): AsyncGenerator<Buffer> {
  const response = await fetch(web.base + path, { headers: { authorization: `Bearer ${token}` } });
  assert.equal(response.status, 200);
  assert.match(response.headers.get('content-type') ?? '', /^multipart\/x-mixed-replace; boundary=/);
  assert.match(response.headers.get('content-security-policy') ?? '', /default-src 'self'/);
  let buffer = Buffer.alloc(0);
  for await (const chunk of response.body ?? []) {
    buffer = Buffer.concat([buffer, chunk]);
    for (;;) {
      const head = buffer.indexOf('\r\n\r\n');
      const length = Number(/Content-Length: (\d+)/.exec(buffer.toString('latin1', 0, head))?.[1]);
      if (head < 0 || buffer.length < head + 4 + length) break;
      yield buffer.subarray(head + 4, head + 4 + length);
      buffer = buffer.subarray(head + 4 + length + 2);
    }
  }
}

/** The first event of a stream that fits. */
async function heard<Data>(
  web: Web,
  path: string,
  token: string,
  fits: (data: Data) => boolean,
): Promise<Data> {
  const response = await fetch(web.base + path, { headers: { authorization: `Bearer ${token}` } });
  assert.match(response.headers.get('content-type') ?? '', /^text\/event-stream/);
  let text = '';
  for await (const chunk of response.body ?? []) {
    text += Buffer.from(chunk).toString();
    for (const [, data = ''] of text.matchAll(/^data: (.*)\n/gm)) {
      const found = JSON.parse(data) as Data;
      if (!fits(found)) continue;
      return found;
    }
    text = text.slice(text.lastIndexOf('\n\n') + 1);
  }
  throw new Error('the stream ended');
}

interface Faces {
  readonly frame: readonly number[];
  readonly faces: readonly {
    readonly box: readonly number[];
    readonly person?: { readonly name: string } | null;
    readonly similarity?: number;
    readonly threshold?: number;
  }[];
}

test('the live view: boxes and names, encoded once for all who watch, and events as they happen', async (t) => {
  const dir = await temporaryDir(t);
  const jpeg = await portrait('Ada');
  const image = decode(jpeg);
  const camera = endlessCamera(await temporaryDir(t), moving({ ...image, data: image.data }));
  const ada = join(dir, 'ada.jpg');
  await writeFile(ada, jpeg);
  const web = await openWeb(t, {
    before: ['read'],
    argv: ['--source', camera],
    enrol: ['Zoë', ada],
  });
  const token = web.made ?? '';

  const { frame, faces } = await heard<Faces>(
    web,
    '/v1/cameras/camera/faces',
    token,
    ({ faces: [first] }) => first?.person != null,
  );
  assert.deepEqual(frame, [640, 480]);
  const [face] = faces;
  assert.ok(face);
  assert.equal(face.person?.name, 'Zoë');
  assert.ok((face.similarity ?? 0) > (face.threshold ?? 1));

  const still = await fetch(`${web.base}/v1/cameras/camera/still`, {
    headers: { authorization: `Bearer ${token}` },
  });
  assert.equal(still.headers.get('content-type'), 'image/jpeg');
  const size = decode(Buffer.from(await still.arrayBuffer()));
  assert.deepEqual([size.width, size.height], [640, 480]);

  // Until six pictures have come to all three, byte for byte.
  const seen = new Map<string, Set<number>>();
  const shared = () => [...seen.values()].filter(({ size }) => size === 3).length;
  const watch = async (watcher: number) => {
    for await (const jpeg of pictures(web, '/v1/cameras/camera/live', token)) {
      const bytes = jpeg.toString('base64');
      seen.set(bytes, (seen.get(bytes) ?? new Set()).add(watcher));
      if (shared() >= 6) return Buffer.from(jpeg);
    }
    throw new Error('the live view ended');
  };
  const [last] = await Promise.all([watch(0), watch(1), watch(2)]);
  const picture = decode(last);
  const green = Array.from({ length: picture.width * picture.height }, (_, index) => {
    const [b = 0, g = 0, r = 0] = picture.data.subarray(index * 3, index * 3 + 3);
    return g > 170 && g - r > 60 && g - b > 60;
  }).filter(Boolean).length;
  assert.ok(green > 300, `the box and the bar of a known face are drawn (${green} green pixels)`);

  const missed = await fetch(`${web.base}/v1/events/live`, {
    headers: { authorization: `Bearer ${token}`, 'last-event-id': '00000000000000000000000000' },
  });
  const reader = missed.body?.getReader();
  let said = '';
  while (!/event: recognition/.test(said))
    said += Buffer.from((await reader?.read())?.value ?? []).toString();
  assert.match(said, /^id: [0-9A-Z]{26}$/m);
  await reader?.cancel();

  for (const path of ['/v1/cameras/none/live', '/v1/cameras/none/still', '/v1/cameras/none/faces'])
    assert.equal((await web.ask(path, { token })).status, 404);
});
