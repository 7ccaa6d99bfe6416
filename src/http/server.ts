import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Application } from './application.js';
import { Arrivals } from './arrival.js';
import { type Certificate, givenCertificate, ownCertificate } from './certificate.js';
import { HomeNetwork } from './home-network.js';
import { Listeners } from './listeners.js';
import { LiveHub } from './live.js';
import { isLoopback } from './origin.js';
import type { HttpOptions, HttpParts } from './parts.js';
import { answerProbe } from './probes.js';

/**
 * The HTTP interface: it listens from the start. What answers is loaded with the first request, since a house
 * without a page open needs none of it and it takes 10 MB.
 */
export class HttpServer {
  readonly #options: HttpOptions;
  readonly #parts: HttpParts;
  readonly #listeners: Listeners;
  readonly #home: HomeNetwork;
  readonly #arrivals: Arrivals;
  /** From the start too: a page that is opened later shows who has been in view since. */
  readonly #live: LiveHub;
  readonly #stopping = new AbortController();
  #application: Promise<Application> | undefined;

  constructor(options: HttpOptions, parts: HttpParts) {
    this.#options = options;
    this.#parts = parts;
    this.#arrivals = new Arrivals(options);
    this.#live = new LiveHub(parts);
    this.#listeners = new Listeners((request, response) => void this.#handle(request, response), options);
    this.#home = new HomeNetwork({
      access: parts.access,
      log: parts.log,
      certificate: () => this.#certificate(),
      listen: (host, tls) => this.#listeners.open(host, undefined, tls),
      close: (server) => this.#listeners.close(server),
      ...(options.homeAddresses === undefined ? {} : { addresses: options.homeAddresses }),
    });
  }

  /** Rejects with `http.port-taken` when it cannot listen where it should. */
  async start(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    const { host, port, trustedProxies } = this.#options;
    const plain = staysHere(host) || trustedProxies.length > 0;
    await this.#listeners.open(host, port, plain ? null : await this.#certificate());
    if (staysHere(host)) await this.#home.start();
    this.#parts.log.info({ at: this.urls() }, 'the HTTP interface is open');
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    this.#live.stop();
    await this.#home.stop();
    await this.#listeners.closeAll();
    const application = await this.#application?.catch(() => undefined);
    await application?.close();
  }

  /** Resolves when it listens where it should after the last change of who may come in. */
  settled(): Promise<void> {
    return this.#home.look();
  }

  /** Where it can be reached, as addresses of pages. */
  urls(): string[] {
    return this.#listeners.urls();
  }

  /** What answers; loaded when it is asked for the first time. */
  application(): Promise<Application> {
    // What failed once, for want of memory or files say, is tried again by the next request.
    this.#application ??= this.#load().catch((error: unknown) => {
      this.#application = undefined;
      throw error;
    });
    return this.#application;
  }

  async #load(): Promise<Application> {
    const { Application } = await import('./application.js');
    const application = new Application({
      ...{ options: this.#options, parts: this.#parts },
      ...{ arrivals: this.#arrivals, live: this.#live },
      stopping: this.#stopping.signal,
    });
    await application.ready();
    return application;
  }

  async #handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    if (answerProbe(request, response, { ...this.#parts, arrivals: this.#arrivals })) return;
    try {
      (await this.application()).handle(request, response);
    } catch (error) {
      this.#parts.log.error({ error: String(error) }, 'the HTTP interface could not be loaded');
      response.writeHead(500, { connection: 'close' }).end();
    }
  }

  #certificate(): Promise<Certificate> {
    const { certificate, stateDir } = this.#options;
    return certificate === null ? ownCertificate(stateDir) : givenCertificate(certificate);
  }
}

/** True for addresses that only this machine reaches. */
export function staysHere(host: string): boolean {
  return host === 'localhost' || isLoopback(host);
}
