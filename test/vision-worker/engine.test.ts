import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { createVision } from '../../src/inference/client.js';
import { leastCosine } from '../../src/inference/stored-answers.js';
import { silentLogger } from '../../src/lib/log.js';
import type { BackendState } from '../../src/pipeline/ports.js';
import { engineDir, startEngine, withoutEngine } from '../helpers/engine.js';
import { demoPhotos, testModels } from '../helpers/models.js';

test('faces are embedded by the engine process, and here when it is killed', {
  skip: withoutEngine(),
}, async (t) => {
  const at = await engineDir(t);
  const engine = await startEngine(t, at);
  const vision = createVision({
    isolation: 'process',
    workerUrl: new URL('../../src/vision-worker.js', import.meta.url),
    options: {
      modelsDir: await testModels(),
      models: {
        detector: 'ultraface',
        landmarks: 'landmarks68',
        recogniser: 'mobilefacenet',
        liveness: null,
      },
      cameras: [],
      engineSocket: at.socket,
    },
    log: silentLogger,
  });
  t.after(() => vision.stop());
  const states: BackendState[] = [];
  vision.on('backendChanged', (state) => states.push(state));
  await vision.start(new AbortController().signal);
  assert.equal(states[0]?.using, 'opencv');

  const [photo = ''] = await demoPhotos();
  const vectors = async (): Promise<Float32Array[]> => {
    const { faces } = await vision.analyse(await readFile(photo));
    return faces.flatMap(({ embedding }) => (embedding === null ? [] : [embedding.vector]));
  };
  const byEngine = await vectors();
  assert.ok(byEngine.length > 0);
  await engine.kill('SIGKILL');
  const here = await vectors();
  assert.equal(here.length, byEngine.length);
  assert.ok(leastCosine(byEngine, here) > 0.9999);
  assert.equal(states.at(-1)?.using, 'onnxruntime');
});
