import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { camerasOf, engineSocketOf } from '../../src/assemble.js';
import { overridesOf } from '../../src/checkup.js';
import { loadConfig } from '../../src/config/load.js';
import { describeBoard, PROFILES, type ProfileName, readBoard } from '../../src/system/board.js';
import { temporaryDir } from '../helpers/dirs.js';

async function configured(t: TestContext, text: string) {
  const path = join(await temporaryDir(t), 'faced.yaml');
  await writeFile(path, text);
  return loadConfig({ path, env: {} }).config;
}

test('doctor says all that a profile sets', () => {
  const board = readBoard('/nowhere', 'x64');
  for (const profile of Object.keys(PROFILES) as ProfileName[]) {
    const { variant, backend, threads, frame, fps } = PROFILES[profile];
    const said = describeBoard({ ...board, profile });
    for (const one of [
      profile,
      variant,
      backend,
      `${threads} thread`,
      `${frame.width}x${frame.height} at ${fps}`,
    ])
      assert.ok(said.includes(one), `${one} in ${said}`);
  }
});

test('the configuration overrides each setting of the profile, and doctor says so', async (t) => {
  assert.deepEqual(overridesOf(await configured(t, 'cameras: {door: {source: "v4l2:/dev/video0"}}')), []);
  const config = await configured(
    t,
    `models: {threads: 3, variant: int8, backend: onnxruntime}
cameras:
  door: {source: "v4l2:/dev/video0?width=800&height=600", fps: 7}
  street: {source: "rtsp://camera/stream?width=1"}`,
  );
  assert.deepEqual(overridesOf(config), [
    'models.threads 3',
    'models.variant int8',
    'models.backend onnxruntime',
    'cameras.door.fps 7',
    'cameras.door.source width 800',
    'cameras.door.source height 600',
  ]);
  const [door] = camerasOf(config);
  assert.equal(door?.source, 'v4l2:/dev/video0?width=800&height=600');
  assert.equal(door?.view.fps, 7);
  assert.equal(engineSocketOf(config), null);
  assert.notEqual(engineSocketOf({ ...config, models: { ...config.models, backend: 'tensorrt' } }), null);
});
