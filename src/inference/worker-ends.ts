import { type ChildProcess, fork } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { Worker } from 'node:worker_threads';
import { withoutSecrets } from './environment.js';

/** How long the end of a worker is waited for. */
export const STOP_PATIENCE_MS = 3000;

export function forkWorker(workerUrl: URL): ChildProcess {
  return fork(fileURLToPath(workerUrl), [], {
    // Standard output belongs to a command's answer.
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    serialization: 'advanced',
    env: withoutSecrets(process.env),
    // Those of bin/faced; the parent's other flags (a test runner's, an inspector's) are not the child's.
    execArgv: ['--max-semi-space-size=1', '--expose-gc'],
  });
}

/** Threads that were asked to leave and have not: native code holds them. */
const held = new Set<Worker>();

/** How many threads hang in native code: they would hold up a process that ends by itself, or abort it when they come back. */
export function hangingThreads(): number {
  return held.size;
}

/**
 * Resolves when it is gone, or after {@link STOP_PATIENCE_MS}. A process is killed. A thread has been asked to `leave` and
 * does so when it comes back from native code: cut off in there, ONNX Runtime's binding aborts the whole process.
 */
export async function endWorker(end: Worker | ChildProcess, exited: Promise<void>): Promise<void> {
  // Nobody waits for a thread inside native code, or a process that waits for a device, as long as that takes.
  const patience = sleep(STOP_PATIENCE_MS, undefined, { ref: false });
  if ('terminate' in end) {
    held.add(end);
    void exited.then(() => held.delete(end));
  } else {
    if (end.exitCode !== null || end.signalCode !== null) return;
    end.kill('SIGKILL');
  }
  await Promise.race([exited, patience]);
  end.unref();
}
