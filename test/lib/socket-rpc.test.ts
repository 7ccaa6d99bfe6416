import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdirSync, statSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import { FacedError } from '../../src/domain/errors.js';
import { callSocket, serveOnSocket } from '../../src/lib/socket-rpc.js';
import { temporaryDir } from '../helpers/dirs.js';

const options = { reviveError: (error: object) => FacedError.from(error) };

async function server(t: Parameters<typeof temporaryDir>[0], path: string) {
  const control = await serveOnSocket(path, {
    double: (value: number) => value * 2,
    length: (bytes: Uint8Array) => bytes.length,
    refuse: () => {
      throw new FacedError('busy', 'too much', { fix: 'wait' });
    },
  });
  t.after(() => control.close());
  return control;
}

test('calls cross a Unix socket, large ones and errors too', async (t) => {
  const path = join(await temporaryDir(t), 'control.sock');
  await server(t, path);
  assert.equal(statSync(path).mode & 0o777, 0o600);
  const caller = await callSocket(path, options);
  assert.ok(caller);
  t.after(() => caller.close());
  const answers = await Promise.all([
    caller.call('double', 21),
    caller.call('length', new Uint8Array(5_000_000)),
    caller.call('double', 2),
  ]);
  assert.deepEqual(answers, [42, 5_000_000, 4]);
  await assert.rejects(caller.call('refuse'), { code: 'busy', fix: 'wait' });
  await assert.rejects(caller.call('constructor'), /no method constructor/);
});

test('a socket that nobody serves is null, one that a killed process left is taken over', async (t) => {
  const path = join(await temporaryDir(t), 'control.sock');
  assert.equal(await callSocket(path, options), null);
  await server(t, path);
  await server(t, path);
  const caller = await callSocket(path, options);
  assert.equal(await caller?.call('double', 1), 2);
  caller?.close();
});

test('a path longer than the kernel allows works', async (t) => {
  const folder = join(await temporaryDir(t), 'd'.repeat(120));
  mkdirSync(folder);
  const path = join(folder, 'control.sock');
  await server(t, path);
  const caller = await callSocket(path, options);
  assert.equal(await caller?.call('double', 4), 8);
  caller?.close();
});

test('garbage ends that connection only, and a closed server fails what waits', async (t) => {
  const path = join(await temporaryDir(t), 'control.sock');
  const control = await server(t, path);
  for (const bytes of [Buffer.from('ffffffff00', 'hex'), Buffer.from('0000000401020304', 'hex')]) {
    const stranger = connect(path);
    stranger.resume();
    stranger.write(bytes);
    await once(stranger, 'close');
  }
  const caller = await callSocket(path, options);
  assert.equal(await caller?.call('double', 3), 6);
  await control.close();
  await assert.rejects(async () => caller?.call('double', 3), { code: 'rpc.closed' });
});
