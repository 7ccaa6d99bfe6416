import { Worker } from 'node:worker_threads';
import { FacedError } from '../domain/errors.js';
import { type Logger, silentLogger } from '../lib/log.js';
import { entry } from '../lib/program.js';
import { Caller, channelOf } from '../lib/rpc.js';
import type { Migrated } from './migrate.js';
import type { Scoring } from './search.js';

export interface StoreOptions {
  /** The state directory; it must exist. Holds gallery.db, gallery.lock, gallery.pid and, unless a key is given, gallery.key. */
  readonly directory: string;
  /** A file with the key, used when systemd gives no credential `faced.key`. */
  readonly keyFile?: string;
  /** Default: `$CREDENTIALS_DIRECTORY`. */
  readonly credentialsDirectory?: string;
  /** How a person's similarity follows from the samples. Default `max`. */
  readonly scoring?: Scoring;
  /** Messages that may wait for the broker. Default 10,000. */
  readonly outboxLimit?: number;
  /** Days that {@link Store.pruneEvents} keeps. Default 90. */
  readonly retentionDays?: number;
  /** Events that {@link Store.pruneEvents} keeps at most. Default 100,000. */
  readonly eventLimit?: number;
  readonly logger?: Logger;
  /** The store has ended unexpectedly for the second time and every call rejects from now on: the daemon should end. */
  readonly onFailed?: (error: FacedError) => void;
  /** Opening goes on: it takes long only when a large database is copied and changed for a newer version. */
  readonly onProgress?: () => void;
  /** Pages of 4 KiB that the database may have; for tests of a full disk. */
  readonly maxPages?: number;
  /** Makes the store's thread; for tests of its sudden end. */
  readonly createWorker?: (workerData: StoreWorkerOptions) => Worker;
}

/** What the thread is told. */
export interface StoreWorkerOptions {
  readonly directory: string;
  readonly keyFile: string | undefined;
  readonly credentialsDirectory: string | undefined;
  readonly scoring: Scoring;
  readonly outboxLimit: number;
  readonly retentionDays: number;
  readonly eventLimit: number;
  readonly maxPages: number | undefined;
}

/** What opening the gallery came to. */
export interface Opening {
  readonly migrated: Migrated | null;
  readonly ahead: readonly number[];
}

/** Calls that may wait for the thread: far more than a healthy one ever leaves waiting. */
const PENDING_LIMIT = 1_000;

/** The thread that owns the database: begun, called, begun again once when it ends unexpectedly, and ended. */
export class StoreThread {
  readonly #options: StoreOptions;
  readonly #log: Logger;
  readonly #onOpened: (caller: Caller) => Promise<void>;
  #state: 'new' | 'running' | 'stopped' = 'new';
  #worker: Worker | undefined;
  #ready: Promise<Caller> = Promise.reject(closed());
  #pending = 0;
  #crashes = 0;

  /** `onOpened` is given each thread that has opened the gallery, before any other call reaches it. */
  constructor(options: StoreOptions, onOpened: (caller: Caller) => Promise<void>) {
    this.#options = options;
    this.#onOpened = onOpened;
    this.#log = options.logger ?? silentLogger;
    // Nobody waits for it yet, and that is no defect.
    this.#ready.catch(() => {});
  }

  /** Rejects with `gallery.locked`, `.corrupt`, `.newer`, `.key-unusable`, `.key-wrong`, `.disk-full` or `.read-only`; it may be tried again then. */
  async start(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    if (this.#state === 'running') throw new FacedError('internal', 'The store is started already.');
    this.#state = 'running';
    const giveUp = () => void this.#worker?.terminate();
    signal.addEventListener('abort', giveUp, { once: true });
    try {
      await this.#launch();
    } catch (error) {
      this.#state = 'stopped';
      await this.#worker?.terminate();
      signal.throwIfAborted();
      throw error;
    } finally {
      signal.removeEventListener('abort', giveUp);
    }
  }

  /** Ends what was begun, closes the database and the thread. Any later call rejects with `gallery.closed`. */
  async stop(): Promise<void> {
    if (this.#state !== 'running') return;
    this.#state = 'stopped';
    const worker = this.#worker;
    try {
      await (await this.#ready).call('close');
    } catch (error) {
      this.#log.warn({ error: FacedError.from(error).toJSON() }, 'the store did not close cleanly');
    } finally {
      await worker?.terminate();
    }
  }

  async call<Result>(method: string, argument?: unknown): Promise<Result> {
    if (this.#state !== 'running') throw closed();
    if (this.#pending >= PENDING_LIMIT)
      throw new FacedError('busy', `${PENDING_LIMIT} calls wait for the database already.`, {
        fix: 'The disk or card is too slow or stuck: look at the kernel log (dmesg).',
      });
    this.#pending += 1;
    try {
      return await (await this.#ready).call<Result>(method, argument);
    } finally {
      this.#pending -= 1;
    }
  }

  /** Starts the thread and opens the gallery in it; calls made meanwhile wait. */
  async #launch(): Promise<void> {
    const worker = this.#createWorker();
    this.#worker = worker;
    const caller = new Caller(channelOf(worker), { reviveError: FacedError.from });
    let reason = 'it ended without a reason';
    let opened = false;
    worker.on('error', (error) => {
      reason = error.message;
    });
    worker.once('exit', () => {
      caller.fail(crashed(reason));
      if (opened && this.#state === 'running') this.#restart(reason);
    });
    const onProgress = () => this.#options.onProgress?.();
    this.#ready = caller.call<Opening>('open', undefined, { onProgress }).then(async (opening) => {
      this.#say(opening);
      await this.#onOpened(caller);
      return caller;
    });
    await this.#ready;
    opened = true;
  }

  #say({ migrated, ahead }: Opening): void {
    if (migrated !== null && migrated.copy !== null) {
      const { path, keyId, bytes } = migrated.copy;
      const about = { migrations: migrated.migrations, copy: path, bytes, key: keyId };
      this.#log.info(about, 'the database was brought to the form of this version; the copy needs that key');
    }
    if (ahead.length > 0)
      this.#log.info(
        { additions: ahead },
        'a newer faced has added to the database; this version does without',
      );
  }

  /** Once: what ends the thread a second time would end it a third time too. */
  #restart(reason: string): void {
    this.#crashes += 1;
    const error = crashed(reason);
    this.#log.error({ reason, crashes: this.#crashes }, 'the store ended unexpectedly');
    if (this.#crashes > 1) {
      this.#giveUp(error);
      return;
    }
    this.#launch().catch((failure) => {
      if (this.#state === 'running') this.#giveUp(FacedError.from(failure));
    });
  }

  #giveUp(error: FacedError): void {
    this.#ready = Promise.reject(error);
    this.#ready.catch(() => {});
    this.#options.onFailed?.(error);
  }

  #createWorker(): Worker {
    const options = this.#options;
    const workerData: StoreWorkerOptions = {
      directory: options.directory,
      keyFile: options.keyFile,
      credentialsDirectory: options.credentialsDirectory ?? process.env.CREDENTIALS_DIRECTORY,
      scoring: options.scoring ?? 'max',
      outboxLimit: options.outboxLimit ?? 10_000,
      retentionDays: options.retentionDays ?? 90,
      eventLimit: options.eventLimit ?? 100_000,
      maxPages: options.maxPages,
    };
    if (options.createWorker !== undefined) return options.createWorker(workerData);
    return new Worker(WORKER, { workerData, name: 'store' });
  }
}

const WORKER = entry('gallery/worker.js');

function closed(): FacedError {
  return new FacedError('gallery.closed', 'The gallery is closed.', { fix: 'Start faced again.' });
}

function crashed(reason: string): FacedError {
  return new FacedError('gallery.crashed', `The store ended unexpectedly: ${reason}.`, {
    fix: 'It is started again once; if this comes back, please report it with the log around it.',
  });
}
