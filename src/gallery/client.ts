import type { Embedding, EmbeddingSpace } from '../domain/embedding.js';
import type { RecognitionEvent } from '../domain/event.js';
import type { Match, Person, PersonRef, UnknownGroup } from '../domain/person.js';
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
import { type StoreOptions, StoreThread } from './thread.js';

/** The gallery in a worker thread, so that a slow card never stops the caller's. */
export function createStore(options: StoreOptions): Store {
  return new StoreClient(options);
}

/** Each question of the port as a call to the thread. */
class StoreClient implements Store {
  readonly #thread: StoreThread;
  /** What was told of the time of day last: a thread that is started again has to know it too. */
  #clock: ClockState | null = null;

  constructor(options: StoreOptions) {
    this.#thread = new StoreThread(options, async (caller) => {
      // What cannot be put right now is with the next look; how rows are stamped is known all the same.
      if (this.#clock !== null) await caller.call('clockLooked', this.#clock).catch(() => {});
    });
  }

  start(signal: AbortSignal): Promise<void> {
    return this.#thread.start(signal);
  }

  stop(): Promise<void> {
    return this.#thread.stop();
  }

  people(): Promise<Person[]> {
    return this.#thread.call('people');
  }

  ensurePerson(name: string): Promise<PersonRef> {
    return this.#thread.call('ensurePerson', name);
  }

  renamePerson(id: string, name: string, row?: AuditEntry): Promise<void> {
    return this.#thread.call('renamePerson', { id, name, row });
  }

  enroll(enrolment: Enrolment): Promise<{ person: PersonRef; samples: string[] }> {
    return this.#thread.call('enroll', { ...enrolment, add: enrolment.add.map(compactSample) });
  }

  removePerson(id: string, rows: readonly AuditEntry[] = []): Promise<void> {
    return this.#thread.call('removePerson', { id, rows });
  }

  addSamples(personId: string, samples: readonly NewSample[], row?: AuditEntry): Promise<string[]> {
    return this.#thread.call('addSamples', { personId, samples: samples.map(compactSample), row });
  }

  samples(personId: string): Promise<SampleInfo[]> {
    return this.#thread.call('samples', personId);
  }

  ownSamples(personId: string, space: EmbeddingSpace): Promise<OwnSample[]> {
    return this.#thread.call('ownSamples', { personId, space });
  }

  sampleImage(id: string): Promise<Uint8Array | null> {
    return this.#thread.call('sampleImage', id);
  }

  forgetImages(row?: AuditEntry): Promise<number> {
    return this.#thread.call('forgetImages', row);
  }

  reembedding(space: EmbeddingSpace): Promise<Reembedding> {
    return this.#thread.call('reembedding', space);
  }

  imagesToReembed(filter: {
    space: EmbeddingSpace;
    after?: string;
    limit: number;
  }): Promise<{ sample: string; image: Uint8Array }[]> {
    return this.#thread.call('imagesToReembed', filter);
  }

  replaceEmbeddings(changes: readonly { sample: string; embedding: Embedding }[]): Promise<void> {
    const own = changes.map(({ sample, embedding }) => ({ sample, embedding: compact(embedding) }));
    return this.#thread.call('replaceEmbeddings', own);
  }

  recordConsent(consent: {
    person: string;
    version: string;
    givenAt: number;
    actor: string;
  }): Promise<Consent> {
    return this.#thread.call('recordConsent', consent);
  }

  consents(person?: string): Promise<Consent[]> {
    return this.#thread.call('consents', person);
  }

  removeSample(id: string, row?: AuditEntry): Promise<void> {
    return this.#thread.call('removeSample', { id, row });
  }

  exportPeople(ids?: readonly string[]): Promise<PersonExport[]> {
    return this.#thread.call('exportPeople', ids);
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
    return this.#thread.call('importPeople', { people: own, row });
  }

  counts(space: EmbeddingSpace): Promise<GalleryCounts> {
    return this.#thread.call('counts', space);
  }

  search(embeddings: readonly Embedding[]): Promise<(Match | null)[]> {
    return this.#thread.call('search', embeddings.map(compact));
  }

  recordEvent(
    event: RecognitionEvent,
    messages: readonly { topic: string; payload: string }[],
  ): Promise<void> {
    return this.#thread.call('recordEvent', { event, messages });
  }

  events(filter: { limit: number; before?: string; person?: string }): Promise<RecognitionEvent[]> {
    return this.#thread.call('events', filter);
  }

  clockLooked(state: ClockState): Promise<void> {
    this.#clock = state;
    return this.#thread.call('clockLooked', state);
  }

  latestEvent(): Promise<{ id: string; timeMs: number } | null> {
    return this.#thread.call('latestEvent');
  }

  pruneEvents(): Promise<number> {
    return this.#thread.call('pruneEvents');
  }

  outbox(limit: number): Promise<OutboxMessage[]> {
    return this.#thread.call('outbox', limit);
  }

  acknowledge(upToSeq: number): Promise<void> {
    return this.#thread.call('acknowledge', upToSeq);
  }

  outboxStats(): Promise<OutboxStats> {
    return this.#thread.call('outboxStats');
  }

  claimCommand(claim: CommandClaim): Promise<CommandVerdict> {
    return this.#thread.call('claimCommand', claim);
  }

  accessRecords(): Promise<AccessRecord[]> {
    return this.#thread.call('accessRecords');
  }

  putAccess(record: AccessRecord): Promise<void> {
    return this.#thread.call('putAccess', record);
  }

  removeAccess(key: Pick<AccessRecord, 'kind' | 'id'>): Promise<void> {
    return this.#thread.call('removeAccess', key);
  }

  audit(entry: AuditEntry): Promise<void> {
    return this.#thread.call('audit', entry);
  }

  verifyAudit(claim?: HeadClaim): Promise<AuditState> {
    return this.#thread.call('verifyAudit', claim);
  }

  exportAudit(filter: AuditFilter): Promise<AuditRow[]> {
    return this.#thread.call('exportAudit', filter);
  }

  auditHead(): Promise<SignedHead | null> {
    return this.#thread.call('auditHead');
  }

  pruneAudit(keepDays: number): Promise<number> {
    return this.#thread.call('pruneAudit', keepDays);
  }

  addUnknown(face: NewUnknownFace, rules: { threshold: number; limit: number }): Promise<string> {
    return this.#thread.call('addUnknown', {
      face: { ...face, embedding: compact(face.embedding), image: face.image?.slice() ?? null },
      rules,
    });
  }

  unknownGroups(): Promise<UnknownGroup[]> {
    return this.#thread.call('unknownGroups');
  }

  unknownFaces(group: string): Promise<UnknownFace[]> {
    return this.#thread.call('unknownFaces', group);
  }

  forgetUnknown(
    which: { groups: readonly string[] } | { tracks: readonly string[] } | 'all',
    row?: AuditEntry,
  ): Promise<number> {
    return this.#thread.call('forgetUnknown', { which, row });
  }

  pruneUnknown(): Promise<number> {
    return this.#thread.call('pruneUnknown');
  }

  backup(path: string): Promise<MadeBackup> {
    return this.#thread.call('backup', path);
  }

  rotateBackups(turn: { directory: string; keep: number }): Promise<BackupTurn> {
    return this.#thread.call('rotateBackups', turn);
  }

  purgeBackup(path: string): Promise<number> {
    return this.#thread.call('purgeBackup', path);
  }

  integrityCheck(): Promise<string[]> {
    return this.#thread.call('integrityCheck');
  }
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
