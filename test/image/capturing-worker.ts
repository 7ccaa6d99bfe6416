/** Ends in the given way while two workers capture; run as a process by capture.test.ts. */
import { once } from 'node:events';
import { isMainThread, parentPort, Worker } from 'node:worker_threads';
import { Capture } from '../../src/image/index.js';

const PIPELINE =
  'videotestsrc is-live=true ! video/x-raw,width=320,height=240,framerate=30/1 ! videoconvert ! ' +
  'video/x-raw,format=BGR ! appsink drop=true max-buffers=1';

async function capture(): Promise<void> {
  const camera = new Capture({
    uri: PIPELINE,
    api: 'gstreamer',
    delivery: 'newest',
    openTimeoutMs: 5000,
    readTimeoutMs: 5000,
  });
  const { signal } = new AbortController();
  await camera.open(signal);
  await camera.next({ timeoutMs: 5000, signal });
  parentPort?.postMessage('captured');
  while (!isMainThread) await camera.next({ timeoutMs: 5000, signal });
}

if (!isMainThread) await capture();
else {
  const workers = [0, 1].map(() => new Worker(new URL(import.meta.url)));
  await Promise.all(workers.map((worker) => once(worker, 'message')));
  await capture();
  process.stdout.write('captured\n');
  const ending = process.argv[2];
  if (ending === 'terminate') await Promise.all(workers.map((worker) => worker.terminate()));
  // The captures of this thread, and of the workers unless they were terminated, are still running.
  if (ending !== 'return') process.exit(0);
  for (const worker of workers) worker.unref();
  setImmediate(() => process.exit());
}
