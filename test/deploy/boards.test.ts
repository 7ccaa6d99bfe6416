import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { chmodSync, existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { hashFile } from '../../src/inference/hash.js';
import { boardName } from '../../src/model-tools/engine.js';
import { ROOT } from '../helpers/data.js';
import { temporaryDir } from '../helpers/dirs.js';
import { testModels } from '../helpers/models.js';

const script = (name: string): string => join(ROOT, 'deploy', name);

function run(name: string, argv: readonly string[], env: Record<string, string> = {}) {
  return spawnSync('bash', [script(name), ...argv], { encoding: 'utf8', env: { ...process.env, ...env } });
}

test('dry runs of the boards’ scripts say what they would do, and do nothing', async (t) => {
  const model = join(await testModels(), 'mobilefacenet.onnx');
  const dir = await temporaryDir(t);
  const runs: [string, string[], RegExp][] = [
    [
      'pi/setup.sh',
      ['--dry-run', '--ribbon-camera', 'faced_1_arm64.deb'],
      /\+ apt-get install .*gstreamer1\.0-libcamera\n[\s\S]*faced_1_arm64\.deb\n\+ faced doctor/,
    ],
    [
      'jetson/host.sh',
      ['--dry-run', '--faced-uid', '871'],
      /\+ make -C \S+native\/tensorrt\n[\s\S]*FACED_USER=871[\s\S]*systemctl enable --now faced-clocks faced-tensorrt faced-csi/,
    ],
    ['jetson/host.sh', ['--dry-run', '--no-clocks', '--no-csi'], /systemctl enable --now faced-tensorrt\n/],
    [
      'jetson/engine.sh',
      ['--dry-run', model],
      /trtexec --onnx=\S+mobilefacenet\.onnx --fp16 --saveEngine=\S+recogniser\.engine\.tmp\n/,
    ],
    [
      'jetson/csi.sh',
      ['--dry-run', '--width', '640', '--height', '480'],
      /^gst-launch-1\.0 -q nvarguscamerasrc sensor-id=0 ! \S+\(memory:NVMM\),format=NV12,width=640,height=480\S+ ! nvvidconv ! .* shmsink socket-path=\/run\/faced-csi\/640x480\.sock/,
    ],
  ];
  for (const [name, argv, pattern] of runs) {
    const { status, stdout, stderr } = run(name, argv, { FACED_ENGINE_DIR: dir });
    assert.equal(status, 0, `${name}: ${stderr}`);
    assert.match(stdout, pattern, name);
  }
  for (const name of ['pi/setup.sh', 'jetson/host.sh', 'jetson/engine.sh', 'jetson/csi.sh']) {
    const { status, stderr } = run(name, ['--nonsense']);
    assert.equal(status, 2, name);
    assert.match(stderr, /--dry-run/, name);
  }
});

const noRoot = process.getuid?.() !== 0 && 'needs root: an engine belongs to root';

/** Stands for NVIDIA's program, as far as the script looks at it. */
async function trtexec(t: TestContext, body = 'echo engine >"$engine"', banner = 'v8201'): Promise<string> {
  const path = join(await temporaryDir(t), 'trtexec');
  writeFileSync(
    path,
    `#!/bin/sh\nfor one; do case $one in --saveEngine=*) engine=\${one#*=} ;; esac; done\necho "&&&& RUNNING TensorRT.trtexec [TensorRT ${banner}] # $*"\necho "[I] Selected Device: NVIDIA Tegra X1"\n${body}\n`,
  );
  chmodSync(path, 0o755);
  return path;
}

test('engine.sh writes the note that faced model engine writes', { skip: noRoot }, async (t) => {
  const dir = join(await temporaryDir(t), 'engines');
  const model = join(await testModels(), 'mobilefacenet.onnx');
  const env = { FACED_ENGINE_DIR: dir, TRTEXEC: await trtexec(t) };
  const { status, stderr } = run('jetson/engine.sh', [model], env);
  assert.equal(status, 0, stderr);
  const engine = join(dir, 'recogniser.engine');
  const { sha256 } = await hashFile(model);
  assert.deepEqual(JSON.parse(readFileSync(`${engine}.json`, 'utf8')), {
    file: 'recogniser.engine',
    ...(await hashFile(engine)),
    ...{ model: sha256, derivedFrom: sha256, precision: 'fp16', tensorrt: '8.2.1' },
    board: boardName('Selected Device: NVIDIA Tegra X1'),
  });
});

test('engine.sh tells what is wrong, and leaves what was there', { skip: noRoot }, async (t) => {
  const dir = await temporaryDir(t);
  const model = join(await testModels(), 'mobilefacenet.onnx');
  const quantised = join(dir, 'q.onnx');
  writeFileSync(quantised, 'DynamicQuantizeLinear');
  const engine = join(dir, 'recogniser.engine');
  writeFileSync(engine, 'the one of yesterday');
  const cases: [string, string, RegExp][] = [
    [quantised, await trtexec(t), /is quantised; an engine is made from the stock or half model/],
    [join(dir, 'none.onnx'), await trtexec(t), /there is no file/],
    [model, await trtexec(t, 'echo "[E] out of memory"; exit 1'), /out of memory\n.*trtexec failed/],
    [model, await trtexec(t, ':'), /wrote no engine: is the disk full/],
    [model, await trtexec(t, undefined, 'v7103'), /TensorRT is too old \(7103\): install JetPack 4\.6\.1/],
    [model, await trtexec(t, undefined, 'x'), /does not say which TensorRT/],
  ];
  for (const [file, program, pattern] of cases) {
    const { status, stderr } = run('jetson/engine.sh', [file], { FACED_ENGINE_DIR: dir, TRTEXEC: program });
    assert.equal(status, 1);
    assert.match(stderr, pattern);
    assert.equal(readFileSync(engine, 'utf8'), 'the one of yesterday');
    assert.equal(existsSync(`${engine}.tmp`), false);
  }
});
