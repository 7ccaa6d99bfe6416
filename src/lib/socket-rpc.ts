import { setMaxListeners } from 'node:events';
import { mkdirSync, openSync, rmSync } from 'node:fs';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { basename, dirname } from 'node:path';
import { deserialize, serialize } from 'node:v8';
import { Caller, type CallerOptions, type Channel, type Methods, serve } from './rpc.js';

/**
 * The calls of rpc.ts over a Unix socket that its owner alone may open. A frame is a 32-bit big-endian length and a
 * structured clone; both ends are faced, and a frame that is too long or cannot be read ends the connection.
 */
export interface ControlServer {
  close(): Promise<void>;
}

const MAX_FRAME_BYTES = 96 * 1024 * 1024;
/** Linux keeps 108 bytes for a socket's path (unix(7)); a longer one goes through the folder's file descriptor. */
const MAX_PATH_BYTES = 107;

function reachable(path: string): string {
  if (Buffer.byteLength(path) <= MAX_PATH_BYTES) return path;
  // Kept open for as long as the process lives: the path goes through it.
  return `/proc/self/fd/${openSync(dirname(path), 'r')}/${basename(path)}`;
}

/** Replaces a socket that a killed process left behind; the caller holds the lock that makes this safe. */
export async function serveOnSocket(path: string, methods: Methods): Promise<ControlServer> {
  mkdirSync(dirname(path), { recursive: true });
  rmSync(path, { force: true });
  const open = new Set<Socket>();
  const server: Server = createServer((socket) => {
    open.add(socket);
    const gone = new AbortController();
    // Each call that is under way may listen.
    setMaxListeners(0, gone.signal);
    socket.on('close', () => {
      open.delete(socket);
      gone.abort();
    });
    socket.on('error', () => socket.destroy());
    serve(framed(socket), methods, gone.signal);
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    // The socket is bound before listen() returns, so the mask is narrowed for that call alone.
    const mask = process.umask(0o177);
    server.listen(reachable(path), resolve);
    process.umask(mask);
  });
  return {
    close: async () => {
      for (const socket of open) socket.destroy();
      await new Promise<void>((resolve) => server.close(() => resolve()));
      rmSync(path, { force: true });
    },
  };
}

export interface SocketCaller {
  call<Result>(method: string, argument?: unknown, onProgress?: (value: unknown) => void): Promise<Result>;
  close(): void;
}

/** Null when nobody listens there. */
export async function callSocket(path: string, options: CallerOptions): Promise<SocketCaller | null> {
  const socket = connect(reachable(path));
  const connected = await new Promise<boolean>((resolve) => {
    socket.once('connect', () => resolve(true));
    socket.once('error', () => resolve(false));
  });
  if (!connected) return null;
  const caller = new Caller(framed(socket), options);
  const gone = () =>
    caller.fail(options.reviveError({ code: 'rpc.closed', message: 'the daemon closed the connection' }));
  socket.on('error', () => socket.destroy());
  socket.on('close', gone);
  return {
    call: (method, argument, onProgress) =>
      caller.call(method, argument, onProgress === undefined ? {} : { onProgress }),
    close: () => socket.destroy(),
  };
}

function framed(socket: Socket): Channel {
  let buffered: Buffer[] = [];
  let size = 0;
  const listeners: ((message: unknown) => void)[] = [];
  const take = (): Buffer | undefined => {
    if (size < 4) return undefined;
    const head = Buffer.concat(buffered, size);
    buffered = [head];
    const length = head.readUInt32BE(0);
    if (length > MAX_FRAME_BYTES) {
      socket.destroy();
      return undefined;
    }
    if (size < 4 + length) return undefined;
    const rest = head.subarray(4 + length);
    buffered = [rest];
    size = rest.length;
    return head.subarray(4, 4 + length);
  };
  socket.on('data', (chunk: Buffer) => {
    buffered.push(chunk);
    size += chunk.length;
    // Joining is worth it only when a whole frame may be there; a long frame arrives in many chunks.
    if (!frameComplete(buffered, size)) return;
    for (let frame = take(); frame !== undefined; frame = take()) {
      let message: unknown;
      try {
        message = deserialize(frame);
      } catch {
        socket.destroy();
        return;
      }
      for (const listener of listeners) listener(message);
    }
  });
  return {
    post: (message) => {
      const body = serialize(message);
      const head = Buffer.alloc(4);
      head.writeUInt32BE(body.length, 0);
      if (!socket.destroyed) socket.write(Buffer.concat([head, body]));
    },
    onMessage: (listener) => {
      listeners.push(listener);
    },
  };
}

function frameComplete(chunks: readonly Buffer[], size: number): boolean {
  const first = chunks[0];
  if (first === undefined || size < 4) return false;
  if (first.length < 4) return true;
  const length = first.readUInt32BE(0);
  return length > MAX_FRAME_BYTES || size >= 4 + length;
}
