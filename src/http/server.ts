import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer as createPlain, type Server } from 'node:http';
import { createServer as createSecure } from 'node:https';
import multipart from '@fastify/multipart';
import Fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify';
import { FacedError } from '../domain/errors.js';
import { type Certificate, givenCertificate, ownCertificate } from './certificate.js';
import { errorReply } from './errors.js';
import { Gatekeeper } from './gatekeeper.js';
import { HomeNetwork } from './home-network.js';
import { LiveHub } from './live.js';
import { Metrics } from './metrics.js';
import { isLoopback } from './origin.js';
import type { HttpOptions, HttpParts } from './parts.js';
import { MAX_PIXELS, PictureGate, readPictures } from './pictures.js';
import type { Route } from './route.js';
import { allRoutes } from './routes/index.js';
import { BACKUP_TYPE } from './routes/keeping.js';
import { Throttle } from './throttle.js';
import { UseLog } from './use-log.js';
import { checkFields, compilers } from './validation.js';

/** Requests with pictures at once: as many as the vision worker's queue takes. */
const PICTURE_REQUESTS = 8;
const JSON_BYTES = 64 * 1024;
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

/** Nothing of another address is ever loaded, no script stands in a page, and no other page shows ours in a frame. */
const SECURITY_HEADERS = {
  'content-security-policy':
    "default-src 'self'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; connect-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
  'referrer-policy': 'no-referrer',
  'cross-origin-resource-policy': 'same-origin',
  'cross-origin-opener-policy': 'same-origin',
  'permissions-policy': 'camera=(self), microphone=(), geolocation=()',
} as const;

/** The HTTP interface. Nothing of it is loaded before the daemon watches. */
export class HttpServer {
  readonly #options: HttpOptions;
  readonly #parts: HttpParts;
  readonly #uses: UseLog;
  readonly #gatekeeper: Gatekeeper;
  readonly #gate = new PictureGate(PICTURE_REQUESTS);
  readonly #servers: Server[] = [];
  readonly #stopping = new AbortController();
  readonly #home: HomeNetwork;
  #app: FastifyInstance | undefined;
  #routes: readonly Route[] = [];

  constructor(options: HttpOptions, parts: HttpParts) {
    this.#options = options;
    this.#parts = parts;
    this.#uses = new UseLog(parts.store, parts.log);
    this.#gatekeeper = new Gatekeeper({
      access: parts.access,
      throttle: new Throttle(),
      uses: this.#uses,
      names: options.names,
      trustedProxies: options.trustedProxies,
    });
    this.#home = new HomeNetwork({
      access: parts.access,
      log: parts.log,
      certificate: () => this.#certificate(),
      listen: (host, tls) => this.#listen(host, this.#port(), tls),
      close: (server) => this.#close(server),
      ...(options.homeAddresses === undefined ? {} : { addresses: options.homeAddresses }),
    });
  }

  /** Rejects with `http.port-taken` when it cannot listen where it should. */
  async start(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    const app = this.#build();
    this.#app = app;
    await app.ready();
    const { host, port, trustedProxies } = this.#options;
    const plain = staysHere(host) || trustedProxies.length > 0;
    await this.#listen(host, port, plain ? null : await this.#certificate());
    if (staysHere(host)) await this.#home.start();
    this.#parts.log.info({ at: this.urls() }, 'the HTTP interface is open');
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#home.stop();
    await Promise.all(this.#servers.splice(0).map(closeServer));
    await this.#app?.close();
    await this.#uses.stop();
  }

  /** Every address, once it is started. */
  get routes(): readonly Route[] {
    return this.#routes;
  }

  /** Resolves when it listens where it should after the last change of who may come in. */
  settled(): Promise<void> {
    return this.#home.look();
  }

  /** Where it can be reached, as addresses of pages. */
  urls(): string[] {
    return this.#servers.flatMap((server) => {
      const address = server.address();
      if (address === null || typeof address === 'string') return [];
      const scheme = 'setSecureContext' in server ? 'https' : 'http';
      const host = address.family === 'IPv6' ? `[${address.address}]` : address.address;
      return [`${scheme}://${host}:${address.port}/`];
    });
  }

  #certificate(): Promise<Certificate> {
    const { certificate, stateDir } = this.#options;
    return certificate === null ? ownCertificate(stateDir) : givenCertificate(certificate);
  }

  /** The one that was given by the system when any would do. */
  #port(): number {
    const address = this.#servers[0]?.address();
    return typeof address === 'object' && address !== null ? address.port : this.#options.port;
  }

  async #close(server: Server): Promise<void> {
    const index = this.#servers.indexOf(server);
    if (index >= 0) this.#servers.splice(index, 1);
    await closeServer(server);
  }

  /** One more address to listen on; with TLS when a certificate is given. */
  async #listen(host: string, port: number, tls: Certificate | null): Promise<Server> {
    const app = this.#app;
    if (app === undefined) throw new FacedError('internal', 'the HTTP interface is not started');
    const handler = (request: IncomingMessage, response: ServerResponse) => app.routing(request, response);
    const { headersMs = HEADERS_MS, requestMs = REQUEST_MS } = this.#options;
    const limits = { connectionsCheckingInterval: Math.min(SWEEP_MS, headersMs) };
    const server =
      tls === null
        ? createPlain(limits, handler)
        : createSecure({ ...limits, ...tls, minVersion: 'TLSv1.2' }, handler);
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
      server.once('error', (error) => reject(cannotListen(error, host, port)));
      server.listen({ host, port }, resolve);
    });
    this.#servers.push(server);
    return server;
  }

  #build(): FastifyInstance {
    const app: FastifyInstance = Fastify({
      logger: false,
      bodyLimit: JSON_BYTES,
      exposeHeadRoutes: false,
      return503OnClosing: true,
      routerOptions: { maxParamLength: 200, ignoreTrailingSlash: true },
      schemaController: { compilersFactory: compilers() },
      frameworkErrors: (error, _request, reply) => void this.#fail(error, reply),
    });
    app.register(multipart, { throwFileSizeLimit: true });
    app.removeContentTypeParser('text/plain');
    // A picture as it is; everything else that has no form of its own is refused with 415.
    app.addContentTypeParser(
      /^(image\/.*|application\/octet-stream)$/,
      { parseAs: 'buffer', bodyLimit: this.#options.maxUploadBytes },
      (_request, body, done) => done(null, body),
    );
    // Read by its route, as it comes.
    app.addContentTypeParser(BACKUP_TYPE, (_request, _payload, done) => done(null));
    app.addHook('onRequest', async (_request, reply) => {
      reply.headers(SECURITY_HEADERS);
    });
    app.addHook('onSend', async (_request, reply) => {
      if (!reply.hasHeader('cache-control')) reply.header('cache-control', 'no-store');
    });
    app.setErrorHandler((error, _request, reply) => this.#fail(error, reply));
    app.setNotFoundHandler((request, reply) => {
      try {
        this.#gatekeeper.arrived(request);
      } catch (error) {
        return this.#fail(error, reply);
      }
      return this.#fail(new FacedError('http.not-found', 'there is nothing at this address'), reply);
    });
    const { signal } = this.#stopping;
    const context = { ...this.#parts, options: this.#options, gate: this.#gate, stopping: signal };
    const metrics = new Metrics(context);
    const live = new LiveHub(context);
    signal.addEventListener('abort', () => {
      metrics.stop();
      live.stop();
    });
    app.addHook('onResponse', async (request, reply) => {
      const { url: route = 'none' } = request.routeOptions;
      const { method } = request;
      metrics.answered({ route, method, status: reply.statusCode, seconds: reply.elapsedTime / 1000 });
    });
    this.#routes = allRoutes(context, { gatekeeper: this.#gatekeeper, metrics, live });
    for (const one of this.#routes) this.#add(app, one);
    return app;
  }

  #add(app: FastifyInstance, one: Route): void {
    const url = one.path.replaceAll(/\{(\w+)\}/g, ':$1');
    const withPictures = one.pictures !== undefined;
    app.route({
      method: one.method,
      url,
      bodyLimit: withPictures
        ? base64Size(this.#options.maxUploadBytes * (one.pictures?.most ?? 1))
        : (one.bodyLimit ?? JSON_BYTES),
      schema: {
        ...(one.params === undefined ? {} : { params: one.params }),
        ...(one.query === undefined ? {} : { querystring: one.query }),
        // The fields beside pictures are checked once the pictures are out.
        ...(one.body === undefined || withPictures ? {} : { body: one.body }),
      },
      onRequest: async (request, reply) => {
        await this.#gatekeeper.admit(request, one.who, one.path);
        if (!withPictures) return;
        const leave = this.#gate.enter();
        reply.raw.once('close', leave);
      },
      handler: async (request, reply) => this.#answer(one, request, reply),
    });
  }

  async #answer(one: Route, request: FastifyRequest, reply: FastifyReply): Promise<unknown> {
    const { principal, account } = this.#gatekeeper.visitor(request);
    const { pictures, fields } =
      one.pictures === undefined
        ? { pictures: [], fields: request.body }
        : await readPictures(request, one.pictures, {
            maxBytes: this.#options.maxUploadBytes,
            maxPixels: MAX_PIXELS,
          });
    if (one.pictures !== undefined && one.body !== undefined) checkFields(one.body, fields);
    return one.handle({
      params: request.params,
      query: request.query,
      body: fields,
      pictures,
      principal,
      account,
      actor: principal === null ? 'http' : `http:${principal.actor}`,
      request,
      reply,
    });
  }

  #fail(error: unknown, reply: FastifyReply): FastifyReply {
    const { status, retryAfter, body } = errorReply(error);
    if (status >= 500)
      this.#parts.log.warn(
        { code: body.error.code, reason: error instanceof Error ? error.message : String(error) },
        'a request over HTTP failed',
      );
    if (retryAfter !== null) reply.header('retry-after', String(retryAfter));
    if (status === 401) reply.header('www-authenticate', 'Bearer realm="faced"');
    // What is still coming of a refused body is not waited for.
    if (status >= 400 && !reply.request.raw.complete) reply.header('connection', 'close');
    return reply.code(status).type('application/json').send(body);
  }
}

/** Base64 takes four bytes for three; and the JSON, or the form, around it. */
function base64Size(bytes: number): number {
  return Math.ceil((bytes * 4) / 3) + JSON_BYTES;
}

function cannotListen(error: Error, host: string, port: number): FacedError {
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

async function closeServer(server: Server): Promise<void> {
  const closed = new Promise<void>((resolve) => server.close(() => resolve()));
  server.closeAllConnections();
  await closed;
}

/** True for addresses that only this machine reaches. */
export function staysHere(host: string): boolean {
  return host === 'localhost' || isLoopback(host);
}
