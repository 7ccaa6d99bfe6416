import type { IncomingMessage, ServerResponse } from 'node:http';
import multipart from '@fastify/multipart';
import Fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify';
import { FacedError } from '../domain/errors.js';
import { Throttle } from '../pipeline/throttle.js';
import type { Arrivals } from './arrival.js';
import { errorReply } from './errors.js';
import { Gatekeeper } from './gatekeeper.js';
import { SECURITY_HEADERS } from './headers.js';
import type { LiveHub } from './live.js';
import { Metrics } from './metrics.js';
import type { HttpOptions, HttpParts } from './parts.js';
import { MAX_PIXELS, PictureGate, readPictures } from './pictures.js';
import type { Route } from './route.js';
import { allRoutes } from './routes/index.js';
import { BACKUP_TYPE } from './routes/keeping.js';
import { UseLog } from './use-log.js';
import { checkFields, compilers } from './validation.js';

/** Requests with pictures at once: as many as the vision worker's queue takes. */
const PICTURE_REQUESTS = 8;
const JSON_BYTES = 64 * 1024;
/** Wrong tokens and passwords from one neighbour before the next has to wait. */
const FREE_TRIES = 10;

export interface ApplicationPlace {
  readonly options: HttpOptions;
  readonly parts: HttpParts;
  readonly arrivals: Arrivals;
  readonly live: LiveHub;
  /** Aborted when the interface stops: whoever streams ends then. */
  readonly stopping: AbortSignal;
}

/** What answers requests: who may ask, the routes, the form of errors. server.ts loads it with the first request. */
export class Application {
  readonly routes: readonly Route[];
  readonly #place: ApplicationPlace;
  readonly #uses: UseLog;
  readonly #gatekeeper: Gatekeeper;
  readonly #gate = new PictureGate(PICTURE_REQUESTS);
  readonly #app: FastifyInstance;

  constructor(place: ApplicationPlace) {
    this.#place = place;
    const { parts, arrivals } = place;
    this.#uses = new UseLog(parts.store, parts.log);
    this.#gatekeeper = new Gatekeeper({
      access: parts.access,
      throttle: new Throttle({
        freeTries: FREE_TRIES,
        ...(parts.clock === undefined ? {} : { clock: parts.clock }),
      }),
      uses: this.#uses,
      arrivals,
    });
    const { app, routes } = this.#build();
    this.#app = app;
    this.routes = routes;
  }

  async ready(): Promise<void> {
    await this.#app.ready();
  }

  handle(request: IncomingMessage, response: ServerResponse): void {
    this.#app.routing(request, response);
  }

  async close(): Promise<void> {
    await this.#app.close();
    await this.#uses.stop();
  }

  #build(): { app: FastifyInstance; routes: readonly Route[] } {
    const { options, parts, arrivals, live, stopping } = this.#place;
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
      { parseAs: 'buffer', bodyLimit: options.maxUploadBytes },
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
        arrivals.check(request.raw);
      } catch (error) {
        return this.#fail(error, reply);
      }
      return this.#fail(new FacedError('http.not-found', 'there is nothing at this address'), reply);
    });
    const context = { ...parts, options, stopping, gate: this.#gate };
    const metrics = new Metrics(context);
    app.addHook('onResponse', async (request, reply) => {
      const { url: route = 'none' } = request.routeOptions;
      const { method } = request;
      parts.tally.answered({ route, method, status: reply.statusCode, seconds: reply.elapsedTime / 1000 });
    });
    const routes = allRoutes(context, { gatekeeper: this.#gatekeeper, metrics, live });
    for (const one of routes) this.#add(app, one);
    return { app, routes };
  }

  #add(app: FastifyInstance, one: Route): void {
    const url = one.path.replaceAll(/\{(\w+)\}/g, ':$1');
    const withPictures = one.pictures !== undefined;
    app.route({
      method: one.method,
      url,
      bodyLimit: withPictures
        ? base64Size(this.#place.options.maxUploadBytes * (one.pictures?.most ?? 1))
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
            maxBytes: this.#place.options.maxUploadBytes,
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
      this.#place.parts.log.warn(
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
