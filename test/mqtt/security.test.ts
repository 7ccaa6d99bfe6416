import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import { FacedError } from '../../src/domain/errors.js';
import { labelOf } from '../../src/mqtt/endpoint.js';
import { listen, startBroker, startMosquitto, Wire, withoutMosquitto } from '../helpers/broker.js';
import { makeLink, next, startLink, type TestLink } from '../helpers/broker-link.js';
import { temporaryDir } from '../helpers/dirs.js';
import { authority } from '../helpers/tls.js';

const SECRET = 'correct-horse-7431';
const withoutOpenssl =
  spawnSync('openssl', ['version']).error === undefined ? withoutMosquitto : 'needs openssl';

/** Starts the link and waits until an attempt has failed. */
async function failing(made: TestLink): Promise<string> {
  await made.link.start(new AbortController().signal);
  const until = Date.now() + 10_000;
  while (made.log.matching(/no connection/).length === 0 && Date.now() < until)
    await new Promise((resolve) => setTimeout(resolve, 10));
  return made.link.stats().problem ?? '';
}

test('mosquitto: the right password connects, a wrong one is named as such and never logged', {
  skip: withoutMosquitto,
}, async (t) => {
  const dir = await temporaryDir(t);
  const passwords = join(dir, 'passwords');
  execFileSync('mosquitto_passwd', ['-b', '-c', passwords, 'faced', SECRET]);
  const broker = await startMosquitto(t, ['allow_anonymous false', `password_file ${passwords}`]);
  const passwordFile = join(dir, 'secret');
  await writeFile(passwordFile, `${SECRET}\n`);
  const right = makeLink(t, { url: broker.url, username: 'faced', passwordFile });
  assert.equal((await startLink(right)).version, 5);
  await right.link.stop();

  const inUrl = makeLink(t, { url: `mqtt://faced:${SECRET}@127.0.0.1:${broker.port}` });
  assert.equal((await startLink(inUrl)).broker, `mqtt://127.0.0.1:${broker.port}`);
  await inUrl.link.stop();

  const wrong = makeLink(t, { url: `mqtt://faced:${SECRET}-wrong@127.0.0.1:${broker.port}` });
  assert.match(await failing(wrong), /refuses the user name, password/);
  assert.equal(wrong.link.stats().connected, false);
  for (const { log } of [right, inUrl, wrong]) assert.doesNotMatch(log.lines.join('\n'), new RegExp(SECRET));
});

test('embedded: nobody else becomes the daemon, by its user name or by its client id', async (t) => {
  const broker = await startBroker(t, 'embedded');
  const made = makeLink(t, { url: broker.url, ...broker.own });
  await startLink(made);
  const impostor = makeLink(t, { url: broker.url, username: 'faced', password: SECRET, device: 'other' });
  assert.match(await failing(impostor), /refuses the user name/);
  await assert.rejects(listen(t, broker.url, [], { clientId: 'faced-door' }));
  assert.equal(made.link.stats().connected, true);
});

test('TLS with an own CA connects; without it, or under another name, it does not', {
  skip: withoutOpenssl,
}, async (t) => {
  const { ca, path } = await authority(t);
  const broker = await startMosquitto(t, [
    'allow_anonymous true',
    `cafile ${ca}`,
    `certfile ${path('server.pem')}`,
    `keyfile ${path('server.key')}`,
  ]);
  const trusted = makeLink(t, { url: `mqtts://localhost:${broker.port}`, caFile: ca });
  assert.equal((await startLink(trusted)).version, 5);
  await trusted.link.stop();
  const untrusted = makeLink(t, { url: `mqtts://localhost:${broker.port}` });
  assert.match(await failing(untrusted), /No trusted TLS connection/);
  const named = makeLink(t, { url: `mqtts://127.0.0.1:${broker.port}`, caFile: ca });
  assert.match(await failing(named), /No trusted TLS connection.*ALTNAME/);
});

test('TLS with a client certificate: with it in, without it out', { skip: withoutOpenssl }, async (t) => {
  const { ca, path } = await authority(t);
  const broker = await startMosquitto(t, [
    'allow_anonymous true',
    'require_certificate true',
    `cafile ${ca}`,
    `certfile ${path('server.pem')}`,
    `keyfile ${path('server.key')}`,
  ]);
  const url = `mqtts://localhost:${broker.port}`;
  const certified = makeLink(t, {
    url,
    caFile: ca,
    certFile: path('client.pem'),
    keyFile: path('client.key'),
  });
  await startLink(certified);
  const bare = makeLink(t, { url, caFile: ca, device: 'bare' });
  await failing(bare);
  assert.equal(bare.link.stats().connected, false);
});

test('a TLS URL never sends a byte in clear, whatever the other side is', async (t) => {
  const first: number[] = [];
  const server = createServer((socket) => {
    socket.on('error', () => {});
    socket.once('data', (chunk) => {
      first.push(chunk[0] ?? -1);
      socket.end(Buffer.from([0x20, 0x02, 0x00, 0x00]));
    });
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => server.close());
  const address = server.address();
  assert.ok(address !== null && typeof address === 'object');
  const made = makeLink(t, {
    url: `mqtts://faced:${SECRET}@127.0.0.1:${address.port}`,
    minPauseMs: 5,
    maxPauseMs: 5,
  });
  await failing(made);
  while (first.length < 5) await once(server, 'connection');
  // 22 is a TLS handshake record; an MQTT CONNECT would begin with 16.
  assert.deepEqual([...new Set(first)], [22]);
  assert.equal(made.link.stats().connected, false);
});

const WRONG: readonly { what: string; options: object; message: RegExp }[] = [
  {
    what: 'certificates on a plain URL',
    options: { url: 'mqtt://h', caFile: '/x' },
    message: /not encrypted/,
  },
  {
    what: 'a certificate without its key',
    options: { url: 'mqtts://h', certFile: '/x' },
    message: /belong together/,
  },
  { what: 'a scheme that it does not know', options: { url: `http://u:${SECRET}@h` }, message: /mqtt\.url/ },
  {
    what: 'a file that is not there',
    options: { url: 'mqtts://h', caFile: '/nowhere/ca' },
    message: /mqtt\.ca:/,
  },
];
for (const { what, options, message } of WRONG) {
  test(`start refuses ${what}`, async (t) => {
    const made = makeLink(t, options as { url: string });
    await assert.rejects(made.link.start(new AbortController().signal), (error) => {
      assert.ok(error instanceof FacedError);
      assert.match(error.message, message);
      assert.ok(error.fix);
      assert.doesNotMatch(error.message, new RegExp(SECRET));
      return true;
    });
  });
}

test('a label holds no credentials', () => {
  assert.equal(labelOf(`mqtts://u:${SECRET}@broker.local`), 'mqtts://broker.local:8883');
  assert.equal(labelOf('mqtt://[::1]:1999'), 'mqtt://[::1]:1999');
});

test('a broker that closes on MQTT 5 without a word is spoken to in 3.1.1', async (t) => {
  const broker = await startBroker(t, 'embedded');
  const wire = await Wire.lay(t, broker.port);
  // The protocol level is the byte after the name "MQTT" (3.1.1, 3.1.2.2).
  wire.inspect = (chunk) => !(chunk[0] === 0x10 && chunk[chunk.indexOf('MQTT') + 4] === 5);
  const made = makeLink(t, { url: wire.url, ...broker.own });
  assert.equal((await startLink(made)).version, 4);
});

test('MQTT 5 is not given up because the broker was away', { skip: withoutMosquitto }, async (t) => {
  const broker = await startMosquitto(t);
  const wire = await Wire.lay(t, broker.port);
  const made = makeLink(t, { url: wire.url });
  await startLink(made);
  const again = next(made.link, 'connected');
  wire.cut();
  setTimeout(() => wire.mend(), 60);
  assert.equal((await again).version, 5);
});

test('the version that a broker refused is remembered', async (t) => {
  const broker = await startBroker(t, 'embedded');
  const wire = await Wire.lay(t, broker.port);
  const levels: number[] = [];
  wire.inspect = (chunk) => {
    if (chunk[0] === 0x10) levels.push(chunk[chunk.indexOf('MQTT') + 4] ?? -1);
    return true;
  };
  const made = makeLink(t, { url: wire.url, ...broker.own });
  await startLink(made);
  const again = next(made.link, 'connected');
  wire.snip();
  await again;
  assert.deepEqual(levels, [5, 4, 4]);
});

test('stop ends while the broker is away, and start ends when it was aborted', async (t) => {
  const made = makeLink(t, { url: 'mqtt://127.0.0.1:9' });
  await failing(made);
  await made.link.stop();
  assert.equal(await made.link.drained(1_000), true);
  const aborted = makeLink(t, { url: 'mqtt://127.0.0.1:9' });
  await assert.rejects(aborted.link.start(AbortSignal.abort()), { name: 'AbortError' });
  const silent = createServer((socket) => socket.on('error', () => {})).listen(0, '127.0.0.1');
  await once(silent, 'listening');
  t.after(() => silent.close());
  const address = silent.address();
  assert.ok(address !== null && typeof address === 'object');
  const hanging = makeLink(t, { url: `mqtt://127.0.0.1:${address.port}` });
  const accepted = once(silent, 'connection');
  await hanging.link.start(new AbortController().signal);
  await accepted;
  await hanging.link.stop();
});

test('files that are no certificates are refused at the start', async (t) => {
  const file = join(await temporaryDir(t), 'garbage.pem');
  await writeFile(file, 'garbage');
  for (const files of [{ caFile: file }, { certFile: file, keyFile: file }]) {
    const made = makeLink(t, { url: 'mqtts://127.0.0.1:9', ...files });
    await assert.rejects(made.link.start(new AbortController().signal), { code: 'config.invalid' });
  }
});

test('a command that came while we were away is carried out when we are back', {
  skip: withoutMosquitto,
}, async (t) => {
  const broker = await startMosquitto(t);
  const wire = await Wire.lay(t, broker.port);
  const made = makeLink(t, { url: wire.url });
  await startLink(made);
  const lost = next(made.link, 'disconnected');
  wire.cut();
  await lost;
  const sender = await listen(t, broker.url, ['faced/door/enroll/result']);
  const command = { id: 'a', exp: Math.floor(Date.now() / 1000) + 60, name: 'Ada', camera: 'porch' };
  await sender.client.publishAsync('faced/door/enroll/set', JSON.stringify(command), { qos: 1 });
  wire.mend();
  await sender.until(() => sender.received.length === 1);
  assert.deepEqual(
    made.commands.map(({ id }) => id),
    ['a'],
  );
});

test('a second daemon of the same name is named as the reason, once', {
  skip: withoutMosquitto,
}, async (t) => {
  const broker = await startMosquitto(t);
  const first = makeLink(t, { url: broker.url });
  await startLink(first);
  const named = () => first.log.matching(/^warn.*another client has our client id/i).length;
  const second = makeLink(t, { url: broker.url });
  await startLink(second);
  while (named() === 0) await next(first.link, 'connected');
  for (let round = 0; round < 3; round++) await next(first.link, 'connected');
  assert.equal(named(), 1);
});
