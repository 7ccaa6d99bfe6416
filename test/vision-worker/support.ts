import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { pathToFileURL } from 'node:url';
import { createVision, type VisionClientOptions } from '../../src/inference/client.js';
import { silentLogger } from '../../src/lib/log.js';
import type { Vision } from '../../src/pipeline/ports.js';
import { temporaryDir } from '../helpers/dirs.js';

/** Processes that this one has started, from any of its threads. */
export function children(): number[] {
  const tasks = `/proc/${process.pid}/task`;
  return readdirSync(tasks).flatMap((task) =>
    readFileSync(join(tasks, task, 'children'), 'utf8')
      .split(' ')
      .filter(Boolean)
      .map(Number),
  );
}

/** A vision client over a worker that speaks the protocol and does what `body` says: `answer(id, value)`, `emit(name, payload)`, `calls[method] = (id, argument) => …`. */
export async function fakeVision(
  t: TestContext,
  body: string,
  options: Partial<VisionClientOptions> = {},
): Promise<Vision> {
  const path = join(await temporaryDir(t), 'worker.mjs');
  writeFileSync(
    path,
    `import { parentPort } from 'node:worker_threads';
const post = (message) => (parentPort ? parentPort.postMessage(message) : process.send(message));
const answer = (id, value) => post({ kind: 'answer', id, value });
const emit = (name, payload) => post({ kind: 'event', name, payload });
const calls = { start: (id) => answer(id, {}), stop: (id) => answer(id, null), leave: () => process.exit() };
${body}
(parentPort ?? process).on('message', (message) => calls[message.method]?.(message.id, message.argument));
`,
  );
  const vision = createVision({
    isolation: 'thread',
    workerUrl: pathToFileURL(path),
    log: silentLogger,
    options: {
      modelsDir: '/nowhere',
      models: { detector: 'd', landmarks: 'l', recogniser: 'r', liveness: null },
      cameras: [],
    },
    ...options,
  });
  t.after(() => vision.stop());
  return vision;
}
