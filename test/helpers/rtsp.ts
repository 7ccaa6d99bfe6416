import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { ROOT } from './data.js';

// Debian's python3, which has Debian's python3-gi; another one may come first in PATH.
const PYTHON = '/usr/bin/python3';
const SCRIPT = join(ROOT, 'test', 'helpers', 'rtsp_server.py');
const PROBE =
  "import gi; gi.require_version('GstRtspServer', '1.0'); from gi.repository import GstRtspServer";

/** Use as a test's `skip` option: false when a server can be started, else the reason. */
export function withoutRtspServer(): string | false {
  const probe = spawnSync(PYTHON, ['-c', PROBE], { stdio: 'ignore' });
  return probe.status === 0 ? false : 'needs Debian packages gir1.2-gst-rtsp-server-1.0 and python3-gi';
}

export interface RtspServer {
  readonly port: number;
  readonly uri: string;
  /** SIGKILL: clients see the connection die. */
  kill(): Promise<void>;
}

/** A real RTSP server on a free port (or the one given), killed after the test. */
export async function startRtspServer(t: TestContext, port = 0): Promise<RtspServer> {
  const child = spawn(PYTHON, [SCRIPT, String(port)], { stdio: ['pipe', 'pipe', 'ignore'] });
  t.after(() => kill(child));
  const [line] = (await Promise.race([once(child.stdout, 'data'), once(child, 'exit')])) as [unknown];
  const bound = Number(String(line).trim());
  if (!Number.isInteger(bound) || bound <= 0) throw new Error(`the RTSP server did not start: ${line}`);
  return { port: bound, uri: `rtsp://127.0.0.1:${bound}/stream`, kill: () => kill(child) };
}

async function kill(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exited = once(child, 'exit');
  child.kill('SIGKILL');
  await exited;
}
