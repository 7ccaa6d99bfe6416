import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { SessionTensor } from '../src/inference/raw-session.js';
import { entry } from '../src/lib/program.js';

const MOUNT = '/sys/fs/cgroup/memory';
const PROBE = fileURLToPath(entry('model-tools/memory-probe.js'));

export interface Limited {
  /** The kernel ended it (SIGKILL), or it came to its own end. */
  readonly killed: boolean;
  readonly code: number | null;
  /** Largest use of the control group, page cache included, bytes. */
  readonly groupPeak: number;
  readonly ms: number;
  readonly stdout: string;
}

/** Why no control group with a limit can be made here (version 1, which is what this needs); null when it can. */
export function noLimits(): string | null {
  if (!existsSync(join(MOUNT, 'memory.limit_in_bytes')))
    return 'the memory controller of control groups version 1 is not mounted';
  try {
    rmdirSync(newGroup());
    return null;
  } catch (error) {
    return `no control group can be made: ${error instanceof Error ? error.message : String(error)}`;
  }
}

/** Runs the memory probe (src/model-tools/memory-probe.ts) in a control group of its own that may take `bytes` and no more. */
export async function probeUnderLimit(bytes: number, args: readonly string[]): Promise<Limited> {
  const group = newGroup();
  try {
    writeFileSync(join(group, 'memory.limit_in_bytes'), String(bytes));
    // Without this what does not fit would go to swap where there is some.
    if (existsSync(join(group, 'memory.memsw.limit_in_bytes')))
      writeFileSync(join(group, 'memory.memsw.limit_in_bytes'), String(bytes));
    const startedAt = performance.now();
    const shell = 'echo $$ > "$0/cgroup.procs" && exec "$@"';
    const child = spawn('sh', ['-c', shell, group, process.execPath, PROBE, ...args], {
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    let stdout = '';
    child.stdout.on('data', (text: Buffer) => {
      stdout += text.toString();
    });
    const [code, signal] = await new Promise<[number | null, NodeJS.Signals | null]>((resolve, reject) => {
      child.once('error', reject);
      child.once('close', (exit, by) => resolve([exit, by]));
    });
    const groupPeak = Number(readFileSync(join(group, 'memory.max_usage_in_bytes'), 'utf8'));
    return { killed: signal === 'SIGKILL', code, groupPeak, ms: performance.now() - startedAt, stdout };
  } finally {
    rmdirSync(group);
  }
}

/** What the probe wrote as its answer. */
export function readAnswer(file: string): SessionTensor {
  const data = new Float32Array(new Uint8Array(readFileSync(file)).buffer);
  return { type: 'float32', dims: [1, data.length], data };
}

function newGroup(): string {
  const own = /^\d+:(?:[^:]*,)?memory(?:,[^:]*)?:(.*)$/m.exec(readFileSync('/proc/self/cgroup', 'utf8'))?.[1];
  const parent = [join(MOUNT, own ?? ''), MOUNT].find((path) => existsSync(path)) ?? MOUNT;
  const group = join(parent, `faced-limit-${process.pid}`);
  mkdirSync(group);
  return group;
}
