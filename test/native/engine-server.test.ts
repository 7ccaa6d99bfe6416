import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { chmod, chown, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { engineHeader, KINDS, parseHello } from '../../src/inference/engine-wire.js';
import { hashFile } from '../../src/inference/hash.js';
import { fillProbes } from '../../src/inference/stored-answers.js';
import { ROOT } from '../helpers/data.js';
import { temporaryDir } from '../helpers/dirs.js';
import { batch, engineDir, RawEngine, SERVER, startEngine, withoutEngine } from '../helpers/engine.js';
import { testStore } from '../helpers/models.js';
import { found, notifySocket } from '../helpers/notify-socket.js';

const skip = withoutEngine();
const STRIDE = 3 * 112 * 112;

async function greeted(t: Parameters<typeof RawEngine.open>[0], socket: string): Promise<RawEngine> {
  const raw = await RawEngine.open(t, socket);
  assert.equal((await raw.ask(KINDS.hello, 1))?.kind, KINDS.hello);
  return raw;
}

test('it says what it serves, and answers like ONNX Runtime', { skip }, async (t) => {
  const at = await engineDir(t);
  await startEngine(t, at);
  const raw = await RawEngine.open(t, at.socket);
  const answer = await raw.ask(KINDS.hello, 7);
  assert.equal(answer?.id, 7);
  const hello = parseHello(String(answer?.body));
  assert.equal(hello.sha256, (await hashFile(at.model)).sha256);
  assert.equal(hello.model, hello.sha256);
  assert.equal(hello.engine, 'opencv');
  assert.deepEqual(hello.input, { name: 'input', shape: [3, 112, 112] });
  assert.deepEqual(hello.outputs, [{ name: 'output', shape: [512] }]);

  const store = await testStore(t, { variants: false });
  const { card } = await store.card('mobilefacenet');
  const runner = await store.runner('mobilefacenet');
  const probes = new Float32Array(3 * STRIDE);
  fillProbes(probes, card, 3);
  const run = await raw.ask(KINDS.run, 8, batch(3, probes));
  assert.equal(run?.kind, KINDS.run);
  assert.equal(run?.body.length, 8 + 3 * 512 * 4);
  assert.equal(run?.body.readUInt32LE(0), 3);
  for (let picture = 0; picture < 3; picture++) {
    runner.input.set(probes.subarray(picture * STRIDE, (picture + 1) * STRIDE));
    const expected = (await runner.run(1)).get('output') ?? [];
    let far = 0;
    for (const [index, value] of expected.entries())
      far = Math.max(far, Math.abs(value - Number(run?.body.readFloatLE(8 + 4 * (picture * 512 + index)))));
    assert.ok(far < 1e-4, `picture ${picture} is off by ${far}`);
  }
  const health = JSON.parse(String((await raw.ask(KINDS.health, 9))?.body)) as Record<string, number>;
  assert.equal(health.pictures, 3);
  assert.equal(health.clients, 1);
});

test('several clients are served in turn, and no more than allowed', { skip }, async (t) => {
  const at = await engineDir(t);
  await startEngine(t, at, '--max-clients', '3');
  const clients = [await greeted(t, at.socket), await greeted(t, at.socket), await greeted(t, at.socket)];
  const one = batch(1, new Float32Array(STRIDE));
  for (const [index, client] of clients.entries()) client.send(KINDS.run, 100 + index, one);
  for (const [index, client] of clients.entries()) {
    const frame = await client.next();
    assert.deepEqual([frame?.kind, frame?.id], [KINDS.run, 100 + index]);
  }
  const fourth = await RawEngine.open(t, at.socket);
  fourth.send(KINDS.hello, 1);
  assert.equal(await fourth.error(), 'busy');
  assert.equal(await fourth.next(), null);
  clients[0]?.socket.destroy();
  // The place is free as soon as the server has seen the end; asking is what shows it.
  for (;;) {
    const next = await RawEngine.open(t, at.socket);
    if ((await next.ask(KINDS.hello, 1))?.kind === KINDS.hello) break;
  }
});

test('those who are turned away take nobody’s place', { skip }, async (t) => {
  const at = await engineDir(t);
  await chmod(at.dir, 0o755);
  await startEngine(t, at, '--group', '65534', '--max-clients', '1');
  // Twenty that may not stay and say nothing, which is how they stay longest: all but a few are sent away at once.
  const script = `const { connect } = require('node:net');
    for (let i = 0; i < 20; i++)
      connect(${JSON.stringify(at.socket)}).on('error', () => {}).on('close', () => process.stdout.write('x'));`;
  const child = spawn(process.execPath, ['-e', script], { uid: 65534, gid: 65534, cwd: '/' });
  t.after(() => child.kill());
  let gone = '';
  child.stdout.on('data', (chunk) => (gone += String(chunk)));
  while (gone.length < 11) await once(child.stdout, 'data');
  const raw = await greeted(t, at.socket);
  assert.equal((await raw.ask(KINDS.health, 1))?.kind, KINDS.health);
});

test('what is no number costs its own answer, and never the server', { skip }, async (t) => {
  const at = await engineDir(t);
  const server = await startEngine(t, at);
  const raw = await greeted(t, at.socket);
  const cases: [number, string][] = [
    [Number.NaN, 'bad-input'],
    [Number.POSITIVE_INFINITY, 'bad-input'],
    // A number, whose products are none.
    [3e38, 'run-failed'],
  ];
  for (const [value, code] of cases)
    for (let time = 0; time < 4; time++) {
      raw.send(KINDS.run, time, batch(1, new Float32Array(STRIDE).fill(value)));
      assert.equal(await raw.error(), code, String(value));
    }
  const health = JSON.parse(String((await raw.ask(KINDS.health, 9))?.body)) as Record<string, number>;
  assert.deepEqual([health.failures, health.runs], [4, 0]);
  assert.equal((await raw.ask(KINDS.run, 10, batch(1, new Float32Array(STRIDE))))?.kind, KINDS.run);
  assert.equal(server.child.exitCode, null);
});

// In 32 bits, milliseconds since the start of the machine turn negative after 25 days.
const LONG_UP = ['unshare', '--time', '--monotonic', '3000000', '--kill-child'];
const noTime =
  spawnSync('unshare', [...LONG_UP.slice(1), 'true']).status !== 0 && 'needs a kernel with time namespaces';
const noListener = !found('python3') && 'needs python3';

test('the watchdog hears of it on a board that has been up for weeks', {
  skip: skip || noTime || noListener,
}, async (t) => {
  const at = await engineDir(t);
  const { socket, next } = await notifySocket(t);
  const env = { NOTIFY_SOCKET: socket, WATCHDOG_USEC: '300000' };
  await startEngine(t, { ...at, env, through: LONG_UP });
  assert.equal(await next(), 'READY=1');
  for (let time = 0; time < 3; time++) assert.equal(await next(), 'WATCHDOG=1');
});

test('wrong sizes and orders are refused, and the next question is answered', { skip }, async (t) => {
  const at = await engineDir(t);
  await startEngine(t, at);
  const early = await RawEngine.open(t, at.socket);
  early.send(KINDS.run, 1, batch(1, new Float32Array(STRIDE)));
  assert.equal(await early.error(), 'bad-order');
  assert.equal(await early.next(), null);

  const raw = await greeted(t, at.socket);
  const wrong: [Buffer, string][] = [
    [batch(0, new Float32Array(0)), 'no picture'],
    [batch(2, new Float32Array(STRIDE)), 'a count of more than there is'],
    [batch(1, new Float32Array(STRIDE + 1)), 'a float too many'],
    [batch(0xffffffff, new Float32Array(STRIDE)), 'a count that overflows'],
    [Buffer.alloc(3), 'no whole count'],
    [Buffer.alloc(0), 'nothing'],
  ];
  for (const [body, what] of wrong) {
    raw.send(KINDS.run, 2, body);
    assert.equal(await raw.error(), 'bad-size', what);
  }
  raw.send(9, 3);
  assert.equal(await raw.error(), 'bad-kind');
  assert.equal((await raw.ask(KINDS.run, 4, batch(1, new Float32Array(STRIDE))))?.kind, KINDS.run);
});

test('hostile headers end the connection, and only that one', { skip }, async (t) => {
  const at = await engineDir(t);
  const server = await startEngine(t, at);
  const bystander = await greeted(t, at.socket);
  const header = (change: (bytes: Buffer) => unknown): Buffer => {
    const bytes = engineHeader(KINDS.run, 5, 0);
    change(bytes);
    return bytes;
  };
  const before = await memory(server.child.pid);
  const hostile: [Buffer, string][] = [
    [header((bytes) => bytes.writeUInt32LE(0xffffffff, 12)), 'bad-size'],
    [header((bytes) => bytes.writeUInt32LE(0x7fffffff, 12)), 'bad-size'],
    [header((bytes) => bytes.writeUInt32LE(4 + 16 * STRIDE * 4 + 1, 12)), 'bad-size'],
    [header((bytes) => bytes.write('GET ', 0)), 'bad-frame'],
    [header((bytes) => bytes.writeUInt16LE(2, 4)), 'bad-version'],
  ];
  for (const [bytes, code] of hostile) {
    const raw = await greeted(t, at.socket);
    raw.socket.write(bytes);
    assert.equal(await raw.error(), code);
    assert.equal(await raw.next(), null);
  }
  assert.ok(
    (await memory(server.child.pid)) - before < 4e6,
    'no memory is taken for a length that is refused',
  );
  assert.equal((await bystander.ask(KINDS.health, 6))?.kind, KINDS.health);
});

test('half a frame, and an answer that nobody takes, are given up', { skip }, async (t) => {
  const at = await engineDir(t);
  const server = await startEngine(t, at, '--patience', '300');
  const half = await greeted(t, at.socket);
  half.socket.write(engineHeader(KINDS.run, 1, 4 + STRIDE * 4).subarray(0, 9));
  const body = await greeted(t, at.socket);
  body.socket.write(Buffer.concat([engineHeader(KINDS.run, 1, 4 + STRIDE * 4), Buffer.alloc(1000)]));
  // Always a little more, and never done.
  const drip = await greeted(t, at.socket);
  drip.socket.write(engineHeader(KINDS.run, 1, 4 + STRIDE * 4));
  const drops = setInterval(() => drip.socket.write(Buffer.alloc(7)), 20);
  t.after(() => clearInterval(drops));
  const other = await greeted(t, at.socket);
  assert.equal(await drip.next(), null);
  assert.equal(await half.next(), null);
  assert.equal(await body.next(), null);
  assert.equal((await other.ask(KINDS.health, 1))?.kind, KINDS.health, 'an idle client stays');

  const deaf = await greeted(t, at.socket);
  deaf.socket.pause();
  const ended = new Promise((resolve) => deaf.socket.once('close', resolve));
  // More questions than answers fit the socket: it stops reading them, and then gives up.
  const many = batch(16, new Float32Array(16 * STRIDE));
  for (let index = 0; index < 16; index++) deaf.send(KINDS.run, index, many);
  await ended;
  assert.equal((await other.ask(KINDS.health, 2))?.kind, KINDS.health);
  assert.equal(server.child.exitCode, null);
});

test('killed in the middle of a batch: the client sees the end, the next server takes the socket', {
  skip,
}, async (t) => {
  const at = await engineDir(t);
  const first = await startEngine(t, at);
  const raw = await greeted(t, at.socket);
  raw.send(KINDS.run, 1, batch(16, new Float32Array(16 * STRIDE)));
  await first.kill('SIGKILL');
  for (let frame = await raw.next(); frame !== null; frame = await raw.next())
    assert.equal(frame.kind, KINDS.run);
  await startEngine(t, at);
  await greeted(t, at.socket);
});

test('a second server on the same socket says so and leaves the first alone', { skip }, async (t) => {
  const at = await engineDir(t);
  const first = await startEngine(t, at);
  await assert.rejects(startEngine(t, at), /another server is using/);
  await greeted(t, at.socket);
  assert.equal(await first.kill('SIGTERM'), 0, 'it stops cleanly');
  await writeFile(at.socket, 'not a socket');
  await assert.rejects(startEngine(t, at), /is not a socket/);
  assert.equal(await readFile(at.socket, 'utf8'), 'not a socket');
});

test('only root, the server’s own user and those who are named may connect', { skip }, async (t) => {
  const at = await engineDir(t);
  await chmod(at.dir, 0o755);
  const script = `const s = require('node:net').connect(${JSON.stringify(at.socket)});
    s.on('connect', () => s.write(Buffer.from(process.argv[1], 'hex')));
    s.on('error', (e) => { console.log(e.code); });
    s.on('data', (d) => { console.log(d.subarray(16).toString()); s.destroy(); });`;
  const asUser = async (uid: number): Promise<string> => {
    const hello = engineHeader(KINDS.hello, 1, 0).toString('hex');
    const child = spawn(process.execPath, ['-e', script, hello], { uid, gid: 65534, cwd: '/' });
    let text = '';
    child.stdout.on('data', (chunk) => (text += String(chunk)));
    await once(child, 'close');
    return text;
  };
  const closed = await startEngine(t, at);
  assert.match(await asUser(65534), /EACCES/, 'the file says no before the server is asked');
  await closed.kill('SIGTERM');
  await startEngine(t, at, '--group', '65534', '--allow-user', '65533');
  assert.match(await asUser(65533), /"protocol":1/);
  assert.match(await asUser(65534), /"code":"refused"/, 'of the group, and not named');
});

test('what it serves belongs to root, and is what its note says', { skip }, async (t) => {
  const at = await engineDir(t);
  const starts = async (pattern: RegExp, what: string): Promise<void> =>
    assert.rejects(startEngine(t, at), pattern, what);
  await chown(at.model, 65534, 65534);
  await starts(/must belong to root/, 'the file is another user’s');
  await chown(at.model, 0, 0);
  await chmod(at.model, 0o666);
  await starts(/must belong to root/, 'anybody may write the file');
  await chmod(at.model, 0o644);
  await chmod(at.dir, 0o777);
  await starts(/must belong to root/, 'anybody may put another file in its place');
  await chmod(at.dir, 0o755);

  const { sha256 } = await hashFile(at.model);
  const note = { sha256, model: 'a'.repeat(64), derivedFrom: 'b'.repeat(64), precision: 'fp16' };
  const noted = (changes: object): Promise<void> =>
    writeFile(`${at.model}.json`, JSON.stringify({ made: { sha256: 'inner' }, ...note, ...changes }));
  await noted({ sha256: 'c'.repeat(64) });
  await starts(/is not the file that .* describes/, 'the file was changed');
  await noted({ tensorrt: '8.2.0' });
  await starts(/was made by TensorRT 8\.2\.0 and this is .*faced model engine/, 'another version');
  await noted({ board: 'Another Board' });
  await starts(/was made on another board \(Another Board, .*faced model engine/, 'another board');
  await noted({});
  await startEngine(t, at);
  const raw = await RawEngine.open(t, at.socket);
  const hello = parseHello(String((await raw.ask(KINDS.hello, 1))?.body));
  assert.deepEqual([hello.model, hello.derivedFrom, hello.precision], [note.model, note.derivedFrom, 'fp16']);

  const empty = join(at.dir, 'empty');
  await mkdir(empty);
  await writeFile(join(empty, 'x.onnx'), 'not a model');
  const socket = join(empty, 's');
  await assert.rejects(startEngine(t, { model: join(empty, 'x.onnx'), socket }), /ONNX/);
  await assert.rejects(startEngine(t, { model: join(empty, 'none'), socket }), /No such file/);
});

test('the check against NVIDIA’s headers says what it misses, and passes over it', async (t) => {
  const script = join(ROOT, 'native', 'tensorrt', 'check-headers.sh');
  const run = (...argv: string[]) => spawnSync('bash', [script, ...argv], { encoding: 'utf8' });
  const dir = await temporaryDir(t);
  const missing = run(dir, dir);
  assert.equal(missing.status, 77);
  assert.match(missing.stdout, /^skipped: .* has no NvInfer\.h/);
  await writeFile(join(dir, 'NvInfer.h'), '#error these are none\n');
  assert.match(run(dir, dir).stdout, /^skipped: .* has no cuda_runtime_api\.h/);
  await writeFile(join(dir, 'cuda_runtime_api.h'), '');
  const wrong = run(dir, dir);
  assert.equal(wrong.status, 1);
  assert.match(wrong.stderr, /these are none/);
  assert.equal(run(dir, dir, dir).status, 2);
});

test('wrong use ends with 2', { skip }, () => {
  for (const argv of [[], ['--model'], ['--nothing'], ['--model', 'x', 'y']])
    assert.equal(spawnSync(SERVER, argv).status, 2, argv.join(' '));
  assert.equal(spawnSync(SERVER, ['--model', 'x', '--max-clients', '0']).status, 1);
});

async function memory(pid: number | undefined): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8');
  return Number(/^RssAnon:\s+(\d+) kB/m.exec(status)?.[1]) * 1024;
}
