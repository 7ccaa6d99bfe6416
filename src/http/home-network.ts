import type { Server } from 'node:http';
import { FacedError } from '../domain/errors.js';
import type { Logger } from '../lib/log.js';
import type { Access } from '../pipeline/access.js';
import type { Certificate } from './certificate.js';
import { homeAddresses } from './network.js';

export interface HomeNetworkParts {
  readonly access: Pick<Access, 'isOpen' | 'onChange'>;
  readonly log: Logger;
  readonly certificate: () => Promise<Certificate>;
  readonly listen: (host: string, tls: Certificate) => Promise<Server>;
  readonly close: (server: Server) => Promise<void>;
  readonly addresses?: () => string[];
}

/** Addresses come and go with cables and leases. */
const LOOK_MS = 30_000;

/** Listens on this machine's addresses in the home network while `faced http open` holds, and on none otherwise. */
export class HomeNetwork {
  readonly #parts: HomeNetworkParts;
  readonly #servers = new Map<string, Server>();
  readonly #failed = new Set<string>();
  #timer: NodeJS.Timeout | undefined;
  #unsubscribe: () => void = () => {};
  #last: Promise<void> = Promise.resolve();
  #stopped = false;

  constructor(parts: HomeNetworkParts) {
    this.#parts = parts;
  }

  async start(): Promise<void> {
    this.#unsubscribe = this.#parts.access.onChange(() => void this.look());
    this.#timer = setInterval(() => void this.look(), LOOK_MS).unref();
    await this.look();
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    this.#unsubscribe();
    clearInterval(this.#timer);
    await this.#last;
    await this.#closeAll([...this.#servers.keys()]);
  }

  /** One after the other: opens and closes until what listens is what should. */
  look(): Promise<void> {
    this.#last = this.#last
      .then(() => this.#settle())
      .catch((error: unknown) => {
        const { code, message, fix } = FacedError.from(error);
        this.#parts.log.error({ code, fix }, `the home network cannot be let in: ${message}`);
      });
    return this.#last;
  }

  async #settle(): Promise<void> {
    if (this.#stopped) return;
    const { access, addresses = homeAddresses, certificate, listen, log } = this.#parts;
    const wanted = (await access.isOpen()) ? addresses() : [];
    await this.#closeAll([...this.#servers.keys()].filter((address) => !wanted.includes(address)));
    const missing = wanted.filter((address) => !this.#servers.has(address));
    if (missing.length === 0) return;
    const tls = await certificate();
    for (const address of missing) {
      try {
        this.#servers.set(address, await listen(address, tls));
        this.#failed.delete(address);
        log.info({ address }, 'the HTTP interface is open to the home network');
      } catch (thrown) {
        // Said once: an address that another program has stays so for long.
        if (!this.#failed.has(address))
          log.error(
            { address, code: FacedError.from(thrown).code },
            'the HTTP interface cannot listen there',
          );
        this.#failed.add(address);
      }
    }
  }

  async #closeAll(addresses: readonly string[]): Promise<void> {
    for (const address of addresses) {
      const server = this.#servers.get(address);
      this.#servers.delete(address);
      if (server === undefined) continue;
      await this.#parts.close(server);
      this.#parts.log.info({ address }, 'the HTTP interface is closed to the home network');
    }
  }
}
