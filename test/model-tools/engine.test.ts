import assert from 'node:assert/strict';
import { chmodSync, existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { hashFile } from '../../src/inference/hash.js';
import { boardName, trtexecVersion } from '../../src/model-tools/engine.js';
import { loadModel } from '../../src/model-tools/graph/index.js';
import { temporaryDir } from '../helpers/dirs.js';
import { facedIn } from '../helpers/faced.js';
import { testModels } from '../helpers/models.js';

/** Stands for NVIDIA's program, which no machine without its GPU has: it says what that says, and writes a file. */
async function fakeTrtexec(t: TestContext, body = ''): Promise<string> {
  const path = join(await temporaryDir(t), 'trtexec');
  writeFileSync(
    path,
    `#!/bin/sh
echo "&&&& RUNNING TensorRT.trtexec [TensorRT v8201] # $0 $*"
echo "[11/24/2026-08:00:00] [I] Selected Device: NVIDIA Tegra X1"
${body}
for argument; do
  case $argument in --saveEngine=*) echo engine >"\${argument#--saveEngine=}" ;; esac
done
echo "&&&& PASSED TensorRT.trtexec [TensorRT v8201] # $0 $*"
`,
  );
  chmodSync(path, 0o755);
  return path;
}

test('an engine is made by trtexec, and its note says from what, by which version, and where', async (t) => {
  const faced = await facedIn(t);
  const trtexec = await fakeTrtexec(t);
  const out = join(faced.stateDir, 'm.engine');
  const { code, answer } = await faced.json('model', 'engine', '--out', out, '--trtexec', trtexec);
  assert.equal(code, 0);
  const note = JSON.parse(readFileSync(`${out}.json`, 'utf8')) as Record<string, unknown>;
  const stock = await hashFile(join(await testModels(), 'mobilefacenet.onnx'));
  assert.deepEqual(note, {
    file: 'm.engine',
    ...(await hashFile(out)),
    model: stock.sha256,
    derivedFrom: stock.sha256,
    precision: 'fp16',
    tensorrt: '8.2.1',
    board: boardName('Selected Device: NVIDIA Tegra X1'),
  });
  assert.deepEqual(answer, { model: 'mobilefacenet', out, engine: note });

  const dry = await faced.json('model', 'engine', '--out', out, '--trtexec', trtexec, '--dry-run');
  const { command } = dry.answer as { command: string[] };
  assert.equal(command[0], trtexec);
  assert.match(command.join(' '), /--onnx=\S+mobilefacenet\.onnx --fp16 --saveEngine=\S+m\.engine/);
});

test('a free batch is given its range, a derived model keeps its stock file', async (t) => {
  const faced = await facedIn(t);
  const trtexec = await fakeTrtexec(t);
  const half = join(faced.stateDir, 'half.onnx');
  const { encodeModel } = await import('../../src/model-tools/graph/index.js');
  const model = await loadModel(join(await testModels(), 'mobilefacenet.onnx'));
  for (const input of model.graph.inputs)
    if (input.dims !== undefined) input.dims = ['N', ...input.dims.slice(1)];
  writeFileSync(half, encodeModel(model));
  writeFileSync(join(faced.stateDir, 'half.json'), JSON.stringify({ derivedFrom: 'a'.repeat(64) }));
  const out = join(faced.stateDir, 'half.engine');
  const { answer } = await faced.json('model', 'engine', half, '--out', out, '--trtexec', trtexec);
  const { engine } = answer as { engine: { derivedFrom: string; model: string } };
  assert.equal(engine.derivedFrom, 'a'.repeat(64));
  assert.equal(engine.model, (await hashFile(half)).sha256);
  const dry = await faced.run('model', 'engine', half, '--out', out, '--trtexec', trtexec, '--dry-run');
  assert.match(
    dry.stdout,
    /--minShapes=input:1x3x112x112 --optShapes=input:2x3x112x112 --maxShapes=input:8x3x112x112/,
  );
});

test('a quantised model is refused, a missing or failing trtexec is explained, and nothing is left behind', async (t) => {
  const faced = await facedIn(t);
  const trtexec = await fakeTrtexec(t);
  const out = join(faced.stateDir, 'q.engine');
  const quantised = join(faced.stateDir, 'q.onnx');
  assert.equal((await faced.run('model', 'quantize', '--dynamic', '--out', quantised)).code, 0);
  const refused = await faced.run('model', 'engine', quantised, '--out', out, '--trtexec', trtexec);
  assert.equal(refused.code, 1);
  assert.match(refused.stderr, /is quantised \(\w+\).*\n?.*faced model half/);

  const missing = await faced.run('model', 'engine', '--out', out, '--trtexec', '/nowhere/trtexec');
  assert.match(missing.stderr, /--trtexec PATH/);
  const failing = await fakeTrtexec(t, 'echo "[E] [TRT] out of memory" >&2; exit 1');
  const failed = await faced.run('model', 'engine', '--out', out, '--trtexec', failing);
  assert.equal(failed.code, 1);
  assert.match(failed.stderr, /trtexec ended with 1: \[E\] \[TRT\] out of memory/);
  for (const path of [out, `${out}.tmp`, `${out}.json`]) assert.equal(existsSync(path), false, path);
});

test('versions and boards are read from what trtexec and the device tree say', async (t) => {
  assert.equal(trtexecVersion('&&&& RUNNING TensorRT.trtexec [TensorRT v8201] # x'), '8.2.1');
  assert.equal(trtexecVersion('&&&& RUNNING TensorRT.trtexec [TensorRT v100001] # x'), '10.0.1');
  assert.equal(trtexecVersion('&&&& RUNNING TensorRT.trtexec [TensorRT v101303] [b9] # x'), '10.13.3');
  assert.throws(() => trtexecVersion('nothing'), /does not say which TensorRT/);
  const root = await temporaryDir(t);
  assert.equal(boardName('[I] Selected Device: Orin\n', root), 'Orin');
  assert.equal(boardName('', root), 'unknown');
});
