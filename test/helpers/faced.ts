import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { TestContext } from 'node:test';
import { ROOT } from './data.js';
import { temporaryDir } from './dirs.js';

/** The command as a user calls it, with a state directory of the test's own. */
export interface Faced {
  readonly stateDir: string;
  readonly env: NodeJS.ProcessEnv;
  run(...argv: string[]): Promise<Finished>;
  /** The answer of a command with --json. */
  json(...argv: string[]): Promise<{ code: number; answer: unknown; stderr: string }>;
  spawn(...argv: string[]): Running;
}

export interface Finished {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface Running {
  readonly child: ChildProcess;
  /** Resolves with the first line of standard output that fits; rejects when the command ends before. */
  line(fits: (line: string) => boolean): Promise<string>;
  readonly lines: readonly string[];
  stderr(): string;
  /** Resolves when standard error has said it. */
  said(pattern: RegExp): Promise<void>;
  ended: Promise<number>;
}

export async function facedIn(t: TestContext, env: NodeJS.ProcessEnv = {}): Promise<Faced> {
  const stateDir = await temporaryDir(t);
  const whole = { ...process.env, FACED_STATE_DIR: stateDir, ...env };
  const start = (argv: string[]) => {
    const child = spawn(join(ROOT, 'bin', 'faced'), argv, { env: whole, stdio: 'pipe' });
    t.after(async () => {
      if (child.exitCode !== null || child.signalCode !== null) return;
      child.kill('SIGKILL');
      await once(child, 'exit');
    });
    return child;
  };
  const run = async (...argv: string[]): Promise<Finished> => {
    const child = start(argv);
    let stdout = '';
    let stderr = '';
    child.stdout.on('data', (chunk) => (stdout += String(chunk)));
    child.stderr.on('data', (chunk) => (stderr += String(chunk)));
    const [code] = await once(child, 'close');
    return { code: Number(code), stdout, stderr };
  };
  return {
    stateDir,
    env: whole,
    run,
    json: async (...argv) => {
      const { code, stdout, stderr } = await run(...argv, '--json');
      assert.match(stdout, /^[^\n]+\n$/, `not exactly one line of JSON: ${stdout}\n${stderr}`);
      return { code, answer: JSON.parse(stdout), stderr };
    },
    spawn: (...argv) => running(start(argv)),
  };
}

function running(
  child: ChildProcess & { stdout: NodeJS.ReadableStream; stderr: NodeJS.ReadableStream },
): Running {
  const lines: string[] = [];
  let stderr = '';
  const waiting = new Set<() => void>();
  const wake = () => {
    for (const check of [...waiting]) check();
  };
  const reader = createInterface({ input: child.stdout });
  reader.on('line', (line) => {
    lines.push(line);
    wake();
  });
  child.stderr.on('data', (chunk) => {
    stderr += String(chunk);
    wake();
  });
  const ended = once(child, 'close').then(([code, signal]) =>
    typeof code === 'number' ? code : -Number(signal !== null),
  );
  const until = <T>(find: () => T | undefined): Promise<T> =>
    new Promise((resolve, reject) => {
      const check = () => {
        const found = find();
        if (found === undefined) return;
        waiting.delete(check);
        resolve(found);
      };
      waiting.add(check);
      check();
      ended.then(() => reject(new Error(`the command ended first\n${lines.join('\n')}\n${stderr}`)));
    });
  return {
    child,
    lines,
    stderr: () => stderr,
    ended,
    line: (fits) => until(() => lines.find(fits)),
    said: async (pattern) => {
      await until(() => (pattern.test(stderr) ? true : undefined));
    },
  };
}
