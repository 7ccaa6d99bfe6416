import assert from 'node:assert/strict';
import { copyFile } from 'node:fs/promises';
import { createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { askEngine } from '../../src/inference/engine-check.js';
import { engineHeader, KINDS } from '../../src/inference/engine-wire.js';
import { OrtRunner } from '../../src/inference/session.js';
import { StandbyRunner } from '../../src/inference/standby-runner.js';
import { fillProbes, leastCosine } from '../../src/inference/stored-answers.js';
import { silentLogger } from '../../src/lib/log.js';
import type { BackendState } from '../../src/pipeline/ports.js';
import { temporaryDir } from '../helpers/dirs.js';
import { engineDir, RawEngine, startEngine, withoutEngine } from '../helpers/engine.js';
import { testModels, testStore } from '../helpers/models.js';

const skip = withoutEngine();
/** Long enough for a healthy engine on a machine that is busy with other tests, milliseconds. */
const PATIENT = 2000;

interface Watched {
  readonly runner: StandbyRunner;
  readonly states: BackendState[];
  readonly said: string[];
  /** How often the model was opened here. */
  opened(): number;
  /** Resolves when the newest state is of this backend. */
  using(backend: string): Promise<void>;
}

async function standby(
  t: TestContext,
  socket: string,
  changes: Partial<Parameters<typeof StandbyRunner.open>[0]> = {},
): Promise<Watched> {
  const store = await testStore(t, { variants: false });
  const { card, path } = await store.card('mobilefacenet');
  const states: BackendState[] = [];
  const said: string[] = [];
  const waiting = new Set<() => void>();
  let opened = 0;
  const say = (level: string) => (details: object, message: string) =>
    said.push(`${level}: ${message} ${JSON.stringify(details)}`);
  const runner = await StandbyRunner.open({
    card,
    socket,
    openFallback: () => {
      opened++;
      return OrtRunner.open(path, card);
    },
    log: { ...silentLogger, info: say('info'), warn: say('warn') },
    onState: (state) => {
      states.push(state);
      for (const wake of [...waiting]) wake();
    },
    pausesMs: [20],
    ...changes,
  });
  t.after(() => runner.release());
  fillProbes(runner.input, card);
  const using = (backend: string): Promise<void> =>
    new Promise((resolve) => {
      const check = (): void => {
        if (states.at(-1)?.using !== backend) return;
        waiting.delete(check);
        resolve();
      };
      waiting.add(check);
      check();
    });
  return { runner, states, said, opened: () => opened, using };
}

async function embedding(runner: StandbyRunner, count: number): Promise<Float32Array> {
  const answer = (await runner.run(count)).get('output');
  assert.equal(answer?.length, count * 512);
  return answer?.slice() ?? new Float32Array();
}

test('the engine runs it, ONNX Runtime takes over while it is away, and it comes back', {
  skip,
}, async (t) => {
  const at = await engineDir(t);
  const engine = await startEngine(t, at);
  const { runner, states, said, opened, using } = await standby(t, at.socket);
  const [start] = states;
  assert.deepEqual(start, { model: 'mobilefacenet', using: 'opencv', precision: 'fp32', problem: null });
  const first = await embedding(runner, 4);
  assert.equal(opened(), 0, 'nothing is loaded here while the engine is well');

  // In the middle of a batch: the run that was under way is answered as well.
  const during = embedding(runner, 4);
  await engine.kill('SIGKILL');
  assert.ok(leastCosine([first], [await during]) > 0.99999);
  assert.ok(leastCosine([first], [await embedding(runner, 4)]) > 0.99999);
  assert.equal(states.at(-1)?.using, 'onnxruntime');
  assert.equal(states.at(-1)?.problem?.code, 'backend.away');
  assert.equal(opened(), 1);

  await startEngine(t, at);
  await using('opencv');
  assert.ok(leastCosine([first], [await embedding(runner, 4)]) > 0.99999);
  assert.equal(said.filter((line) => line.startsWith('warn')).length, 1, 'away is said once');
  assert.equal(said.filter((line) => line.startsWith('info')).length, 2, 'each arrival is said once');
});

test('without an engine at the start it is ONNX Runtime, until there is one', { skip }, async (t) => {
  const at = await engineDir(t);
  const { runner, states, said, using } = await standby(t, at.socket);
  assert.equal(states[0]?.problem?.code, 'backend.away');
  await embedding(runner, 3);
  await startEngine(t, at);
  await using('opencv');
  await embedding(runner, 3);
  assert.equal(said.filter((line) => line.startsWith('warn')).length, 1);
});

test('an engine of another model is refused, and so is one that answers differently', { skip }, async (t) => {
  const at = await engineDir(t);
  await copyFile(join(await testModels(), 'minifasnet.onnx'), at.model);
  const other = await startEngine(t, at);
  const refused = await standby(t, at.socket);
  assert.equal(refused.states[0]?.problem?.code, 'backend.refused');
  assert.match(refused.states[0]?.problem?.message ?? '', /another model/);
  assert.match(refused.said[0] ?? '', /faced model engine mobilefacenet/);
  await other.kill('SIGTERM');

  await copyFile(join(await testModels(), 'mobilefacenet.onnx'), at.model);
  await startEngine(t, at);
  const store = await testStore(t);
  const { card } = await store.card('mobilefacenet');
  // The same bytes fed in another scale: as an engine whose half precision went wrong would answer.
  const wrong = { ...card, input: { ...card.input, mean: 30 } };
  const differs = await standby(t, at.socket, { card: wrong });
  assert.match(differs.states[0]?.problem?.message ?? '', /answers differently from FP32: cosine/);
});

test('that an engine came back and is refused is said too, and each reason once', { skip }, async (t) => {
  const at = await engineDir(t);
  const engine = await startEngine(t, at);
  const { states, said, runner, using } = await standby(t, at.socket);
  await engine.kill('SIGKILL');
  await using('onnxruntime');
  await copyFile(join(await testModels(), 'minifasnet.onnx'), at.model);
  const other = await startEngine(t, at);
  const until = async (code: string): Promise<void> => {
    // Each try is a connection: the runner's own pauses are 20 ms here.
    while (states.at(-1)?.problem?.code !== code) await new Promise((resolve) => setTimeout(resolve, 5));
  };
  await until('backend.refused');
  await other.kill('SIGKILL');
  await until('backend.away');
  await startEngine(t, at);
  await until('backend.refused');
  await embedding(runner, 1);
  const warned = said.filter((line) => line.startsWith('warn'));
  assert.deepEqual(
    warned.map((line) => /"code":"([^"]+)"/.exec(line)?.[1]),
    ['backend.away', 'backend.refused'],
  );
});

test('an engine can be asked once, as the doctor does', { skip }, async (t) => {
  const at = await engineDir(t);
  const { card } = await (await testStore(t, { variants: false })).card('mobilefacenet');
  await assert.rejects(askEngine({ socket: at.socket, card }), {
    code: 'backend.away',
    message: /ENOENT/,
    fix: /systemctl start faced-tensorrt/,
  });
  await startEngine(t, at, '--max-clients', '1');
  const { cosine, ...found } = await askEngine({ socket: at.socket, card });
  assert.ok(cosine !== null && cosine > 0.99999, String(cosine));
  assert.equal(found.engine, 'opencv');
  assert.equal(found.precision, 'fp32');
  const holder = await RawEngine.open(t, at.socket);
  await holder.ask(KINDS.hello, 1);
  await assert.rejects(askEngine({ socket: at.socket, card }), { fix: /--max-clients/ });
});

test('an engine that hangs is given up: in a run, between runs, and from the start', { skip }, async (t) => {
  const at = await engineDir(t);
  const engine = await startEngine(t, at);
  const { runner, states, using } = await standby(t, at.socket, { patienceMs: PATIENT, watchMs: 60_000 });
  const whole = await embedding(runner, 2);
  engine.child.kill('SIGSTOP');
  assert.ok(leastCosine([whole], [await embedding(runner, 2)]) > 0.99999);
  assert.match(states.at(-1)?.problem?.message ?? '', /did not answer within \d+ ms/);
  const late = await standby(t, at.socket, { patienceMs: 100 });
  assert.match(late.states[0]?.problem?.message ?? '', /did not answer within 100 ms/);
  await embedding(late.runner, 1);
  engine.child.kill('SIGCONT');
  await using('opencv');

  const watched = await standby(t, at.socket, { patienceMs: PATIENT, watchMs: 10 });
  assert.equal(watched.states.at(-1)?.using, 'opencv');
  engine.child.kill('SIGSTOP');
  await watched.using('onnxruntime');
});

test('answers that are none are not taken', async (t) => {
  const frame = (kind: number, body: Buffer, change?: (header: Buffer) => unknown): Buffer => {
    const header = engineHeader(kind, 1, body.length);
    change?.(header);
    return Buffer.concat([header, body]);
  };
  const text = (value: unknown): Buffer => Buffer.from(JSON.stringify(value));
  const cases: [Buffer, RegExp][] = [
    [Buffer.from('HTTP/1.1 200 OK\r\n\r\n'), /does not speak this protocol/],
    [frame(KINDS.hello, text({}), (header) => header.writeUInt16LE(2, 4)), /version 2 of the protocol/],
    [frame(KINDS.hello, text({}), (header) => header.writeUInt32LE(0xffffffff, 12)), /at most 65536 fit/],
    [frame(KINDS.hello, text({})), /hello lacks members/],
    [frame(KINDS.hello, Buffer.from('{')), /does not answer in JSON/],
    [frame(KINDS.run, Buffer.alloc(8)), /at most 0 fit/],
    [frame(KINDS.health, text({})), /answered what was not asked/],
    [frame(KINDS.hello, text({}), (header) => header.writeUInt32LE(9, 8)), /answered what was not asked/],
    [frame(KINDS.error, text({ code: 'refused', message: 'user 7 may not' })), /user 7 may not/],
  ];
  for (const [bytes, pattern] of cases) {
    const socket = join(await temporaryDir(t), 's');
    const server = await fakeEngine(t, socket, () => bytes);
    const { states, runner } = await standby(t, socket, { patienceMs: 2000 });
    assert.match(states[0]?.problem?.message ?? '', pattern);
    assert.equal(states[0]?.using, 'onnxruntime');
    await runner.release();
    server.close();
  }
});

/** Answers the first question with these bytes. */
function fakeEngine(t: TestContext, path: string, answer: () => Buffer): Promise<Server> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
    socket.once('data', () => socket.write(answer()));
  });
  t.after(() => {
    server.close();
    for (const socket of sockets) socket.destroy();
  });
  return new Promise((resolve) => server.listen(path, () => resolve(server)));
}
