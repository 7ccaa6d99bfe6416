import type { FastifyReply } from 'fastify';

/** Server-sent events (HTML standard, 9.2) to one listener. */
export interface EventStream {
  send(name: string, data: object, id?: string): void;
  onClose(done: () => void): void;
  end(): void;
}

const KEEP_ALIVE_MS = 15_000;
/** Bytes that may wait for a slow listener before it is let go: it comes back with Last-Event-ID. */
const MOST_WAITING = 256 * 1024;
/** Streams of any kind at once. */
const MOST_STREAMS = 32;

let open = 0;

/** Takes the reply over; null when there are too many listeners already, and then the reply has been sent. */
export function openStream(reply: FastifyReply, stopping: AbortSignal): EventStream | null {
  const raw = takeOver(
    reply,
    { 'content-type': 'text/event-stream; charset=utf-8', 'x-accel-buffering': 'no' },
    stopping,
  );
  if (raw === null) return null;
  raw.write(': faced\n\n');
  const beat = setInterval(() => raw.write(': still here\n\n'), KEEP_ALIVE_MS);
  raw.once('close', () => clearInterval(beat));
  return {
    send: (name, data, id) => {
      if (raw.destroyed) return;
      if (raw.writableLength > MOST_WAITING) {
        raw.destroy();
        return;
      }
      raw.write(`${id === undefined ? '' : `id: ${id}\n`}event: ${name}\ndata: ${JSON.stringify(data)}\n\n`);
    },
    end: () => raw.end(),
    onClose: (done) => {
      if (raw.destroyed) done();
      else raw.once('close', done);
    },
  };
}

/** A reply that goes on until one side ends it. With the headers that every answer has. */
export function takeOver(
  reply: FastifyReply,
  headers: Record<string, string>,
  stopping: AbortSignal,
): FastifyReply['raw'] | null {
  if (open >= MOST_STREAMS) {
    reply
      .code(429)
      .header('retry-after', '5')
      .send({ error: { code: 'busy', message: `${open} listeners are connected already` } });
    return null;
  }
  open++;
  const { raw } = reply;
  const given = Object.entries(reply.getHeaders()).filter(([, value]) => value !== undefined);
  reply.hijack();
  for (const [name, value] of given) raw.setHeader(name, value as string);
  raw.writeHead(200, { ...headers, 'cache-control': 'no-store' });
  const end = () => raw.destroy();
  stopping.addEventListener('abort', end, { once: true });
  raw.once('close', () => {
    open--;
    stopping.removeEventListener('abort', end);
  });
  return raw;
}
