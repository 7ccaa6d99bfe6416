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

/** Resolves when it is gone, or after {@link STOP_PATIENCE_MS}. */
export async function endWorker(end: Worker | ChildProcess, exited: Promise<void>): Promise<void> {
  // A thread inside native code, or a process that waits for a device, ends when it comes back from there; nobody waits for that long.
  const patience = sleep(STOP_PATIENCE_MS, undefined, { ref: false });
  if ('terminate' in end) {
    await Promise.race([end.terminate(), patience]);
    return;
  }
  if (end.exitCode !== null || end.signalCode !== null) return;
  end.kill('SIGKILL');
  await Promise.race([exited, patience]);
}
