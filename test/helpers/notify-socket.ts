import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { TestContext } from 'node:test';
import { temporaryDir } from './dirs.js';

/** systemd's end of the socket: says "listening", then each datagram as one JSON line. Node has no datagrams there. */
const LISTENER = `
import json, os, socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.bind(sys.argv[1])
print('"listening"', flush=True)
while True:
    data, fds, flags, address = socket.recv_fds(s, 65536, 8)
    for fd in fds: os.close(fd)
    if data != b'BARRIER=1': print(json.dumps(data.decode()), flush=True)
`;

/** Whether a program can be run here. */
export const found = (program: string): boolean => spawnSync(program, ['--version']).error === undefined;

export interface NotifySocket {
  /** For NOTIFY_SOCKET. */
  readonly socket: string;
  /** What was said next. */
  next(): Promise<string>;
}

/** Stands for systemd, as far as sd_notify(3) goes. Needs python3. */
export async function notifySocket(t: TestContext): Promise<NotifySocket> {
  const socket = join(await temporaryDir(t), 'notify');
  const child = spawn('python3', ['-c', LISTENER, socket], { stdio: ['ignore', 'pipe', 'inherit'] });
  t.after(() => child.kill());
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const next = async (): Promise<string> => {
    const { value, done } = await lines.next();
    assert.ok(!done, 'the listener ended');
    return String(JSON.parse(value));
  };
  assert.equal(await next(), 'listening');
  return { socket, next };
}
