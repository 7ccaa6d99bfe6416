import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { temporaryDir } from '../helpers/dirs.js';
import { demoPhotos, testModels } from '../helpers/models.js';

const run = promisify(execFile);
const STORE = new URL('../../src/inference/store.js', import.meta.url);
const MAIN = new URL('../../src/main.js', import.meta.url);
/** It reports nothing where somebody builds software. */
const OF_BUILDS = /^(CI|ORT_|GITHUB|GITLAB|TF_|BUILD|JENKINS|TRAVIS|CIRCLE|XDG_)/;

const inMain = `const { ModelStore } = await import('${STORE}');
await (await new ModelStore({ dir: process.argv[1] }).runner('ultraface')).run(1);`;

for (const how of ['the main thread', 'a worker thread'] as const) {
  test(`ONNX Runtime in ${how} makes no number to report under, and notes nothing to report`, async (t) => {
    const [home, [photo = '']] = [await temporaryDir(t), await demoPhotos()];
    const dir = await testModels();
    const passed = Object.entries(process.env).filter(([name]) => !OF_BUILDS.test(name));
    const own = { HOME: home, FACED_STATE_DIR: `${home}/state`, FACED_MODELS_DIR: dir };
    const argv =
      how === 'the main thread'
        ? ['--input-type=module', '-e', inMain, dir]
        : [fileURLToPath(MAIN), 'identify', photo];
    await run(process.execPath, argv, { env: { ...Object.fromEntries(passed), ...own } });
    const kept = readdirSync(home, { recursive: true, encoding: 'utf8' });
    assert.deepEqual(
      kept.filter((path) => /microsoft|onnx|deviceid/i.test(path)),
      [],
    );
  });
}
