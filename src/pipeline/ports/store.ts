/** What the gallery, its events and its outbox are to the rest. */
import type { Embedding, EmbeddingSpace } from '../../domain/embedding.js';
import type { RecognitionEvent } from '../../domain/event.js';
import type { FaceQuality } from '../../domain/face.js';
import type { Match, Person, PersonRef, UnknownGroup } from '../../domain/person.js';
import type { AuditEntry, AuditFilter, AuditRow, AuditState, HeadClaim, SignedHead } from './audit.js';

export interface NewSample {
  readonly embedding: Embedding;
  readonly quality: FaceQuality;
  /** The aligned crop as JPEG, when pictures are kept. */
  readonly image?: Uint8Array;
}

/** A sample of a person with what is needed to judge another one. */
export interface OwnSample {
  readonly id: string;
  readonly embedding: Embedding;
  readonly quality: FaceQuality;
}

/** What an enrolment changes, in one transaction. */
export interface Enrolment {
  /** The person of this name (exact, after NFC and trimming) is made when there is none. */
  readonly name: string;
  readonly add: readonly NewSample[];
  /** Ids of samples of the same person that make room. */
  readonly remove: readonly string[];
  readonly actor: string;
  /** Where the samples came from: `picture`, `camera`, `unknown`. */
  readonly from: string;
  /** The text that the person agreed to. */
  readonly consent?: { readonly version: string; readonly givenAt: number };
}

/** That somebody agreed to a text. */
export interface Consent {
  readonly id: string;
  readonly person: string;
  /** Of the text that was agreed to. */
  readonly version: string;
  /** Milliseconds since 1970. */
  readonly givenAt: number;
  readonly recordedAt: number;
}

/** Samples of other spaces than the one asked for. */
export interface Reembedding {
  /** Have a picture and can be embedded again. */
  readonly waiting: number;
  /** Have none: these people have to be enrolled again. */
  readonly withoutImage: number;
}

/** A look at a stranger that is kept for a while. */
export interface NewUnknownFace {
  readonly embedding: Embedding;
  readonly quality: FaceQuality;
  readonly camera: string;
  readonly track: string;
  /** Milliseconds since 1970. */
  readonly seenAt: number;
  readonly expiresAt: number;
  /** The aligned crop as JPEG. */
  readonly image: Uint8Array | null;
}

export interface UnknownFace extends NewUnknownFace {
  readonly id: string;
  readonly group: string;
}

/** A backup that was just made, and where the key that opens it is. */
export interface MadeBackup extends BackupInfo {
  readonly key: { readonly kind: 'credential' | 'file' | 'state'; readonly path: string };
}

/** What one turn of a folder of backups did. */
export interface BackupTurn extends MadeBackup {
  /** The new backup. */
  readonly path: string;
  /** People who had been deleted and are now out of older backups, each counted once for each backup. */
  readonly purged: number;
  /** Backups that were deleted because newer ones are enough. */
  readonly removed: readonly string[];
  /** Backups that could not be gone through (another key, damage): they keep what they hold. */
  readonly failed: readonly string[];
}

/** What is known of the time of day. */
export interface ClockState {
  /** One moment on the clock that events go by and on the monotonic one, milliseconds. */
  readonly at: { readonly wallMs: number; readonly monotonicMs: number };
  /** A time daemon, or the owner, vouches for it. */
  readonly known: boolean;
  /** The clock that events go by is the machine's. */
  readonly isMachines: boolean;
}

export interface BackupInfo {
  readonly bytes: number;
  /** Milliseconds since 1970. */
  readonly madeAt: number;
  /** Tells which key opens it, and nothing else about the key: 16 hexadecimal digits. */
  readonly keyId: string;
  readonly people: number;
  readonly samples: number;
}

export interface GalleryCounts {
  /** Goes up with every change of people or samples. */
  readonly version: number;
  readonly people: number;
  /** Samples of the space that was asked for. */
  readonly samples: number;
  /** Samples that belong to another space than the one asked for: they wait for a re-embedding. */
  readonly otherSpaces: number;
}

/** A person with all samples, as `people export` writes them. */
export interface PersonExport extends Person {
  readonly embeddings: readonly {
    id: string;
    space: EmbeddingSpace;
    vector: Float32Array;
    quality: FaceQuality;
    createdAt: number;
    /** The aligned crop as JPEG, where it was kept. */
    image?: Uint8Array;
  }[];
  readonly consents?: readonly Consent[];
}

/** A sample without its vector. */
export interface SampleInfo {
  readonly id: string;
  readonly space: EmbeddingSpace;
  readonly quality: FaceQuality;
  readonly createdAt: number;
  /** Whether its picture was kept. */
  readonly image: boolean;
}

/** Messages that wait for the broker, oldest first. */
export interface OutboxMessage {
  /** Goes up by one for every message; the order of publication. */
  readonly seq: number;
  readonly topic: string;
  readonly payload: string;
}

export interface OutboxStats {
  readonly waiting: number;
  readonly limit: number;
  /** Messages dropped since the database was made, because the outbox was full (oldest go first). */
  readonly dropped: number;
}

/** An account, session or token as the store keeps it: sealed, and nothing it looks into. */
export interface AccessRecord {
  readonly kind: string;
  readonly id: string;
  /** JSON. */
  readonly body: string;
}

/** A command that is about to be carried out, for which nobody may be able to do so again. */
export interface CommandClaim {
  /** Ids of different kinds have nothing to do with each other. */
  readonly kind: string;
  readonly id: string;
  /** Milliseconds since 1970 from which the command's own `exp` refuses it: until then its id is remembered. */
  readonly until: number;
  readonly now: number;
  /** Ids of this kind that may be remembered at once. */
  readonly limit: number;
}

export type CommandVerdict = 'claimed' | 'repeated' | 'full';

/**
 * SQLite, the search and the outbox, in a worker of their own. Every method may reject with a `gallery.*` error and has
 * then changed nothing. A `row` goes to the audit in the same transaction as the change, with what is counted added to its
 * detail: there is no change without its row, and no row without its change.
 */
export interface Store {
  start(signal: AbortSignal): Promise<void>;
  stop(): Promise<void>;

  people(): Promise<Person[]>;
  /** The person of this name (exact, after NFC and trimming), made when there is none. */
  ensurePerson(name: string): Promise<PersonRef>;
  renamePerson(id: string, name: string, row?: AuditEntry): Promise<void>;
  /** One transaction: the person, samples added and removed, the consent and the audit row, or nothing of it. */
  enroll(enrolment: Enrolment): Promise<{ person: PersonRef; samples: string[] }>;
  /**
   * Removes the person with all samples, pictures and consents, and the name from every stored event and waiting message
   * (a signed message, which cannot be changed, is dropped). A tombstone without a name stays. `rows` go to the audit in the same transaction.
   */
  removePerson(id: string, rows?: readonly AuditEntry[]): Promise<void>;
  addSamples(personId: string, samples: readonly NewSample[], row?: AuditEntry): Promise<string[]>;
  samples(personId: string): Promise<SampleInfo[]>;
  /** The samples of a person in one space, with their vectors. */
  ownSamples(personId: string, space: EmbeddingSpace): Promise<OwnSample[]>;
  /** The picture of a sample (JPEG); null when none was kept. */
  sampleImage(id: string): Promise<Uint8Array | null>;
  /** Deletes every kept picture of samples; answers how many, as `row` is told `images`. */
  forgetImages(row?: AuditEntry): Promise<number>;
  /** What of other spaces could be embedded again. */
  reembedding(space: EmbeddingSpace): Promise<Reembedding>;
  /** Pictures of samples of other spaces, in the order of their ids. */
  imagesToReembed(filter: {
    space: EmbeddingSpace;
    after?: string;
    limit: number;
  }): Promise<{ sample: string; image: Uint8Array }[]>;
  /** Puts other embeddings into the place of those that samples have. */
  replaceEmbeddings(changes: readonly { sample: string; embedding: Embedding }[]): Promise<void>;
  recordConsent(consent: {
    person: string;
    version: string;
    givenAt: number;
    actor: string;
  }): Promise<Consent>;
  /** Of one person, or of all; oldest first. */
  consents(person?: string): Promise<Consent[]>;
  /** Removes one sample; a tombstone stays. `row` is told its `person`. */
  removeSample(id: string, row?: AuditEntry): Promise<void>;
  exportPeople(ids?: readonly string[]): Promise<PersonExport[]>;
  /** Joins people of another device: same ids are merged, tombstones win over older people. Answers what was added, as `row` is told. */
  importPeople(
    people: readonly PersonExport[],
    row?: AuditEntry,
  ): Promise<{ people: number; samples: number }>;
  counts(space: EmbeddingSpace): Promise<GalleryCounts>;

  /** The nearest person for each embedding, exact over all samples of its space; null where the gallery has none. */
  search(embeddings: readonly Embedding[]): Promise<(Match | null)[]>;

  /** The event and the messages to publish, in one transaction that outlives a power cut. An id that was recorded before changes nothing. */
  recordEvent(
    event: RecognitionEvent,
    messages: readonly { topic: string; payload: string }[],
  ): Promise<void>;
  /** Newest first; `before`: the id of an event, to page on. At most 1,000. */
  events(filter: { limit: number; before?: string; person?: string }): Promise<RecognitionEvent[]>;
  /**
   * Tells what is known of the time of day; to be told before the first event and whenever it changes. Events that were
   * recorded in this boot under another time get the right one, those of an earlier boot whose time was never known
   * age from now on: nothing is deleted for a wrong clock.
   */
  clockLooked(state: ClockState): Promise<void>;
  /** Of the newest event, with its time, milliseconds since 1970; null: there is none. */
  latestEvent(): Promise<{ readonly id: string; readonly timeMs: number } | null>;
  /** Deletes events older than the retention that the store was made with, and the oldest above its limit. Answers how many. */
  pruneEvents(): Promise<number>;
  outbox(limit: number): Promise<OutboxMessage[]>;
  acknowledge(upToSeq: number): Promise<void>;
  outboxStats(): Promise<OutboxStats>;

  /** Remembers the id of a command, on disk, before it is carried out; only `claimed` allows that. */
  claimCommand(claim: CommandClaim): Promise<CommandVerdict>;

  /** Every account, session and token. */
  accessRecords(): Promise<AccessRecord[]>;
  putAccess(record: AccessRecord): Promise<void>;
  removeAccess(key: Pick<AccessRecord, 'kind' | 'id'>): Promise<void>;

  /** Appends to the audit table; there is no way to change or remove a row. */
  audit(entry: AuditEntry): Promise<void>;
  /** Walks the whole chain; with a head that was kept elsewhere, the chain must hold it. */
  verifyAudit(claim?: HeadClaim): Promise<AuditState>;
  /** Rows in order, at most 1,000. */
  exportAudit(filter: AuditFilter): Promise<AuditRow[]>;
  /** The newest row, signed; null while there is none. */
  auditHead(): Promise<SignedHead | null>;
  /** Cuts rows off that are older than so many days and leaves a signed marker; answers how many went. */
  pruneAudit(keepDays: number): Promise<number>;

  /** Keeps a stranger's face, with the group whose nearest face is at least `threshold` similar or has the same track. Above `limit` faces the oldest goes. */
  addUnknown(face: NewUnknownFace, rules: { threshold: number; limit: number }): Promise<string>;
  /** Newest first, without what has expired. */
  unknownGroups(): Promise<UnknownGroup[]>;
  unknownFaces(group: string): Promise<UnknownFace[]>;
  /** Deletes for good: faces of these groups or tracks, or all; answers how many, as `row` is told `faces`. */
  forgetUnknown(
    which: { groups: readonly string[] } | { tracks: readonly string[] } | 'all',
    row?: AuditEntry,
  ): Promise<number>;
  /** Deletes what has expired; answers how many. */
  pruneUnknown(): Promise<number>;

  /** A copy of the database while it is in use, checked before it takes the name `path`. It is sealed with the same key and says which. */
  backup(path: string): Promise<MadeBackup>;
  /** One turn of a folder of backups: see {@link BackupTurn}. `keep`: how many stay, the new one among them. */
  rotateBackups(turn: { directory: string; keep: number }): Promise<BackupTurn>;
  /** Takes people who were deleted since out of a backup, with their names in its events; answers how many people. */
  purgeBackup(path: string): Promise<number>;
  /** What is wrong with the database, in SQLite's words; empty when nothing is. */
  integrityCheck(): Promise<string[]>;
}
