import assert from 'node:assert/strict';
import { chmodSync, existsSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { hashFile } from '../../src/inference/hash.js';
import {
  boardName,
  findTrtexec,
  refuseUnfit,
  trtexecArguments,
  trtexecVersion,
} from '../../src/model-tools/engine.js';
import { loadModel } from '../../src/model-tools/graph/index.js';
import { temporaryDir } from '../helpers/dirs.js';
import { facedIn } from '../helpers/faced.js';
import { testModels } from '../helpers/models.js';

/**
 * Stands for NVIDIA's program, which no machine without its GPU has: it wants the options that 8.2 and 10 both know, says
 * what they say, and writes a file. `body` runs after the banner, `writes` in place of the engine.
 */
async function fakeTrtexec(
  t: TestContext,
  { body = '', writes = 'echo engine >"$engine"', banner = '[TensorRT v8201]' } = {},
): Promise<string> {
  const path = join(await temporaryDir(t), 'trtexec');
  writeFileSync(
    path,
    `#!/bin/sh
echo "&&&& RUNNING TensorRT.trtexec ${banner} # $0 $*"
for argument; do
  case $argument in
    --onnx=*) [ -f "\${argument#--onnx=}" ] || { echo "[E] no model" >&2; exit 1; } ;;
    --saveEngine=*) engine=\${argument#--saveEngine=} ;;
    --fp16 | --minShapes=*:* | --optShapes=*:* | --maxShapes=*:*) ;;
    *) echo "[E] Unknown option: $argument" >&2; echo "&&&& FAILED" >&2; exit 1 ;;
  esac
done
echo "[11/24/2026-08:00:00] [I] Selected Device: NVIDIA Tegra X1"
${body}
${writes}
echo "&&&& PASSED TensorRT.trtexec ${banner} # $0 $*"
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
  const loud =
    'i=0; while [ $i -lt 3000 ]; do echo "[I] layer $i of the network, and its tactics"; i=$((i+1)); done';
  const faults: [Parameters<typeof fakeTrtexec>[1], RegExp][] = [
    [
      { body: 'echo "[E] [TRT] out of memory" >&2; exit 1' },
      /trtexec ended with 1: \[E\] \[TRT\] out of memory/,
    ],
    [{ body: `${loud}; echo "[E] last" >&2; exit 3` }, /trtexec ended with 3: \[E\] last/],
    [{ body: 'echo half >"$engine"; kill -9 $$' }, /ended with SIGKILL: most likely the memory.*\n?.*swap/],
    [{ body: 'echo "cannot open libnvinfer.so.8" >&2; exit 127' }, /ended with 127: cannot open libnvinfer/],
    [{ writes: '' }, /ended well and wrote no engine.*\n?.*disk is full/],
    [{ writes: ': >"$engine"' }, /ended well and wrote no engine/],
    [{ banner: '' }, /does not say which TensorRT/],
    [{ banner: '[TensorRT v7103]' }, /TensorRT 7\.1\.3 is too old.*\n?.*JetPack 4\.6\.1/],
  ];
  for (const [fault, pattern] of faults) {
    const failing = await fakeTrtexec(t, fault);
    const failed = await faced.run('model', 'engine', '--out', out, '--trtexec', failing);
    assert.equal(failed.code, 1, failed.stdout);
    assert.match(failed.stderr, pattern);
  }
  const foreign = join(await temporaryDir(t), 'trtexec');
  writeFileSync(foreign, '#!/nowhere/sh\n');
  chmodSync(foreign, 0o755);
  const cannot = await faced.run('model', 'engine', '--out', out, '--trtexec', foreign);
  assert.match(cannot.stderr, /cannot be run: .*ENOENT.*\n?.*--trtexec PATH/);
  for (const path of [out, `${out}.tmp`, `${out}.json`]) assert.equal(existsSync(path), false, path);
});

test('trtexec is found where it is, its folder may be named, and a dry run needs none', async (t) => {
  const faced = await facedIn(t);
  const trtexec = await fakeTrtexec(t);
  const env = { PATH: `/nowhere:${dirname(trtexec)}` };
  assert.equal(findTrtexec(env), trtexec);
  assert.equal(findTrtexec({}, dirname(trtexec)), trtexec);
  assert.throws(() => findTrtexec({}, '/usr'), /\/usr is no program/);
  const dry = await faced.json('model', 'engine', '--dry-run');
  assert.equal(dry.code, 0);
  assert.match(String((dry.answer as { command: string[] }).command[0]), /\/trtexec$/);
});

test('a name with a colon is quoted as trtexec wants it; what is not float32 is refused', async () => {
  const model = await loadModel(join(await testModels(), 'mobilefacenet.onnx'));
  const [input] = model.graph.inputs;
  assert.ok(input !== undefined);
  input.name = 'input:0';
  input.dims = ['N', ...input.dims.slice(1)];
  const args = trtexecArguments(model, { onnx: 'm.onnx', engine: 'm.engine' });
  assert.deepEqual(args, [
    ...['--onnx=m.onnx', '--fp16', '--saveEngine=m.engine', "--minShapes='input:0':1x3x112x112"],
    ...["--optShapes='input:0':2x3x112x112", "--maxShapes='input:0':8x3x112x112"],
  ]);
  refuseUnfit(model, 'm');
  input.type = 'uint8';
  assert.throws(() => refuseUnfit(model, 'm'), /m has input:0 as uint8; an engine takes and answers float32/);
});

test('versions and boards are read from what trtexec and the device tree say', async (t) => {
  assert.equal(trtexecVersion('&&&& RUNNING TensorRT.trtexec [TensorRT v8201] # x'), '8.2.1');
  assert.equal(trtexecVersion('&&&& RUNNING TensorRT.trtexec [TensorRT v100001] # x'), '10.0.1');
  assert.equal(trtexecVersion('&&&& RUNNING TensorRT.trtexec [TensorRT v101303] [b9] # x'), '10.13.3');
  assert.throws(() => trtexecVersion('nothing'), /does not say which TensorRT/);
  const root = await temporaryDir(t);
  assert.equal(boardName('[I] Selected Device: Orin\n', root), 'Orin');
  assert.throws(() => boardName('', root), /names this board/);
});
