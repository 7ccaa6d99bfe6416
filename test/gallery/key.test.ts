import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { chmodSync, existsSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { createStore } from '../../src/gallery/index.js';
import { Sealer } from '../../src/gallery/seal.js';
import { temporaryDir } from '../helpers/dirs.js';
import { openStore } from './support.js';

const signal = new AbortController().signal;

test('a key is made at the first start, for its owner only, and never again for the same gallery', async (t) => {
  const { store, directory } = await openStore(t);
  const path = join(directory, 'gallery.key');
  assert.equal(statSync(path).mode & 0o777, 0o600);
  const key = readFileSync(path);
  await store.stop();
  rmSync(path);
  await assert.rejects(createStore({ directory }).start(signal), { code: 'gallery.key-unusable' });
  assert.equal(existsSync(path), false);
  writeFileSync(path, key, { mode: 0o600 });
  await (await openStore(t, { directory })).store.ensurePerson('Anna');
});

test('the wrong key is told at the start and changes nothing', async (t) => {
  const { store, directory } = await openStore(t);
  await store.ensurePerson('Anna');
  await store.stop();
  const keyFile = join(await temporaryDir(t), 'key');
  writeFileSync(keyFile, randomBytes(32), { mode: 0o600 });
  const before = readFileSync(join(directory, 'gallery.db'));
  await assert.rejects(createStore({ directory, keyFile }).start(signal), { code: 'gallery.key-wrong' });
  assert.ok(before.equals(readFileSync(join(directory, 'gallery.db'))));
  assert.equal((await (await openStore(t, { directory })).store.people()).length, 1);
});

test("systemd's credential comes before the configured file, and that before the state directory's own", async (t) => {
  const credentialsDirectory = await temporaryDir(t);
  const keyFile = join(await temporaryDir(t), 'key');
  writeFileSync(join(credentialsDirectory, 'faced.key'), randomBytes(32).toString('hex'), { mode: 0o440 });
  writeFileSync(keyFile, randomBytes(32), { mode: 0o600 });
  const { store, directory } = await openStore(t, { credentialsDirectory, keyFile });
  await store.stop();
  assert.equal(existsSync(join(directory, 'gallery.key')), false);
  await assert.rejects(createStore({ directory, keyFile }).start(signal), { code: 'gallery.key-wrong' });
  await openStore(t, { directory, credentialsDirectory });
});

test('a key file that others may read, or that holds no key, is refused with what to do', async (t) => {
  const directory = await temporaryDir(t);
  const keyFile = join(directory, 'stick.key');
  writeFileSync(keyFile, randomBytes(32));
  chmodSync(keyFile, 0o644);
  const start = () => createStore({ directory, keyFile }).start(signal);
  await assert.rejects(start(), { code: 'gallery.key-unusable', fix: `Run: chmod 640 ${keyFile}` });
  chmodSync(keyFile, 0o600);
  for (const content of ['', 'too short', randomBytes(33), 'g'.repeat(64)]) {
    writeFileSync(keyFile, content);
    await assert.rejects(start(), { code: 'gallery.key-unusable', fix: /64 hexadecimal/ });
  }
  rmSync(keyFile);
  await assert.rejects(start(), { code: 'gallery.key-unusable', message: /ENOENT/ });
  assert.equal(existsSync(join(directory, 'gallery.db')), false);
});

test('a sealed value opens in its own place only, unchanged only, and never looks the same twice', () => {
  const sealer = new Sealer(Buffer.alloc(32, 7));
  const plain = Buffer.from('Anna');
  const sealed = sealer.seal(plain, ['name', 'a']);
  assert.deepEqual(sealer.open(sealed, ['name', 'a']), plain);
  assert.notDeepEqual(sealer.seal(plain, ['name', 'a']), sealed);
  const corrupt = { code: 'gallery.corrupt' };
  assert.throws(() => sealer.open(sealed, ['name', 'b']), corrupt);
  assert.throws(() => sealer.open(sealed, ['name a']), corrupt);
  assert.throws(() => new Sealer(Buffer.alloc(32, 8)).open(sealed, ['name', 'a']), corrupt);
  for (let i = 0; i < sealed.length; i++) {
    const changed = Buffer.from(sealed);
    changed[i] = (changed[i] ?? 0) ^ 1;
    assert.throws(() => sealer.open(changed, ['name', 'a']), corrupt);
  }
  assert.throws(() => sealer.open(Buffer.alloc(5), ['name', 'a']), corrupt);
});
