import type { Logger } from '../lib/log.js';
import type { Store } from '../pipeline/ports.js';

export interface Use {
  /** `token:…`, `account:…`, or `unknown` for a token that is nobody's. */
  readonly actor: string;
  readonly method: string;
  /** The route, not the address that was asked for. */
  readonly route: string;
  readonly outcome: 'allowed' | 'refused';
  readonly address: string;
}

interface Counted {
  readonly use: Use;
  more: number;
}

const FLUSH_MS = 60_000;
/** Kinds of use that are told apart within a minute. */
const MAX_KINDS = 500;

/**
 * Each use of a token or account in the audit. The first of its kind within a minute is written at once, those after it
 * together with their number: a program that asks ten times a second must not wear out the card.
 */
export class UseLog {
  readonly #store: Pick<Store, 'audit'>;
  readonly #log: Logger;
  #counted = new Map<string, Counted>();
  #timer: NodeJS.Timeout | undefined;

  constructor(store: Pick<Store, 'audit'>, log: Logger) {
    this.#store = store;
    this.#log = log;
  }

  async note(use: Use): Promise<void> {
    const key = JSON.stringify(use);
    const known = this.#counted.get(key) ?? (this.#counted.size >= MAX_KINDS ? this.#rest(use) : undefined);
    if (known !== undefined) {
      known.more++;
      return;
    }
    this.#counted.set(key, { use, more: 0 });
    this.#timer ??= setInterval(() => void this.flush(), FLUSH_MS).unref();
    await this.#write(use, 1);
  }

  /** Writes what was only counted. */
  async flush(): Promise<void> {
    const counted = this.#counted;
    this.#counted = new Map();
    if (counted.size === 0) {
      clearInterval(this.#timer);
      this.#timer = undefined;
    }
    for (const { use, more } of counted.values()) if (more > 0) await this.#write(use, more);
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer);
    await this.flush();
  }

  /** Where too many kinds are told apart already, the others of an outcome are one. */
  #rest({ actor, outcome }: Use): Counted {
    const use: Use = { actor, method: '*', route: '*', outcome, address: '*' };
    const key = JSON.stringify(use);
    const rest = this.#counted.get(key) ?? { use, more: 0 };
    if (this.#counted.size < 2 * MAX_KINDS) this.#counted.set(key, rest);
    return rest;
  }

  async #write({ actor, ...detail }: Use, times: number): Promise<void> {
    try {
      await this.#store.audit({ kind: 'http', actor: `http:${actor}`, detail: { ...detail, times } });
    } catch (error) {
      this.#log.error({ error: String(error) }, 'a use of the HTTP interface could not be put on record');
    }
  }
}
