import type { Embedding, EmbeddingSpace } from '../domain/embedding.js';
import { FacedError } from '../domain/errors.js';
import type { RecognitionEvent } from '../domain/event.js';
import type { PersonRef } from '../domain/person.js';
import { systemClock } from '../lib/clock.js';
import type { CallContext, Methods } from '../lib/rpc.js';
import type {
  AccessRecord,
  AuditEntry,
  AuditFilter,
  BackupTurn,
  ClockState,
  CommandClaim,
  Consent,
  Enrolment,
  HeadClaim,
  MadeBackup,
  NewSample,
  NewUnknownFace,
  PersonExport,
} from '../pipeline/ports.js';
import { AccessRecords } from './access-records.js';
import { Audit } from './audit.js';
import { backupTo, deletedFrom, integrityProblems, purgeCopy } from './backup.js';
import { forgetBeforeMigration, purgeBeforeMigration, rotate } from './backup-folder.js';
import { CommandIds } from './command-ids.js';
import { Consents } from './consents.js';
import { type OpenGallery, openGallery } from './database.js';
import { EventLog } from './event-log.js';
import { emptyLog } from './for-good.js';
import { SampleImages } from './images.js';
import { keySource } from './key.js';
import { People } from './people.js';
import { SampleSearch } from './search.js';
import type { Opening, StoreWorkerOptions } from './thread.js';
import { exportPeople, importPeople, type TransferParts } from './transfer.js';
import { type UnknownChoice, UnknownFaces } from './unknown.js';

interface Opened extends TransferParts {
  readonly gallery: OpenGallery;
  readonly people: People;
  readonly unknown: UnknownFaces;
  readonly log: EventLog;
  readonly audit: Audit;
  readonly commands: CommandIds;
  readonly access: AccessRecords;
}

const DAY_MS = 86_400_000;

interface WithRow {
  readonly row?: AuditEntry;
}

/** A decision as the audit has it: whose face it was by id only. */
function decisionRow({ id, decision, camera, track, person }: RecognitionEvent): AuditEntry {
  const detail = { event: id, decision, camera, track, person: person?.id ?? null };
  return { kind: 'decision', actor: 'daemon', detail };
}

/** The store itself, on the thread that calls it. */
export class LocalStore {
  readonly #options: StoreWorkerOptions;
  #opened: Opened | undefined;
  /** A moment on the clock that events go by, while that is not the machine's. */
  #clock: ClockState['at'] | null = null;
  /** Work that spans several turns of the loop and must end before the database is closed. */
  readonly #long = new Set<Promise<unknown>>();

  constructor(options: StoreWorkerOptions) {
    this.#options = options;
  }

  methods(): Methods {
    return {
      open: (_: undefined, { progress }: CallContext) => this.#open(() => progress(null)),
      close: () => this.#close(),
      people: () => this.#now.people.list(),
      ensurePerson: (name: string) => this.#now.people.ensure(name),
      renamePerson: ({ id, name, row }: { id: string; name: string } & WithRow) =>
        this.#now.people.rename(id, name, () => this.#append(row)),
      enroll: (enrolment: Enrolment) => this.#enroll(enrolment),
      removePerson: ({ id, rows }: { id: string; rows: AuditEntry[] }) =>
        this.#tracked(this.#removePerson(id, rows)),
      addSamples: ({ personId, samples, row }: { personId: string; samples: NewSample[] } & WithRow) =>
        this.#now.people.addSamples(personId, samples, () => this.#append(row)),
      samples: (personId: string) => this.#now.people.samples(personId),
      ownSamples: ({ personId, space }: { personId: string; space: EmbeddingSpace }) =>
        this.#now.people.ownSamples(personId, space),
      sampleImage: (id: string) => this.#now.images.of(id),
      forgetImages: (row: AuditEntry | undefined) => this.#tracked(this.#forgetImages(row)),
      reembedding: (space: EmbeddingSpace) => this.#now.images.waiting(space),
      imagesToReembed: (filter: { space: EmbeddingSpace; after?: string; limit: number }) =>
        this.#now.images.toReembed(filter),
      replaceEmbeddings: (changes: { sample: string; embedding: Embedding }[]) =>
        this.#now.people.replace(changes),
      recordConsent: (consent: Pick<Consent, 'person' | 'version' | 'givenAt'> & { actor: string }) =>
        this.#recordConsent(consent),
      consents: (person: string | undefined) => this.#now.consents.list(person),
      removeSample: ({ id, row }: { id: string } & WithRow) =>
        this.#now.people.removeSample(id, (person) => this.#append(row, { person })),
      exportPeople: (ids: string[] | undefined) => exportPeople(this.#now, ids),
      importPeople: ({ people, row }: { people: PersonExport[] } & WithRow) =>
        importPeople(this.#now, people, (added) => this.#append(row, added)),
      counts: (space: EmbeddingSpace) => this.#now.people.counts(space),
      search: (embeddings: Embedding[]) => {
        const { people } = this.#now;
        return embeddings.map((embedding) => people.match(embedding));
      },
      recordEvent: (argument: { event: RecognitionEvent; messages: { topic: string; payload: string }[] }) =>
        this.#now.log.record(argument.event, argument.messages, () =>
          this.#now.audit.append(decisionRow(argument.event), this.#wall()),
        ),
      events: (filter: { limit: number; before?: string; person?: string }) =>
        this.#tracked(this.#now.log.events(filter)),
      clockLooked: (state: ClockState) => this.#tracked(this.#clockLooked(state)),
      latestEvent: () => this.#now.log.latestEvent(),
      pruneEvents: () => this.#tracked(this.#pruneEvents()),
      outbox: (limit: number) => this.#now.log.outbox(limit),
      acknowledge: (upToSeq: number) => this.#now.log.acknowledge(upToSeq),
      outboxStats: () => this.#now.log.stats(),
      claimCommand: (claim: CommandClaim) => this.#now.commands.claim(claim),
      accessRecords: () => this.#now.access.all(),
      putAccess: (record: AccessRecord) => this.#now.access.put(record),
      removeAccess: (key: Pick<AccessRecord, 'kind' | 'id'>) => this.#now.access.remove(key),
      audit: (entry: AuditEntry) => this.#now.audit.append(entry, this.#wall()),
      verifyAudit: (claim: HeadClaim | undefined) => this.#tracked(this.#now.audit.verify(claim)),
      exportAudit: (filter: AuditFilter) => this.#now.audit.rows(filter),
      auditHead: () => this.#now.audit.head(this.#wall()),
      pruneAudit: (keepDays: number) => this.#tracked(this.#now.audit.prune(keepDays, this.#wall())),
      addUnknown: (argument: { face: NewUnknownFace; rules: { threshold: number; limit: number } }) =>
        this.#now.unknown.add(argument.face, argument.rules),
      unknownGroups: () => this.#now.unknown.groups(this.#wall()),
      unknownFaces: (group: string) => this.#now.unknown.faces(group, this.#wall()),
      forgetUnknown: ({ which, row }: { which: UnknownChoice } & WithRow) =>
        this.#now.unknown.forget(which, (faces) => this.#append(row, { faces })),
      pruneUnknown: () => this.#now.unknown.prune(this.#wall()),
      backup: (path: string) => this.#tracked(this.#backup(path)),
      rotateBackups: (turn: { directory: string; keep: number }) => this.#tracked(this.#rotate(turn)),
      purgeBackup: (path: string) => {
        const { db, gallery } = this.#now;
        return this.#tracked(purgeCopy(path, deletedFrom(db), gallery.sealer));
      },
      integrityCheck: () => integrityProblems(this.#now.db),
    };
  }

  get #now(): Opened {
    if (this.#opened === undefined)
      throw new FacedError('gallery.closed', 'The gallery is not open.', { fix: 'Start faced again.' });
    return this.#opened;
  }

  async #open(onProgress: () => void): Promise<Opening> {
    const gallery = await openGallery({ ...this.#options, onProgress });
    try {
      const { db, sealer } = gallery;
      const people = new People(db, sealer, new SampleSearch(this.#options.scoring));
      people.load();
      const log = new EventLog(db, sealer, this.#options);
      log.load();
      const unknown = new UnknownFaces(db, sealer);
      unknown.load();
      this.#opened = {
        ...{ gallery, db, people, log, unknown },
        images: new SampleImages(db, sealer),
        consents: new Consents(db),
        audit: new Audit(db, sealer),
        commands: new CommandIds(db),
        access: new AccessRecords(db, sealer),
      };
      // What a power cut left undone.
      void this.#tracked(this.#redact()).catch(() => {});
      return { migrated: gallery.migrated, ahead: gallery.ahead };
    } catch (error) {
      gallery.close();
      throw error;
    }
  }

  async #close(): Promise<void> {
    const opened = this.#opened;
    this.#opened = undefined;
    await Promise.allSettled(this.#long);
    opened?.gallery.close();
  }

  async #backup(path: string): Promise<MadeBackup> {
    return { ...(await backupTo(this.#now.db, path)), key: keySource(this.#options) };
  }

  async #clockLooked(state: ClockState): Promise<void> {
    // Until it is told otherwise the store's rows are stamped as events are.
    this.#clock = state.isMachines ? null : state.at;
    const { log, unknown } = this.#now;
    const behindMs = await log.clockLooked(state);
    if (behindMs < 0) unknown.sooner(-behindMs);
  }

  /** The time of day, milliseconds since 1970. */
  #wall(): number {
    if (this.#clock === null) return Date.now();
    const { wallMs, monotonicMs } = this.#clock;
    return Math.round(wallMs + systemClock.monotonic() - monotonicMs);
  }

  async #forgetImages(row: AuditEntry | undefined): Promise<number> {
    const forgotten = this.#now.images.forget((images) => this.#append(row, { images }));
    await this.#purgeBeforeMigration();
    return forgotten;
  }

  async #rotate(turn: { directory: string; keep: number }): Promise<BackupTurn> {
    const { db, gallery } = this.#now;
    const done = await rotate(db, gallery.sealer, turn);
    const before = await purgeBeforeMigration(db, gallery.sealer, this.#options.directory);
    return {
      ...done,
      purged: done.purged + before.purged,
      failed: [...done.failed, ...before.failed],
      key: keySource(this.#options),
    };
  }

  async #pruneEvents(): Promise<number> {
    const now = this.#wall();
    const { directory, retentionDays } = this.#options;
    const gone = this.#now.log.prune(now);
    await forgetBeforeMigration(directory, now - retentionDays * DAY_MS);
    return gone;
  }

  #enroll(enrolment: Enrolment): { person: PersonRef; samples: string[] } {
    const { people, audit, consents } = this.#now;
    const { actor, from, consent, add, remove } = enrolment;
    return people.enroll(enrolment, (person) => {
      const now = this.#wall();
      const detail = { person, from, samples: add.length, removed: remove.length };
      audit.append({ kind: 'enroll', actor, detail }, now);
      if (consent === undefined) return;
      consents.record({ person, ...consent });
      audit.append({ kind: 'consent.given', actor, detail: { person, ...consent } }, now);
    });
  }

  #recordConsent(given: Pick<Consent, 'person' | 'version' | 'givenAt'> & { actor: string }): Consent {
    const { people, audit, consents, db } = this.#now;
    const { actor, ...rest } = given;
    people.mustExist(given.person);
    return db.transaction(() => {
      const consent = consents.record(rest);
      audit.append({ kind: 'consent.given', actor, detail: rest }, this.#wall());
      return consent;
    })();
  }

  /** Within the transaction of what it tells. */
  #append(row: AuditEntry | undefined, counted: Readonly<Record<string, unknown>> = {}): void {
    if (row === undefined) return;
    this.#now.audit.append({ ...row, detail: { ...row.detail, ...counted } }, this.#wall());
  }

  /** The person is gone at once; the names in events follow before this resolves. */
  async #removePerson(id: string, rows: readonly AuditEntry[]): Promise<void> {
    const { people, audit, db } = this.#now;
    people.remove(id, () => {
      db.prepare('INSERT INTO redactions (person_id) VALUES (?) ON CONFLICT DO NOTHING').run(id);
      for (const row of rows) audit.append(row, this.#wall());
    });
    await this.#redact();
  }

  async #redact(): Promise<void> {
    const { db, log } = this.#now;
    const waiting = db.prepare('SELECT person_id FROM redactions').pluck().all() as string[];
    for (const person of waiting) {
      await log.redact(person);
      db.prepare('DELETE FROM redactions WHERE person_id = ?').run(person);
    }
    if (waiting.length > 0) emptyLog(db);
    await this.#purgeBeforeMigration();
  }

  /** What fails now is tried at the next start, and named by the next turn of the backups. */
  async #purgeBeforeMigration(): Promise<void> {
    const { db, gallery } = this.#now;
    await purgeBeforeMigration(db, gallery.sealer, this.#options.directory).catch(() => {});
  }

  async #tracked<Result>(work: Promise<Result>): Promise<Result> {
    this.#long.add(work);
    try {
      return await work;
    } finally {
      this.#long.delete(work);
    }
  }
}
