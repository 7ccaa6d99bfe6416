import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { SessionTensor } from '../src/inference/raw-session.js';
import { entry } from '../src/lib/program.js';

interface Version {
  readonly mount: string;
  readonly limit: string;
  /** Swap alone (version 2) may be nothing; with memory (version 1) it may be as much as memory. */
  readonly swap: { readonly file: string; readonly bytes: (limit: number) => number };
  readonly peak: string;
  /** Has a line `oom_kill N`. */
  readonly events: string;
}

const V1: Version = {
  mount: '/sys/fs/cgroup/memory',
  limit: 'memory.limit_in_bytes',
  swap: { file: 'memory.memsw.limit_in_bytes', bytes: (limit) => limit },
  peak: 'memory.max_usage_in_bytes',
  events: 'memory.oom_control',
};
const V2: Version = {
  mount: '/sys/fs/cgroup',
  limit: 'memory.max',
  swap: { file: 'memory.swap.max', bytes: () => 0 },
  peak: 'memory.peak',
  events: 'memory.events',
};
const PROBE = fileURLToPath(entry('model-tools/memory-probe.js'));

export interface Limited {
  /** The kernel ended it because the group's limit was reached: SIGKILL, and the group has counted it. */
  readonly killed: boolean;
  /** Whatever else ended it. */
  readonly signal: NodeJS.Signals | null;
  readonly code: number | null;
  /** Largest use of the control group, page cache included, bytes. */
  readonly groupPeak: number;
  readonly ms: number;
  readonly stdout: string;
}

/** Why no control group with a limit can be made here, of either version; null when it can. */
export function noLimits(): string | null {
  try {
    const { group } = newGroup();
    rmdirSync(group);
    return null;
  } catch (error) {
    return `no control group with a limit can be made: ${error instanceof Error ? error.message : String(error)}`;
  }
}

/** Runs the memory probe (src/model-tools/memory-probe.ts) in a control group of its own that may take `bytes` and no more. */
export async function probeUnderLimit(bytes: number, args: readonly string[]): Promise<Limited> {
  let stdout = '';
  const ended = await runUnderLimit(bytes, [process.execPath, PROBE, ...args], {
    onStart: (child) =>
      child.stdout?.on('data', (text: Buffer) => {
        stdout += text.toString();
      }),
  });
  return { ...ended, stdout };
}

/** The same for any program; its standard output is for `onStart` to read. */
export async function runUnderLimit(
  bytes: number,
  argv: readonly string[],
  { env = process.env, onStart }: { env?: NodeJS.ProcessEnv; onStart: (child: ChildProcess) => void },
): Promise<Omit<Limited, 'stdout'>> {
  const { group, version } = newGroup();
  try {
    writeFileSync(join(group, version.limit), String(bytes));
    // Without this what does not fit would go to swap where there is some.
    const swap = join(group, version.swap.file);
    if (existsSync(swap)) writeFileSync(swap, String(version.swap.bytes(bytes)));
    const startedAt = performance.now();
    const shell = 'echo $$ > "$0/cgroup.procs" && exec "$@"';
    const child = spawn('sh', ['-c', shell, group, ...argv], { env, stdio: ['ignore', 'pipe', 'ignore'] });
    onStart(child);
    const [code, signal] = await new Promise<[number | null, NodeJS.Signals | null]>((resolve, reject) => {
      child.once('error', reject);
      child.once('close', (exit, by) => resolve([exit, by]));
    });
    const groupPeak = Number(readFileSync(join(group, version.peak), 'utf8'));
    const kills = Number(
      /^oom_kill (\d+)$/m.exec(readFileSync(join(group, version.events), 'utf8'))?.[1] ?? 0,
    );
    const killed = signal === 'SIGKILL' && kills > 0;
    return { killed, signal, code, groupPeak, ms: performance.now() - startedAt };
  } finally {
    rmdirSync(group);
  }
}

/** What the probe wrote as its answer. */
export function readAnswer(file: string): SessionTensor {
  const data = new Float32Array(new Uint8Array(readFileSync(file)).buffer);
  return { type: 'float32', dims: [1, data.length], data };
}

function newGroup(): { group: string; version: Version } {
  const version = existsSync(join(V1.mount, V1.limit)) ? V1 : V2;
  const line = version === V1 ? /^\d+:(?:[^:]*,)?memory(?:,[^:]*)?:(.*)$/m : /^0::(.*)$/m;
  const own = line.exec(readFileSync('/proc/self/cgroup', 'utf8'))?.[1] ?? '';
  // In version 2 a group with processes in it can have no limited groups below it (cgroups(7)): it goes to the top.
  const places = version === V1 ? [join(V1.mount, own), V1.mount] : [V2.mount];
  const parent = places.find((path) => existsSync(path)) ?? version.mount;
  if (version === V2) writeFileSync(join(parent, 'cgroup.subtree_control'), '+memory');
  const group = join(parent, `faced-limit-${process.pid}`);
  mkdirSync(group);
  return { group, version };
}
