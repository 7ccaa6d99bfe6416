import { Worker } from 'node:worker_threads';
import type { Embedding, EmbeddingSpace } from '../domain/embedding.js';
import { FacedError } from '../domain/errors.js';
import type { RecognitionEvent } from '../domain/event.js';
import type { Match, Person, PersonRef, UnknownGroup } from '../domain/person.js';
import { type Logger, silentLogger } from '../lib/log.js';
import { entry } from '../lib/program.js';
import { Caller, channelOf } from '../lib/rpc.js';
import type {
  AccessRecord,
  AuditEntry,
  AuditFilter,
  AuditRow,
  AuditState,
  BackupTurn,
  ClockState,
  CommandClaim,
  CommandVerdict,
  Consent,
  Enrolment,
  GalleryCounts,
  HeadClaim,
  MadeBackup,
  NewSample,
  NewUnknownFace,
  OutboxMessage,
  OutboxStats,
  OwnSample,
  PersonExport,
  Reembedding,
  SampleInfo,
  SignedHead,
  Store,
  UnknownFace,
} from '../pipeline/ports.js';
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

/** The gallery in a worker thread, so that a slow card never stops the caller's. */
export function createStore(options: StoreOptions): Store {
  return new StoreClient(options);
}

class StoreClient implements Store {
  readonly #options: StoreOptions;
  readonly #log: Logger;
  #state: 'new' | 'running' | 'stopped' = 'new';
  #worker: Worker | undefined;
  #ready: Promise<Caller> = Promise.reject(closed());
  #pending = 0;
  #crashes = 0;
  /** What was told of the time of day last: a thread that is started again has to know it too. */
  #clock: ClockState | null = null;

  constructor(options: StoreOptions) {
    this.#options = options;
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

  people(): Promise<Person[]> {
    return this.#call('people');
  }

  ensurePerson(name: string): Promise<PersonRef> {
    return this.#call('ensurePerson', name);
  }

  renamePerson(id: string, name: string, row?: AuditEntry): Promise<void> {
    return this.#call('renamePerson', { id, name, row });
  }

  enroll(enrolment: Enrolment): Promise<{ person: PersonRef; samples: string[] }> {
    return this.#call('enroll', { ...enrolment, add: enrolment.add.map(compactSample) });
  }

  removePerson(id: string, rows: readonly AuditEntry[] = []): Promise<void> {
    return this.#call('removePerson', { id, rows });
  }

  addSamples(personId: string, samples: readonly NewSample[], row?: AuditEntry): Promise<string[]> {
    return this.#call('addSamples', { personId, samples: samples.map(compactSample), row });
  }

  samples(personId: string): Promise<SampleInfo[]> {
    return this.#call('samples', personId);
  }

  ownSamples(personId: string, space: EmbeddingSpace): Promise<OwnSample[]> {
    return this.#call('ownSamples', { personId, space });
  }

  sampleImage(id: string): Promise<Uint8Array | null> {
    return this.#call('sampleImage', id);
  }

  forgetImages(row?: AuditEntry): Promise<number> {
    return this.#call('forgetImages', row);
  }

  reembedding(space: EmbeddingSpace): Promise<Reembedding> {
    return this.#call('reembedding', space);
  }

  imagesToReembed(filter: {
    space: EmbeddingSpace;
    after?: string;
    limit: number;
  }): Promise<{ sample: string; image: Uint8Array }[]> {
    return this.#call('imagesToReembed', filter);
  }

  replaceEmbeddings(changes: readonly { sample: string; embedding: Embedding }[]): Promise<void> {
    const own = changes.map(({ sample, embedding }) => ({ sample, embedding: compact(embedding) }));
    return this.#call('replaceEmbeddings', own);
  }

  recordConsent(consent: {
    person: string;
    version: string;
    givenAt: number;
    actor: string;
  }): Promise<Consent> {
    return this.#call('recordConsent', consent);
  }

  consents(person?: string): Promise<Consent[]> {
    return this.#call('consents', person);
  }

  removeSample(id: string, row?: AuditEntry): Promise<void> {
    return this.#call('removeSample', { id, row });
  }

  exportPeople(ids?: readonly string[]): Promise<PersonExport[]> {
    return this.#call('exportPeople', ids);
  }

  importPeople(
    people: readonly PersonExport[],
    row?: AuditEntry,
  ): Promise<{ people: number; samples: number }> {
    const own = people.map((person) => ({
      ...person,
      embeddings: person.embeddings.map((one) =>
        one.image === undefined ? compact(one) : { ...compact(one), image: one.image.slice() },
      ),
    }));
    return this.#call('importPeople', { people: own, row });
  }

  counts(space: EmbeddingSpace): Promise<GalleryCounts> {
    return this.#call('counts', space);
  }

  search(embeddings: readonly Embedding[]): Promise<(Match | null)[]> {
    return this.#call('search', embeddings.map(compact));
  }

  recordEvent(
    event: RecognitionEvent,
    messages: readonly { topic: string; payload: string }[],
  ): Promise<void> {
    return this.#call('recordEvent', { event, messages });
  }

  events(filter: { limit: number; before?: string; person?: string }): Promise<RecognitionEvent[]> {
    return this.#call('events', filter);
  }

  clockLooked(state: ClockState): Promise<void> {
    this.#clock = state;
    return this.#call('clockLooked', state);
  }

  latestEvent(): Promise<{ id: string; timeMs: number } | null> {
    return this.#call('latestEvent');
  }

  pruneEvents(): Promise<number> {
    return this.#call('pruneEvents');
  }

  outbox(limit: number): Promise<OutboxMessage[]> {
    return this.#call('outbox', limit);
  }

  acknowledge(upToSeq: number): Promise<void> {
    return this.#call('acknowledge', upToSeq);
  }

  outboxStats(): Promise<OutboxStats> {
    return this.#call('outboxStats');
  }

  claimCommand(claim: CommandClaim): Promise<CommandVerdict> {
    return this.#call('claimCommand', claim);
  }

  accessRecords(): Promise<AccessRecord[]> {
    return this.#call('accessRecords');
  }

  putAccess(record: AccessRecord): Promise<void> {
    return this.#call('putAccess', record);
  }

  removeAccess(key: Pick<AccessRecord, 'kind' | 'id'>): Promise<void> {
    return this.#call('removeAccess', key);
  }

  audit(entry: AuditEntry): Promise<void> {
    return this.#call('audit', entry);
  }

  verifyAudit(claim?: HeadClaim): Promise<AuditState> {
    return this.#call('verifyAudit', claim);
  }

  exportAudit(filter: AuditFilter): Promise<AuditRow[]> {
    return this.#call('exportAudit', filter);
  }

  auditHead(): Promise<SignedHead | null> {
    return this.#call('auditHead');
  }

  pruneAudit(keepDays: number): Promise<number> {
    return this.#call('pruneAudit', keepDays);
  }

  addUnknown(face: NewUnknownFace, rules: { threshold: number; limit: number }): Promise<string> {
    return this.#call('addUnknown', {
      face: { ...face, embedding: compact(face.embedding), image: face.image?.slice() ?? null },
      rules,
    });
  }

  unknownGroups(): Promise<UnknownGroup[]> {
    return this.#call('unknownGroups');
  }

  unknownFaces(group: string): Promise<UnknownFace[]> {
    return this.#call('unknownFaces', group);
  }

  forgetUnknown(
    which: { groups: readonly string[] } | { tracks: readonly string[] } | 'all',
    row?: AuditEntry,
  ): Promise<number> {
    return this.#call('forgetUnknown', { which, row });
  }

  pruneUnknown(): Promise<number> {
    return this.#call('pruneUnknown');
  }

  backup(path: string): Promise<MadeBackup> {
    return this.#call('backup', path);
  }

  rotateBackups(turn: { directory: string; keep: number }): Promise<BackupTurn> {
    return this.#call('rotateBackups', turn);
  }

  purgeBackup(path: string): Promise<number> {
    return this.#call('purgeBackup', path);
  }

  integrityCheck(): Promise<string[]> {
    return this.#call('integrityCheck');
  }

  async #call<Result>(method: string, argument?: unknown): Promise<Result> {
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
      // What cannot be put right now is with the next look; how rows are stamped is known all the same.
      if (this.#clock !== null) await caller.call('clockLooked', this.#clock).catch(() => {});
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

/** A view into a larger buffer would take all of that buffer across. */
function compact<E extends { readonly vector: Float32Array }>(embedding: E): E {
  const { vector } = embedding;
  if (vector.byteLength === vector.buffer.byteLength) return embedding;
  return { ...embedding, vector: vector.slice() };
}

function compactSample({ embedding, quality, image }: NewSample): NewSample {
  const own = { embedding: compact(embedding), quality };
  return image === undefined ? own : { ...own, image: image.slice() };
}
