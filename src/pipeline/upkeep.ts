import { createHash } from 'node:crypto';
import { FacedError } from '../domain/errors.js';
import type { Logger } from '../lib/log.js';
import type { SignedHead, Store } from './ports.js';

export interface UpkeepOptions {
  readonly store: Pick<
    Store,
    'pruneEvents' | 'pruneAudit' | 'pruneUnknown' | 'forgetUnknown' | 'auditHead' | 'audit' | 'exportAudit'
  >;
  readonly log: Logger;
  /** Asked at each turn, since the configuration may change. */
  readonly auditKeepDays: () => number;
  /** Whether strangers are kept for a while; when not, those of before are deleted at the start. */
  readonly keepsStrangers: boolean;
  readonly onHead: (head: SignedHead) => void;
  /** Rejects while the wall clock cannot be believed: nothing is deleted by age then. */
  readonly believedClock: () => Promise<unknown>;
}

const HEAD_EVERY_MS = 60 * 60 * 1000;
/** Strangers go on time, give or take this. */
const STRANGERS_EVERY_MS = 30_000;

/** What the store needs now and then: what is old goes, and the audit's head is told to others. */
export class Upkeep {
  readonly #options: UpkeepOptions;
  readonly #timers: NodeJS.Timeout[] = [];

  constructor(options: UpkeepOptions) {
    this.#options = options;
  }

  /** Does everything once. None of it is worth ending the daemon for: what fails is said, and tried again at its next turn. */
  async start(): Promise<void> {
    const { store, keepsStrangers } = this.#options;
    if (!keepsStrangers)
      await this.#try('strangers of before could not be deleted', () => store.forgetUnknown('all')).catch(
        () => {},
      );
    // It is said already.
    await this.prune().catch(() => {});
    await this.#sayHead();
    const every = (ms: number, work: () => Promise<void>) =>
      this.#timers.push(setInterval(() => void work(), ms));
    every(HEAD_EVERY_MS, () => this.#sayHead());
    if (keepsStrangers) every(STRANGERS_EVERY_MS, () => this.#pruneStrangers());
  }

  stop(): void {
    for (const timer of this.#timers.splice(0)) clearInterval(timer);
  }

  /** Deletes what is old. All of it is tried; rejects when something could not be deleted, or the clock is not believed. */
  async prune(): Promise<void> {
    const { store, log, auditKeepDays, believedClock } = this.#options;
    await this.#try('nothing is deleted by age', believedClock);
    const failed: FacedError[] = [];
    const tried = async (what: string, work: () => Promise<unknown>): Promise<void> =>
      this.#try(what, work).catch((error: FacedError) => void failed.push(error));
    await tried('old events could not be deleted', async () => {
      const events = await store.pruneEvents();
      if (events > 0) log.info({ events }, 'old events were deleted');
    });
    await tried('the audit could not be cut', async () => {
      const rows = await store.pruneAudit(auditKeepDays());
      if (rows > 0) log.info({ rows }, 'old rows of the audit were cut off');
    });
    await tried('faces of strangers could not be deleted', () => store.pruneUnknown());
    const [first] = failed;
    if (first !== undefined) throw first;
  }

  /** Strangers have not been asked: they go on time whatever the clock. */
  async #pruneStrangers(): Promise<void> {
    await this.#try('faces of strangers could not be deleted', () =>
      this.#options.store.pruneUnknown(),
    ).catch(() => {});
  }

  async #sayHead(): Promise<void> {
    await this.#try('the head of the audit could not be signed', async () => {
      const head = await this.#options.store.auditHead();
      if (head !== null) this.#options.onHead(head);
    }).catch(() => {});
  }

  /** Rejects with what was said. */
  async #try(failed: string, work: () => Promise<unknown>): Promise<void> {
    try {
      await work();
    } catch (thrown) {
      const error = FacedError.from(thrown);
      this.#options.log.warn({ code: error.code, reason: error.message }, failed);
      throw error;
    }
  }
}

/** Writes that the daemon started, and that the configuration is another one than at the start before. No setting's value is in it. */
export async function auditStart(
  store: Pick<Store, 'audit' | 'exportAudit'>,
  about: { version: string; config: object },
): Promise<void> {
  const sha256 = createHash('sha256').update(JSON.stringify(about.config)).digest('hex');
  let last: unknown;
  for (let after = 0; ; ) {
    const rows = await store.exportAudit({ after, limit: 1000, kind: 'start' });
    last = rows.at(-1)?.detail.config ?? last;
    after = rows.at(-1)?.seq ?? after;
    if (rows.length < 1000) break;
  }
  if (last !== undefined && last !== sha256)
    await store.audit({ kind: 'config', actor: 'daemon', detail: { at: 'start' } });
  const detail = { version: about.version, config: sha256 };
  await store.audit({ kind: 'start', actor: 'daemon', detail });
}
