import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { stat, writeFile } from 'node:fs/promises';
import { request } from 'node:https';
import type { networkInterfaces } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { fingerprintOf, givenCertificate, ownCertificate, selfSigned } from '../../src/http/certificate.js';
import { homeAddresses, neighbour } from '../../src/http/network.js';
import { heldClock } from '../helpers/clock.js';
import { temporaryDir } from '../helpers/dirs.js';
import { openServer } from './server-support.js';

test('a certificate of its own: what it says of itself, kept over restarts, made anew before it ends', async (t) => {
  const dir = await temporaryDir(t);
  const made = await ownCertificate(dir);
  const parsed = new X509Certificate(made.cert);
  assert.ok(parsed.verify(parsed.publicKey));
  assert.equal(parsed.ca, false);
  assert.equal(parsed.checkHost('localhost'), 'localhost');
  assert.equal((await stat(join(dir, 'http-key.pem'))).mode & 0o777, 0o600);
  assert.equal(fingerprintOf(await ownCertificate(dir)), fingerprintOf(made));
  const late = new Date(Date.now() + 790 * 86_400_000);
  assert.notEqual(fingerprintOf(await ownCertificate(dir, late)), fingerprintOf(made));
});

test('OpenSSL reads the certificate, and every address in it', { skip: withoutOpenssl() }, async (t) => {
  const dir = await temporaryDir(t);
  const addresses = ['192.168.1.20', 'fd12:3456:789a::1', 'fd00:0:0:1:2:3:4:5'];
  const { cert } = selfSigned({ names: ['door', 'door.local'], addresses, now: new Date() });
  await writeFile(join(dir, 'cert.pem'), cert);
  const said = spawnSync('openssl', ['x509', '-in', join(dir, 'cert.pem'), '-noout', '-text'], {
    encoding: 'utf8',
  });
  assert.equal(said.status, 0, said.stderr);
  assert.match(said.stdout, /DNS:door, DNS:door\.local, IP Address:192\.168\.1\.20/);
  assert.match(said.stdout, /IP Address:FD12:3456:789A:0:0:0:0:1, IP Address:FD00:0:0:1:2:3:4:5/);
  assert.match(said.stdout, /Digital Signature/);
  const verified = spawnSync('openssl', ['verify', '-CAfile', join(dir, 'cert.pem'), join(dir, 'cert.pem')], {
    encoding: 'utf8',
  });
  assert.equal(verified.status, 0, verified.stdout + verified.stderr);
});

function withoutOpenssl(): string | false {
  return spawnSync('openssl', ['version']).status === 0 ? false : 'needs openssl';
}

test('files that are no certificate with its key are said so, without their content', async (t) => {
  const dir = await temporaryDir(t);
  const [one, other] = [
    await ownCertificate(await temporaryDir(t)),
    await ownCertificate(await temporaryDir(t)),
  ];
  await writeFile(join(dir, 'cert.pem'), one.cert);
  await writeFile(join(dir, 'key.pem'), other.key);
  const files = { certFile: join(dir, 'cert.pem'), keyFile: join(dir, 'key.pem') };
  await assert.rejects(givenCertificate(files), {
    code: 'http.certificate-unusable',
    message: /not that of/,
  });
  await assert.rejects(givenCertificate({ ...files, keyFile: join(dir, 'none') }), {
    code: 'http.certificate-unusable',
  });
});

test('only addresses of the home count, not those of the internet or of containers', () => {
  const one = (address: string, internal = false) => ({ address, internal }) as never;
  const interfaces = (() => ({
    lo: [one('127.0.0.1', true)],
    eth0: [one('192.168.1.20'), one('2a01:4f8::1'), one('fd12::1'), one('fe80::1')],
    wlan0: [one('10.0.0.7'), one('203.0.113.9'), one('172.32.0.1'), one('172.31.0.1')],
    docker0: [one('172.17.0.1')],
  })) as unknown as typeof networkInterfaces;
  assert.deepEqual(homeAddresses(interfaces), ['192.168.1.20', 'fd12::1', '10.0.0.7', '172.31.0.1']);
});

test('the home network is let in over TLS when it was opened, and shut out again', async (t) => {
  const { access, server, urls } = await openServer(t, { homeAddresses: () => ['127.0.0.2'] });
  assert.deepEqual(urls().length, 1);
  const port = Number(new URL(urls()[0] ?? '').port);
  const { code } = await access.openToNetwork({ actor: 'cli' });
  await server.settled();
  assert.deepEqual(urls(), [`http://127.0.0.1:${port}/`, `https://127.0.0.2:${port}/`]);

  const made = await overTls(port, 'POST', '/v1/accounts/first', {
    name: 'Ada',
    password: 'correct horse battery',
    code,
  });
  assert.equal(made.status, 200, made.text);
  const [cookie = ''] = made.cookies;
  assert.match(
    cookie,
    /^__Host-faced_session=[\w-]{43}; Path=\/; HttpOnly; SameSite=Strict; Max-Age=\d+; Secure$/,
  );
  const again = await overTls(port, 'GET', '/v1/people', null, { cookie: cookie.split(';')[0] ?? '' });
  assert.equal(again.status, 200, again.text);

  await access.closeToNetwork({ actor: 'cli' });
  await server.settled();
  assert.equal(urls().length, 1);
  await assert.rejects(overTls(port, 'GET', '/healthz', null), { code: 'ECONNREFUSED' });
});

interface Reply {
  readonly status: number | undefined;
  readonly cookies: readonly string[];
  readonly text: string;
}

function overTls(
  port: number,
  method: string,
  path: string,
  body: object | null,
  headers: Record<string, string> = {},
): Promise<Reply> {
  const json = body === null ? {} : { 'content-type': 'application/json' };
  return new Promise((resolve, reject) => {
    // Its own certificate is nobody's: a person compares the fingerprint.
    const options = { host: '127.0.0.2', port, method, path, rejectUnauthorized: false };
    const asked = request({ ...options, headers: { ...json, ...headers }, agent: false }, (response) => {
      let text = '';
      response.on('data', (chunk) => (text += String(chunk)));
      response.on('end', () =>
        resolve({ status: response.statusCode, cookies: response.headers['set-cookie'] ?? [], text }),
      );
    });
    asked.on('error', reject);
    asked.end(body === null ? undefined : JSON.stringify(body));
  });
}

test('a machine with many IPv6 addresses counts as one where tries are counted', () => {
  assert.equal(neighbour('192.168.1.20'), '192.168.1.20');
  assert.equal(neighbour('fd12:3456:789a:1::1'), 'fd12:3456:789a:1::/64');
  assert.equal(neighbour('fd12:3456:789a:0001:dead:beef:0:2'), 'fd12:3456:789a:1::/64');
  assert.equal(neighbour('fd12::5:6:7:8'), 'fd12:0:0:0::/64');
  assert.equal(neighbour('::1'), '0:0:0:0::/64');
  assert.notEqual(neighbour('fd12:3456:789a:2::1'), neighbour('fd12:3456:789a:1::1'));
});

test('neighbours whose proxy writes IPv4 addresses as IPv6 ones are told apart', async (t) => {
  const { base } = await openServer(t, { trustedProxies: ['127.0.0.1'] }, { clock: heldClock() });
  const ask = async (from: string) => {
    const headers = {
      'x-forwarded-proto': 'https',
      'x-forwarded-for': from,
      authorization: 'Bearer guessed',
    };
    return (await fetch(`${base}/v1/people`, { headers })).status;
  };
  const answers: number[] = [];
  for (let n = 0; n < 11; n++) answers.push(await ask('::ffff:203.0.113.9'));
  assert.deepEqual([answers[0], answers.at(-1)], [401, 429], 'who guesses has to wait');
  assert.equal(await ask('::ffff:203.0.113.10'), 401, 'and nobody else');
});
