import type { Embedding, EmbeddingSpace } from '../domain/embedding.js';
import { FacedError } from '../domain/errors.js';
import type { RecognitionEvent } from '../domain/event.js';
import type { Methods } from '../lib/rpc.js';
import type { AccessRecord, AuditEntry, CommandClaim, NewSample, PersonExport } from '../pipeline/ports.js';
import { AccessRecords } from './access-records.js';
import { Audit } from './audit.js';
import { backupTo, integrityProblems } from './backup.js';
import type { StoreWorkerOptions } from './client.js';
import { CommandIds } from './command-ids.js';
import { type OpenGallery, openGallery } from './database.js';
import { EventLog } from './event-log.js';
import { People } from './people.js';
import { SampleSearch } from './search.js';
import { exportPeople, importPeople } from './transfer.js';

interface Opened {
  readonly gallery: OpenGallery;
  readonly people: People;
  readonly log: EventLog;
  readonly audit: Audit;
  readonly commands: CommandIds;
  readonly access: AccessRecords;
}

/** The store itself, on the thread that calls it. */
export class LocalStore {
  readonly #options: StoreWorkerOptions;
  #opened: Opened | undefined;
  /** Work that spans several turns of the loop and must end before the database is closed. */
  readonly #long = new Set<Promise<unknown>>();

  constructor(options: StoreWorkerOptions) {
    this.#options = options;
  }

  methods(): Methods {
    return {
      open: () => this.#open(),
      close: () => this.#close(),
      people: () => this.#now.people.list(),
      ensurePerson: (name: string) => this.#now.people.ensure(name),
      renamePerson: ({ id, name }: { id: string; name: string }) => this.#now.people.rename(id, name),
      removePerson: (id: string) => this.#now.people.remove(id),
      addSamples: ({ personId, samples }: { personId: string; samples: NewSample[] }) =>
        this.#now.people.addSamples(personId, samples),
      samples: (personId: string) => this.#now.people.samples(personId),
      removeSample: (id: string) => this.#now.people.removeSample(id),
      exportPeople: (ids: string[] | undefined) => exportPeople(this.#now.gallery.db, this.#now.people, ids),
      importPeople: (people: PersonExport[]) => importPeople(this.#now.gallery.db, this.#now.people, people),
      counts: (space: EmbeddingSpace) => this.#now.people.counts(space),
      search: (embeddings: Embedding[]) => {
        const { people } = this.#now;
        return embeddings.map((embedding) => people.match(embedding));
      },
      recordEvent: (argument: { event: RecognitionEvent; messages: { topic: string; payload: string }[] }) =>
        this.#now.log.record(argument.event, argument.messages),
      events: (filter: { limit: number; before?: string }) => this.#now.log.events(filter),
      pruneEvents: () => this.#now.log.prune(Date.now()),
      outbox: (limit: number) => this.#now.log.outbox(limit),
      acknowledge: (upToSeq: number) => this.#now.log.acknowledge(upToSeq),
      outboxStats: () => this.#now.log.stats(),
      claimCommand: (claim: CommandClaim) => this.#now.commands.claim(claim),
      accessRecords: () => this.#now.access.all(),
      putAccess: (record: AccessRecord) => this.#now.access.put(record),
      removeAccess: (key: Pick<AccessRecord, 'kind' | 'id'>) => this.#now.access.remove(key),
      audit: (entry: AuditEntry) => this.#now.audit.append(entry, Date.now()),
      verifyAudit: () => this.#tracked(this.#now.audit.verify()),
      exportAudit: (filter: { after?: number; limit: number }) => this.#now.audit.rows(filter),
      backup: (path: string) => this.#tracked(backupTo(this.#now.gallery.db, path)),
      integrityCheck: () => integrityProblems(this.#now.gallery.db),
    };
  }

  get #now(): Opened {
    if (this.#opened === undefined)
      throw new FacedError('gallery.closed', 'The gallery is not open.', { fix: 'Start faced again.' });
    return this.#opened;
  }

  async #open(): Promise<void> {
    const gallery = await openGallery(this.#options);
    try {
      const { db, sealer } = gallery;
      const people = new People(db, sealer, new SampleSearch(this.#options.scoring));
      people.load();
      const log = new EventLog(db, sealer, this.#options);
      log.load();
      this.#opened = {
        ...{ gallery, people, log, audit: new Audit(db) },
        ...{ commands: new CommandIds(db), access: new AccessRecords(db, sealer) },
      };
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

  async #tracked<Result>(work: Promise<Result>): Promise<Result> {
    this.#long.add(work);
    try {
      return await work;
    } finally {
      this.#long.delete(work);
    }
  }
}
