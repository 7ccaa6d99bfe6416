import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { test } from 'node:test';
import { crc32, deflateSync } from 'node:zlib';
import { heldClock } from '../helpers/clock.js';
import { openServer } from './server-support.js';
import { form, openWeb, portrait } from './support.js';

const JSON_TYPE = { 'content-type': 'application/json' };

/** Raw bytes to the port; resolves with all that came back when the other side has closed. */
function speak(base: string, bytes: string): Promise<string> {
  const { hostname, port } = new URL(base);
  return new Promise((resolve, reject) => {
    const socket = connect(Number(port), hostname);
    let answer = '';
    socket.on('data', (chunk) => (answer += chunk.toString('latin1')));
    socket.on('close', () => resolve(answer));
    socket.on('error', (error) => (answer === '' ? reject(error) : resolve(answer)));
    socket.write(bytes);
  });
}

test('pictures that are none, are cut off, or are bombs are refused by their code, and the next one is answered', async (t) => {
  const web = await openWeb(t);
  const token = await web.token('recognize');
  const ada = await portrait('Ada');
  const post = (body: Buffer, type = 'image/jpeg') =>
    web.ask('/v1/recognize', { method: 'POST', token, body, headers: { 'content-type': type } });

  const cases: [string, Buffer, number, string][] = [
    ['text', Buffer.from('no picture'), 422, 'image.unreadable'],
    ['cut off in its header', ada.subarray(0, 20), 422, 'image.unreadable'],
    ['cut off in its scan', ada.subarray(0, ada.length - 500), 422, 'image.unreadable'],
    [
      'noise behind a JPEG’s first bytes',
      Buffer.concat([ada.subarray(0, 300), Buffer.alloc(5000, 7)]),
      422,
      'image.unreadable',
    ],
    ['a PNG that says it has 60,000 x 60,000 pixels', pngHeader(60_000, 60_000), 413, 'image.too-large'],
    ['a GIF that says 65,535 x 65,535', gifHeader(65_535, 65_535), 413, 'image.too-large'],
    ['a PNG of no pixels', pngHeader(0, 10), 422, 'image.unreadable'],
    [
      'an SVG with an entity bomb',
      Buffer.from('<!DOCTYPE a [<!ENTITY b "bbbb">]><svg>&b;</svg>'),
      422,
      'image.unreadable',
    ],
  ];
  for (const [name, body, status, code] of cases)
    await t.test(name, async () => {
      const answer = await post(body);
      assert.equal(answer.status, status, answer.text);
      assert.equal(answer.body.error.code, code);
    });

  await t.test('nothing at all, or two pictures for one', async () => {
    assert.equal((await post(Buffer.alloc(0))).status, 400);
    const two = await web.ask('/v1/recognize', { method: 'POST', token, body: form([ada, ada]) });
    assert.ok([400, 413].includes(two.status), two.text);
  });

  await t.test(
    'what a content type says is not believed, and only those that are named are taken',
    async () => {
      assert.equal((await post(ada, 'image/png')).status, 200);
      for (const type of [
        'text/plain',
        'text/html',
        'application/xml',
        'application/x-www-form-urlencoded',
        'x',
      ])
        assert.equal((await post(ada, type)).status, 415, type);
      assert.equal((await post(ada, 'application/json')).status, 400);
      assert.equal((await post(ada, 'multipart/form-data')).status >= 400, true);
    },
  );

  await t.test('JSON that is no picture', async () => {
    const ask = (body: unknown) =>
      web.ask('/v1/recognize', { method: 'POST', token, headers: JSON_TYPE, body: JSON.stringify(body) });
    for (const body of [{}, { image: 5 }, { image: '' }, { image: '%%%%%%%%' }, [], null, { images: [1, 2] }])
      assert.equal((await ask(body)).status, 400, JSON.stringify(body));
    assert.equal((await ask({ image: Buffer.from('text').toString('base64') })).status, 422);
    const polluted = await web.ask('/v1/recognize', {
      ...{ method: 'POST', token, headers: JSON_TYPE },
      body: '{"__proto__": {"image": "x"}}',
    });
    assert.equal(polluted.status, 400);
  });

  await t.test('an upload of a gigabyte is refused from its first lines', async () => {
    const head = (headers: string) =>
      `POST /v1/recognize HTTP/1.1\r\nHost: 127.0.0.1:${web.port}\r\nAuthorization: Bearer ${token}\r\n${headers}\r\n\r\n`;
    const announced = await speak(web.base, head('Content-Type: image/jpeg\r\nContent-Length: 1073741824'));
    assert.match(announced, /^HTTP\/1\.1 413 /);
    const chunk = `100000\r\n${'x'.repeat(0x100000)}\r\n`;
    const streamed = await speak(
      web.base,
      head('Content-Type: image/jpeg\r\nTransfer-Encoding: chunked') + chunk.repeat(24),
    );
    assert.match(streamed, /^HTTP\/1\.1 413 /);
    const file = '--x\r\nContent-Disposition: form-data; name="image"; filename="a.jpg"\r\n\r\n';
    const form = await speak(
      web.base,
      head('Content-Type: multipart/form-data; boundary=x\r\nTransfer-Encoding: chunked') +
        `${file.length.toString(16)}\r\n${file}\r\n${chunk.repeat(24)}`,
    );
    assert.match(form, /^HTTP\/1\.1 413 /);
    const json = await speak(
      web.base,
      `${head('Content-Type: application/json\r\nContent-Length: 1073741824')}{"image":"`,
    );
    assert.match(json, /^HTTP\/1\.1 413 /);
  });

  await t.test(
    'forty-nine megapixels in fifty kilobytes, eight at once, are looked at or told to wait',
    async () => {
      const bomb = pngOf(7000, 7000);
      assert.ok(bomb.length < 200_000, `${bomb.length} bytes`);
      const answers = await Promise.all(Array.from({ length: 8 }, () => post(bomb, 'image/png')));
      for (const { status, text } of answers) assert.ok([200, 429].includes(status), text);
      const [answered] = answers.filter(({ status }) => status === 200);
      assert.deepEqual(answered?.body, { faces: [] });
    },
  );

  await t.test(
    'more at once than may wait are told when to come again, and the others are answered',
    async () => {
      const answers = await Promise.all(Array.from({ length: 30 }, () => post(ada)));
      const statuses = new Set(answers.map(({ status }) => status));
      assert.deepEqual([...statuses].toSorted(), [200, 429]);
      for (const { status, headers, body } of answers)
        if (status === 429) {
          assert.equal(body.error.code, 'busy');
          assert.match(headers.get('retry-after') ?? '', /^[1-9]\d*$/);
        }
    },
  );

  await t.test('after all of it a good picture is answered, and nothing crashed', async () => {
    const answer = await post(ada);
    assert.equal(answer.status, 200, answer.text);
    assert.equal(answer.body.faces.length, 1);
    assert.doesNotMatch(web.daemon.stderr(), /started again|defect/);
  });
});

/** A whole PNG in which every pixel is black. */
function pngOf(width: number, height: number): Buffer {
  const chunk = (type: string, data: Buffer) => {
    const body = Buffer.concat([Buffer.from(type, 'latin1'), data]);
    const [length, sum] = [Buffer.alloc(4), Buffer.alloc(4)];
    length.writeUInt32BE(data.length);
    sum.writeUInt32BE(crc32(body));
    return Buffer.concat([length, body, sum]);
  };
  const grey = pngHeader(width, height).subarray(16, 29);
  // Colour type 0, one byte a pixel.
  grey.writeUInt8(0, 9);
  return Buffer.concat([
    Buffer.from('\x89PNG\r\n\x1a\n', 'latin1'),
    chunk('IHDR', grey),
    chunk('IDAT', deflateSync(Buffer.alloc(height * (width + 1)), { level: 9 })),
    chunk('IEND', Buffer.alloc(0)),
  ]);
}

function pngHeader(width: number, height: number): Buffer {
  const header = Buffer.alloc(33);
  header.write('\x89PNG\r\n\x1a\n', 'latin1');
  header.writeUInt32BE(13, 8);
  header.write('IHDR', 12, 'latin1');
  header.writeUInt32BE(width, 16);
  header.writeUInt32BE(height, 20);
  header.writeUInt8(8, 24);
  header.writeUInt8(2, 25);
  return header;
}

function gifHeader(width: number, height: number): Buffer {
  const header = Buffer.alloc(13);
  header.write('GIF89a', 'latin1');
  header.writeUInt16LE(width, 6);
  header.writeUInt16LE(height, 8);
  return header;
}

test('another site reaches nothing: not by name, not by origin, not by a form', async (t) => {
  const { base, access } = await openServer(t);
  const { token } = await access.createToken({ scopes: ['admin'], label: '', days: null, actor: 'cli' });
  const port = new URL(base).port;
  const ask = async (headers: Record<string, string>, path = '/v1/people', method = 'GET') => {
    const lines = Object.entries({ Host: `127.0.0.1:${port}`, Authorization: `Bearer ${token}`, ...headers });
    const text = lines.map(([name, value]) => `${name}: ${value}\r\n`).join('');
    const answer = await speak(base, `${method} ${path} HTTP/1.1\r\n${text}Connection: close\r\n\r\n`);
    return Number(/^HTTP\/1\.1 (\d+)/.exec(answer)?.[1]);
  };
  assert.equal(await ask({}), 200);
  assert.equal(await ask({ Host: `localhost:${port}` }), 200);
  assert.equal(await ask({ Origin: `http://127.0.0.1:${port}` }), 200);
  // DNS rebinding: a name of theirs that points here.
  for (const Host of [
    'evil.example',
    `evil.example:${port}`,
    '127.0.0.1.evil.example',
    '0x7f000001',
    '',
    'localhost.',
    '8.8.8.8',
  ])
    for (const path of ['/v1/people', '/healthz', '/nothing', '/', '/openapi.json'])
      assert.ok([400, 403].includes(await ask({ Host }, path)), `${Host} ${path}`);
  for (const Origin of [
    'http://evil.example',
    'null',
    `https://127.0.0.1:${port}`,
    `http://localhost:${port}`,
    'http://127.0.0.1:1',
  ])
    assert.equal(await ask({ Origin }), 403, Origin);
  for (const site of ['cross-site', 'same-site']) {
    assert.equal(await ask({ 'Sec-Fetch-Site': site }), 403);
    assert.equal(
      await ask({ 'Sec-Fetch-Site': site, 'Sec-Fetch-Mode': 'navigate', 'Sec-Fetch-Dest': 'iframe' }),
      403,
    );
  }
  const link = { 'Sec-Fetch-Site': 'cross-site', 'Sec-Fetch-Mode': 'navigate', 'Sec-Fetch-Dest': 'document' };
  assert.equal(await ask(link, '/api'), 200, 'a person may follow a link to a page');
  assert.equal(await ask(link, '/v1/session', 'POST'), 403, 'a form of another site may not send anything');
});

test('what changes something needs the session’s CSRF token, and a wrong scope is refused everywhere', async (t) => {
  const { base, access } = await openServer(t);
  const { code } = await access.pairingCode({ actor: 'cli' });
  const first = await fetch(`${base}/v1/accounts/first`, {
    method: 'POST',
    headers: JSON_TYPE,
    body: JSON.stringify({ name: 'Ada', password: 'correct horse battery', code }),
  });
  assert.equal(first.status, 200);
  const { csrf } = (await first.json()) as { csrf: string };
  const cookie = (first.headers.get('set-cookie') ?? '').split(';')[0] ?? '';
  assert.match(first.headers.get('set-cookie') ?? '', /HttpOnly; SameSite=Strict/);
  const make = (headers: Record<string, string>) =>
    fetch(`${base}/v1/tokens`, {
      method: 'POST',
      headers: { ...JSON_TYPE, ...headers },
      body: JSON.stringify({ scopes: ['recognize'] }),
    });
  assert.equal((await make({ cookie })).status, 403);
  assert.equal((await make({ cookie, 'x-csrf-token': `${csrf}x` })).status, 403);
  assert.equal((await make({ 'x-csrf-token': csrf })).status, 401);
  const made = await make({ cookie, 'x-csrf-token': csrf });
  assert.equal(made.status, 200);
  const { token } = (await made.json()) as { token: string };

  const document = (await (await fetch(`${base}/openapi.json`)).json()) as {
    paths: Record<string, Record<string, { description: string; security: object[] }>>;
  };
  let refused = 0;
  for (const [path, methods] of Object.entries(document.paths))
    for (const [method, { description, security }] of Object.entries(methods)) {
      const url = base + path.replaceAll(/\{\w+\}/g, '01ARZ3NDEKTSV4RRFFQ69G5FAV');
      if (security.length === 0 || /Open on this machine|`recognize`/.test(description)) continue;
      const asked = await fetch(url, {
        method: method.toUpperCase(),
        headers: { authorization: `Bearer ${token}` },
      });
      assert.equal(asked.status, 403, `${method} ${path}: a recognise token`);
      await asked.body?.cancel();
      const nobody = await fetch(url, { method: method.toUpperCase() });
      assert.equal(nobody.status, 401, `${method} ${path}: nobody`);
      assert.match(nobody.headers.get('www-authenticate') ?? '', /^Bearer/);
      await nobody.body?.cancel();
      refused++;
    }
  assert.ok(refused >= 15, `${refused} operations were looked at`);
});

test('guessed tokens make the address wait, with a right one too', async (t) => {
  const clock = heldClock();
  const { base, access, store } = await openServer(t, {}, { clock });
  const { token } = await access.createToken({ scopes: ['read'], label: '', days: null, actor: 'cli' });
  const ask = (secret: string) =>
    fetch(`${base}/v1/people`, { headers: { authorization: `Bearer ${secret}` } });
  assert.equal((await ask(token)).status, 200);
  for (let count = 0; count < 10; count++) assert.equal((await ask(`faced_${count}`)).status, 401);
  const waits = await ask(token);
  assert.equal(waits.status, 429);
  assert.ok(Number(waits.headers.get('retry-after')) >= 1);
  clock.forward(1000);
  assert.equal((await ask(token)).status, 200, 'the first wait is a second');
  const refused = (await store.exportAudit({ limit: 100 })).filter(({ actor }) => actor === 'http:unknown');
  assert.ok(refused.length > 0);
});

test('guessed passwords and codes are slowed by name and by address, and then locked', async (t) => {
  const { base, access } = await openServer(t, {}, { clock: heldClock() });
  const { code } = await access.pairingCode({ actor: 'cli' });
  await access.createFirstAccount({ name: 'Ada', password: 'correct horse battery', code: code ?? '' });
  const post = (path: string, body: object) =>
    fetch(`${base}${path}`, { method: 'POST', headers: JSON_TYPE, body: JSON.stringify(body) });
  const signIn = (name: string, password: string) => post('/v1/session', { name, password });
  for (let count = 0; count < 5; count++) assert.equal((await signIn('Ada', 'wrong password')).status, 401);
  const locked = await signIn('Ada', 'correct horse battery');
  assert.equal(locked.status, 429, 'the name has to wait, with the right password too');
  assert.equal(((await locked.json()) as { error: { code: string } }).error.code, 'http.locked');
  assert.ok(Number(locked.headers.get('retry-after')) >= 1);
  // Another name from the same address: after ten wrong ones the address waits, whatever it asks for with a secret.
  const others = [];
  for (let count = 0; count < 8; count++) others.push((await signIn(`Bea ${count}`, 'x')).status);
  assert.equal(others[0], 401);
  assert.equal(others.at(-1), 429);
  assert.equal(
    (await post('/v1/accounts/first', { name: 'B', password: 'long enough 123', code: '0' })).status,
    429,
  );
});

test('a right token between them does not wipe out guessed passwords', async (t) => {
  const { base, access } = await openServer(t, {}, { clock: heldClock() });
  const { token } = await access.createToken({ scopes: ['recognize'], label: '', days: null, actor: 'cli' });
  const headers = { ...JSON_TYPE, authorization: `Bearer ${token}` };
  const signIn = async (name: string) => {
    const body = JSON.stringify({ name, password: 'x' });
    return (await fetch(`${base}/v1/session`, { method: 'POST', headers, body })).status;
  };
  for (let count = 0; count < 10; count++) assert.equal(await signIn(`Bea ${count}`), 401);
  assert.equal(await signIn('Cleo'), 429);
});

test('path tricks lead nowhere, and errors tell no path, stack or name', async (t) => {
  const { base } = await openServer(t);
  const { port } = new URL(base);
  const tricks = [
    '/../../etc/passwd',
    '/api/../../../../etc/passwd',
    '/api/%2e%2e%2f%2e%2e%2fetc/passwd',
    '/api/..%5c..%5cwindows',
    '//etc/passwd',
    '/api/api.js%00.html',
    '/api/%',
    '/v1/people/%2e%2e',
    '/v1/people/..%2f..%2fgallery.key',
    `/${'a'.repeat(9000)}`,
    '/v1/events/live/../../people',
    '*',
    'http://evil.example/v1/people',
  ];
  for (const path of tricks) {
    const answer = await speak(
      base,
      `GET ${path} HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nConnection: close\r\n\r\n`,
    );
    const status = Number(/^HTTP\/1\.1 (\d+)/.exec(answer)?.[1]);
    assert.ok(
      [400, 401, 403, 404, 414, 431].includes(status),
      `${path.slice(0, 60)}: ${answer.slice(0, 200)}`,
    );
    assert.doesNotMatch(answer, /root:|node_modules|\.js:\d|at \w+ \(|\/tmp\/|\/home\//);
  }
});

test('somebody who sends one byte at a time holds nobody up, and is let go', async (t) => {
  const { base } = await openServer(t, { requestMs: 600, headersMs: 300 });
  const { port } = new URL(base);
  const slow = Array.from({ length: 20 }, (_, index) =>
    speak(
      base,
      index % 2 === 0
        ? `GET /healthz HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nX-Slow: `
        : `POST /v1/session HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nContent-Type: application/json\r\nContent-Length: 50\r\n\r\n{"na`,
    ).catch(() => ''),
  );
  assert.equal((await fetch(`${base}/healthz`)).status, 200, 'others are answered meanwhile');
  for (const answer of await Promise.all(slow)) assert.match(answer, /^(HTTP\/1\.1 408 |$)/);
});
