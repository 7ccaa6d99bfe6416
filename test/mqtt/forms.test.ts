import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { FacedError } from '../../src/domain/errors.js';
import type { RecognitionEvent } from '../../src/domain/event.js';
import { EXAMPLE_EVENT, EXAMPLE_HEALTH } from '../../src/mqtt/catalogue.js';
import { HealthThrottle } from '../../src/mqtt/health.js';
import { Framing } from '../../src/mqtt/packet-size.js';
import { createEventEncoder, verifyPayload } from '../../src/mqtt/signature.js';
import { checkDevice, topicsOf } from '../../src/mqtt/topics.js';
import { temporaryDir } from '../helpers/dirs.js';

test('topics are the fixed ones', () => {
  assert.deepEqual(topicsOf('front-door'), {
    status: 'faced/front-door/status',
    recognition: 'faced/front-door/recognition',
    attempt: 'faced/front-door/attempt',
    health: 'faced/front-door/health',
    gallery: 'faced/front-door/gallery',
    snapshot: 'faced/front-door/snapshot',
    enrollSet: 'faced/front-door/enroll/set',
    enrollResult: 'faced/front-door/enroll/result',
    lockSet: 'faced/front-door/lock/set',
    lockState: 'faced/front-door/lock/state',
    lockResult: 'faced/front-door/lock/result',
    lockEvent: 'faced/front-door/lock/event',
    enrollProgress: 'faced/front-door/enroll/progress',
    auditHead: 'faced/front-door/audit/head',
    liveness: 'faced/front-door/liveness',
    controlSet: 'faced/front-door/control/set',
    controlResult: 'faced/front-door/control/result',
    controlState: 'faced/front-door/control/state',
  });
});

test('a device is one topic level', () => {
  for (const good of ['d', 'Haustür', 'x'.repeat(64), 'a b', '🚪'.repeat(64)])
    assert.equal(checkDevice(good), good);
  const bad = ['', 'x'.repeat(65), 'a/b', 'a+', '#', 'a\u0000b', 'a\nb', '\ud800'];
  for (const device of bad)
    assert.throws(
      () => topicsOf(device),
      (error) => error instanceof FacedError && error.code === 'config.invalid',
      JSON.stringify(device),
    );
});

test('a signature holds for the payload as sent, and for no other', async (t) => {
  const keyFile = join(await temporaryDir(t), 'key.pem');
  const { privateKey } = generateKeyPairSync('ed25519');
  await writeFile(keyFile, privateKey.export({ type: 'pkcs8', format: 'pem' }), { mode: 0o600 });
  const { encode, publicKey } = await createEventEncoder(keyFile);
  assert.ok(publicKey !== null);
  const event: RecognitionEvent = { ...EXAMPLE_EVENT, person: { id: EXAMPLE_EVENT.id, name: 'Zoë "}, 🚪' } };
  const payload = encode(event);
  const { sig, ...rest } = JSON.parse(payload) as RecognitionEvent & { sig: string };
  assert.equal(sig.length, 86);
  assert.deepEqual(rest, event);
  assert.equal(verifyPayload(payload, publicKey), true);
  const bytes = Buffer.from(payload);
  for (let at = 0; at < bytes.length; at += 7) {
    const changed = Buffer.from(bytes);
    changed[at] = (changed[at] ?? 0) ^ 1;
    assert.equal(verifyPayload(changed.toString('latin1'), publicKey), false, `byte ${at}`);
  }
  assert.equal(verifyPayload(JSON.stringify(rest), publicKey), false);
  const stranger = generateKeyPairSync('ed25519').publicKey;
  assert.equal(verifyPayload(payload, stranger), false);
});

test('without a key there is no signature, with a wrong file no start', async (t) => {
  const plain = await createEventEncoder();
  assert.deepEqual(JSON.parse(plain.encode(EXAMPLE_EVENT)), EXAMPLE_EVENT);
  const path = join(await temporaryDir(t), 'rsa.pem');
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 1024 });
  await writeFile(path, privateKey.export({ type: 'pkcs8', format: 'pem' }));
  await assert.rejects(createEventEncoder(path), { code: 'config.invalid' });
  await writeFile(path, 'no key');
  await assert.rejects(createEventEncoder(path), { code: 'config.invalid' });
  await assert.rejects(createEventEncoder('/nowhere/key'), { code: 'config.unreadable' });
});

test('a signature is verified by the example of the documentation', async (t) => {
  const { verificationExample } = await import('../../src/mqtt/reference.js');
  const dir = await temporaryDir(t);
  const { privateKey } = generateKeyPairSync('ed25519');
  await writeFile(join(dir, 'key.pem'), privateKey.export({ type: 'pkcs8', format: 'pem' }));
  const { encode, publicKey } = await createEventEncoder(join(dir, 'key.pem'));
  await writeFile(join(dir, 'faced.pub.pem'), publicKey ?? '');
  await writeFile(join(dir, 'verify.mjs'), verificationExample);
  const run = (input: string) =>
    execFileSync(process.execPath, ['verify.mjs'], { cwd: dir, input, encoding: 'utf8' }).trim();
  const payload = encode(EXAMPLE_EVENT);
  assert.equal(run(payload), 'true');
  assert.equal(run(payload.replace('"known"', '"spoof"')), 'false');
});

test('packet lengths are followed over chunks that are cut anywhere', () => {
  // PINGREQ, a PUBLISH of 200 bytes (two length bytes), a PINGREQ, a PUBLISH of 2,100,000 bytes (four length bytes).
  const large = [0x30, 0xa0, 0x96, 0x80, 0x01];
  const bytes = Uint8Array.from([
    0xc0,
    0,
    0x30,
    0xc8,
    1,
    ...Array<number>(200).fill(0xff),
    0xc0,
    0,
    ...large,
  ]);
  for (const step of [1, 2, 3, 7, 64, bytes.length]) {
    const framing = new Framing();
    const seen: number[] = [];
    for (let at = 0; at < bytes.length; at += step) seen.push(framing.largest(bytes.subarray(at, at + step)));
    assert.deepEqual(
      seen.filter((length) => length > 0),
      step === bytes.length ? [2_100_000] : [200, 2_100_000],
      `chunks of ${step}`,
    );
  }
});

test('health: news at once, counters every half minute, no storm', () => {
  let now = 0;
  const throttle = new HealthThrottle(30_000, () => now);
  const ok = EXAMPLE_HEALTH;
  const degraded = { ...ok, state: 'degraded' as const };
  const at = (time: number, report: typeof ok | typeof degraded) => {
    now = time;
    return throttle.due(report);
  };
  assert.deepEqual(
    [
      at(0, ok),
      at(5_000, { ...ok, uptimeS: 9 }),
      at(6_000, degraded),
      at(6_500, ok),
      at(7_100, ok),
      at(37_000, ok),
      at(37_100, ok),
    ],
    [true, false, true, false, true, false, true],
  );
});
