import { createServer as createPlain, type RequestListener, type Server } from 'node:http';
import { createServer as createSecure } from 'node:https';
import { FacedError } from '../domain/errors.js';
import type { Certificate } from './certificate.js';

const CONNECTIONS = 128;
const HEADERS_MS = 10_000;
const REQUEST_MS = 60_000;
const KEEP_ALIVE_MS = 10_000;
const SWEEP_MS = 2000;

/** What is told to a sender whose request never became one. */
const MALFORMED: Readonly<Record<string, string>> = {
  ERR_HTTP_REQUEST_TIMEOUT: '408 Request Timeout',
  HPE_HEADER_OVERFLOW: '431 Request Header Fields Too Large',
};

/** How long the lines, and the whole, of a request may take to arrive, milliseconds. */
export interface Patience {
  readonly headersMs?: number;
  readonly requestMs?: number;
}

/** The sockets that are listened on, each with its limits; what comes in goes to one handler. */
export class Listeners {
  readonly #handler: RequestListener;
  readonly #patience: Patience;
  readonly #servers: Server[] = [];

  constructor(handler: RequestListener, patience: Patience) {
    this.#handler = handler;
    this.#patience = patience;
  }

  /**
   * One more address to listen on; with TLS when a certificate is given. Without a port, on the first one's.
   * Rejects with `http.port-taken`.
   */
  async open(host: string, port: number | undefined, tls: Certificate | null): Promise<Server> {
    const { headersMs = HEADERS_MS, requestMs = REQUEST_MS } = this.#patience;
    const limits = { connectionsCheckingInterval: Math.min(SWEEP_MS, headersMs) };
    const server =
      tls === null
        ? createPlain(limits, this.#handler)
        : createSecure({ ...limits, ...tls, minVersion: 'TLSv1.2' }, this.#handler);
    server.maxConnections = CONNECTIONS;
    server.headersTimeout = headersMs;
    server.requestTimeout = requestMs;
    server.keepAliveTimeout = KEEP_ALIVE_MS;
    server.on('clientError', (error, socket) => {
      const status = MALFORMED[(error as NodeJS.ErrnoException).code ?? ''] ?? '400 Bad Request';
      if (socket.writable) socket.end(`HTTP/1.1 ${status}\r\nConnection: close\r\n\r\n`);
      else socket.destroy();
    });
    await new Promise<void>((resolve, reject) => {
      const at = { host, port: port ?? this.#port() };
      server.once('error', (error) => reject(cannotListen(error, at)));
      server.listen(at, resolve);
    });
    this.#servers.push(server);
    return server;
  }

  async close(server: Server): Promise<void> {
    const index = this.#servers.indexOf(server);
    if (index >= 0) this.#servers.splice(index, 1);
    const closed = new Promise<void>((resolve) => server.close(() => resolve()));
    server.closeAllConnections();
    await closed;
  }

  async closeAll(): Promise<void> {
    await Promise.all([...this.#servers].map((server) => this.close(server)));
  }

  /** Where they can be reached, as addresses of pages. */
  urls(): string[] {
    return this.#servers.flatMap((server) => {
      const address = server.address();
      if (address === null || typeof address === 'string') return [];
      const scheme = 'setSecureContext' in server ? 'https' : 'http';
      const host = address.family === 'IPv6' ? `[${address.address}]` : address.address;
      return [`${scheme}://${host}:${address.port}/`];
    });
  }

  /** The one that was given by the system when any would do. */
  #port(): number {
    const address = this.#servers[0]?.address();
    return typeof address === 'object' && address !== null ? address.port : 0;
  }
}

function cannotListen(error: Error, { host, port }: { host: string; port: number }): FacedError {
  const code = 'code' in error ? String(error.code) : '';
  const taken = code === 'EADDRINUSE' || code === 'EACCES' || code === 'EADDRNOTAVAIL';
  if (!taken) return FacedError.from(error);
  return new FacedError(
    'http.port-taken',
    `the HTTP interface cannot listen on ${host} port ${port} (${code})`,
    {
      fix: 'end the program that uses it, or set http.port in the configuration',
      cause: error,
    },
  );
}
