/**
 * What the pipeline and the compositions need of the rooms around them. The consumer owns the interface:
 * a new camera, backend, store or broker implements one of these and is chosen in a composition root.
 */

import type { Decision } from '../domain/decision.js';
import type { Embedding, EmbeddingSpace } from '../domain/embedding.js';
import type { ErrorCode } from '../domain/errors.js';
import type { RecognitionEvent } from '../domain/event.js';
import type { AlignedFace, Face, FaceQuality, PoorReason } from '../domain/face.js';
import type { Frame, Image, Instant } from '../domain/frame.js';
import type { TrackLiveness } from '../domain/liveness.js';
import type { Match, Person, PersonRef } from '../domain/person.js';
import type { Pace } from './heat-governor.js';

// ---- camera ------------------------------------------------------------------------------------

export interface SourceStats {
  readonly state: 'opening' | 'open' | 'waiting' | 'ended' | 'stopped';
  /** Frames that the device delivered. */
  readonly received: number;
  /** Frames that were delivered and overwritten before anybody asked: newest frame wins. */
  readonly dropped: number;
  /** How often the source had to be opened again. */
  readonly reopened: number;
  /** Why the source is not open, for people. */
  readonly problem: string | null;
  /** Its stable code; null when there is no problem. */
  readonly problemCode: ErrorCode | null;
}

/** Where frames come from. It never throws for a camera's sake: it waits, opens again and says so once. */
export interface FrameSource {
  readonly camera: string;
  /** Begin opening; returns at once (a silent camera must not hold up the start). Rejects only when it can never work (bad path, bad folder). */
  start(signal: AbortSignal): Promise<void>;
  /**
   * The newest frame that was not given before, when there is one. Resolves to null when the source has ended
   * (end of a file, or stopped). The frame's bytes are valid until the next call.
   */
  next(): Promise<Frame | null>;
  /** Frames with sides of this share of the usual, 0 to 1, as soon as they can be had. Left out: it has one size. */
  resize?(share: number): void;
  stop(): Promise<void>;
  stats(): SourceStats;
}

// ---- inference ---------------------------------------------------------------------------------

export interface DetectOptions {
  /** Faces with a shorter side below it (pixels) are left out. */
  readonly minSize?: number;
  /** Told of each answer of the network that is no face: not a number, without a size, its points in one place. */
  readonly onUnusable?: () => void;
}

/** Any number of faces with their five points, each of which can be aligned. One that cannot be costs only itself. */
export interface FaceDetector {
  detect(image: Image, options?: DetectOptions): Promise<Face[]>;
}

export interface FaceEmbedder {
  readonly model: string;
  readonly space: EmbeddingSpace;
  /** One embedding for each face, in order; several faces may share a run. Null where the network's answer has no direction. */
  embed(faces: readonly Pick<AlignedFace, 'crop'>[]): Promise<(Embedding | null)[]>;
}

export interface LivenessScorer {
  /** 0 (a picture) to 1 (alive) for one face of an image. */
  score(image: Image, face: Face): Promise<number>;
}

// ---- from the vision worker to main: small messages only ------------------------------------------

/** A look at one tracked face that was worth judging. */
export interface Sighting {
  readonly camera: string;
  /** ULID of the track: one person in view over many frames. */
  readonly track: string;
  /** When the frame of the shot was captured. */
  readonly capturedAt: Instant;
  readonly box: readonly [number, number, number, number];
  readonly frame: readonly [number, number];
  readonly quality: FaceQuality;
  /** Null when no shot was good enough to embed; then `poor` says why. */
  readonly embedding: Embedding | null;
  readonly poor: PoorReason | null;
  readonly liveness: number | null;
  /** The liveness of the track until now; left out where the camera does not test it. {@link VisionEvents.livenessChanged} tells of later changes. */
  readonly alive?: TrackLiveness;
  /** True on the last sighting of a track: nothing better will come. A still has exactly one sighting, which is final. */
  readonly final: boolean;
  /** `Frame.mediaMs` of the shot, where the source gives it: rules about durations go by it. */
  readonly mediaMs?: number;
  /** True for a picture that has nothing to do with the ones before it (`Frame.still`): it is decided by itself. */
  readonly still?: boolean;
  /** The aligned crop as JPEG; only when strangers are kept ({@link VisionOptions.crops}) and there is an embedding. */
  readonly crop?: Uint8Array;
  /** Tracks of this camera that were seen in one frame with this one: other people, however alike. */
  readonly alongside?: readonly string[];
}

export interface StageTimes {
  /** Stage name (motion, detect, track, align, embed, liveness, frame) to total milliseconds and count since the last beat. */
  readonly [stage: string]: {
    readonly totalMs: number;
    readonly count: number;
    readonly maxMs: number;
    /** How many took up to each of STAGE_BOUNDS_MS, each counted once; the last counts those beyond all. */
    readonly buckets?: readonly number[];
  };
}

/** Which backend runs a model that another process could run. */
export interface BackendState {
  readonly model: string;
  /** `tensorrt`, `opencv`: the engine process; `onnxruntime`: here. */
  readonly using: string;
  readonly precision: string;
  /** Why this form of the model; left out by an engine process. */
  readonly why?: string;
  /** Why the engine process is not used; null when it is. */
  readonly problem: { readonly code: ErrorCode; readonly message: string } | null;
}

export interface CameraStats extends SourceStats {
  readonly camera: string;
  /** Frames that were looked at, and of those the ones in which the motion gate let the detector sleep. */
  readonly processed: number;
  readonly asleep: number;
  /** Frames whose work failed; the loop went on with the next one. */
  readonly failed?: number;
  /** Faces that the networks could make nothing of and that were left out; the others of the frame went on. */
  readonly unusable?: number;
}

/** A face in a picture of the live view; the box in its pixels. */
export interface ViewedFace {
  readonly track: string;
  readonly box: readonly [number, number, number, number];
}

/** Model id to what happened to it since the last beat. */
export interface ModelCounts {
  readonly [model: string]: { readonly loads: number; readonly evictions: number };
}

export interface VisionEvents {
  sighted: Sighting;
  /** A track has ended, with or without a sighting; its id will not come again. */
  trackEnded: {
    camera: string;
    track: string;
    /** When the face was last seen, on the clock that the camera's sightings go by (`mediaMs`, else monotonic). */
    lastSeenMs?: number;
  };
  /**
   * The active test of a track came to another state, reason or challenge. While it is `live` it is said again with each
   * further sign of life, so that `at` tells how old the newest one is.
   */
  livenessChanged: {
    readonly camera: string;
    readonly track: string;
    /** When the deciding frame was captured. */
    readonly at: Instant;
    readonly mediaMs?: number;
    readonly liveness: TrackLiveness;
  };
  /** Said on change only. */
  cameraChanged: CameraStats;
  /** Every source of this worker has ended (files, folders); never sent while a live camera is configured. */
  sourcesEnded: Record<string, never>;
  /** A picture for people who watch this camera, about as often as they asked. */
  viewed: {
    readonly camera: string;
    /** With boxes and names drawn in. */
    readonly jpeg: Uint8Array;
    /** Width, height of the picture. */
    readonly frame: readonly [number, number];
    readonly faces: readonly ViewedFace[];
  };
  /** A sign of life once a second from the loop itself, with what happened since the last one. */
  beat: {
    readonly cameras: readonly CameraStats[];
    readonly stages: StageTimes;
    readonly models: ModelCounts;
    /** Models that were wanted and would not have fitted into memory. */
    readonly refused?: readonly { readonly code: ErrorCode; readonly message: string }[];
    readonly rssBytes: number;
  };
  /** Said at the start and, where an engine process is configured, on every change. */
  backendChanged: BackendState;
  /** The worker ended unexpectedly and is being started again; tracks are gone. */
  restarted: { reason: string; count: number };
}

export interface AnalysedFace {
  readonly face: Face;
  readonly quality: FaceQuality;
  /** Null when the face is not good enough; `poor` says why. */
  readonly embedding: Embedding | null;
  readonly poor: PoorReason | null;
  readonly liveness: number | null;
  /** The aligned crop as JPEG, when it was asked for and the face is good enough. */
  readonly crop?: Uint8Array;
}

export interface ImageAnalysis {
  readonly width: number;
  readonly height: number;
  readonly faces: readonly AnalysedFace[];
}

export interface AnalyseOptions {
  /** Embed faces that are too poor as well (evaluation): `poor` is still said. */
  readonly embedPoor?: boolean;
  /** Only the main face, large and near the middle, is embedded (evaluation, where a picture is of one person). */
  readonly largestOnly?: boolean;
  /** Answer the aligned crops too: what is kept of a sample when pictures are kept. */
  readonly crops?: boolean;
}

/** 0: enough; 1, low: what is idle is let go; 2, critical: the recogniser runs in parts where it can. */
export type MemoryLevel = 0 | 1 | 2;

/** The vision worker as the rest sees it: a thread or a child process, the same either way. */
export interface Vision {
  start(signal: AbortSignal): Promise<void>;
  stop(): Promise<void>;
  on<Name extends keyof VisionEvents>(
    name: Name,
    listener: (payload: VisionEvents[Name]) => void,
  ): () => void;
  /** One encoded picture (JPEG, PNG, …) through detection, alignment and embedding. Rejects with `busy` when its bounded queue is full. */
  analyse(image: Uint8Array, options?: AnalyseOptions): Promise<ImageAnalysis>;
  /** So many sightings more are judged, or given up: a folder or a clip goes on then (`VisionOptions.awaitJudgement`). */
  judged(sightings: number): void;
  /** How fast the cameras' loops go from now on, also after a restart of the worker. */
  pace(pace: Pace): void;
  /** How much memory there is from now on, also after a restart of the worker. */
  memory(level: MemoryLevel): void;
  /** Embeddings of aligned crops (JPEG, 112x112) that were kept, by the recogniser in use. Rejects with `image.unreadable` for anything else. */
  embedCrops(crops: readonly Uint8Array[]): Promise<(Embedding | null)[]>;
  /** Asks for `viewed`, for so long; to be said again while somebody watches. Rejects with `source.invalid` when there is no such camera. */
  watch(request: { camera: string; forMs: number; fps: number }): Promise<void>;
  /** What stands beside the box of a track from now on. */
  label(label: { track: string; text: string; tone: 'known' | 'unknown' | 'spoof' }): void;
  /** The camera's newest frame as JPEG; null when it has none. */
  snapshot(camera: string): Promise<Uint8Array | null>;
}

// ---- store ---------------------------------------------------------------------------------------

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

/** Looks that are taken to be of one stranger. */
export interface UnknownGroup {
  readonly group: string;
  readonly faces: number;
  readonly cameras: readonly string[];
  readonly firstSeen: number;
  readonly lastSeen: number;
  /** When the last of them is gone. */
  readonly expiresAt: number;
  /** Id of the best of them. */
  readonly best: string;
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

export interface AuditEntry {
  readonly kind: string;
  /** Who did it: `cli`, `mqtt`, `http:<account>`, `daemon`. */
  readonly actor: string;
  /** Plain JSON data; people by id, never by name. */
  readonly detail: Readonly<Record<string, unknown>>;
}

/** A row of the audit table. Each hash covers the row and the hash before it: SHA-256, hexadecimal. */
export interface AuditRow extends AuditEntry {
  /** From 1, without gaps. */
  readonly seq: number;
  /** Milliseconds since 1970. */
  readonly time: number;
  readonly previous: string;
  readonly hash: string;
}

export interface AuditState {
  readonly ok: boolean;
  readonly rows: number;
  /** Hash of the last row: kept elsewhere, it also shows that rows were cut off at the end. Null while there is none. */
  readonly head: string | null;
  /** The first row that does not fit; null when every row does. */
  readonly brokenAt: number | null;
  /**
   * Why `ok` is false. `row-changed`: a row was changed, or one before it removed. `cut-forged`: the beginning was cut
   * off by somebody else. `head-missing`: the chain does not hold the head that was given: it was written anew, or cut
   * off at its end. `head-too-old`: its row is older than what is kept. `head-forged`: its signature is not ours. `end-missing`: the
   * newest rows were taken off.
   */
  readonly problem:
    | 'row-changed'
    | 'cut-forged'
    | 'head-missing'
    | 'head-too-old'
    | 'head-forged'
    | 'end-missing'
    | null;
  /** Where the retention has cut the chain: the last row that is gone. Null when none is. */
  readonly cut: { readonly seq: number; readonly at: number } | null;
  /** The public half of the key that signs heads and cuts: Ed25519, base64url. */
  readonly key: string;
}

/** The newest row of the chain as it is told to others, who keep it. */
export interface SignedHead {
  readonly v: 1;
  readonly seq: number;
  readonly hash: string;
  /** RFC 3339. */
  readonly time: string;
  /** Ed25519 public key, raw, base64url. */
  readonly key: string;
  /** Over the JSON array ["faced/audit/head/1", seq, time, hash] in UTF-8, base64url. */
  readonly sig: string;
}

/** A head that was kept, for which a row must be in the chain. */
export interface HeadClaim {
  readonly hash: string;
  readonly seq?: number;
  /** When given, its signature is checked too. */
  readonly signed?: SignedHead;
}

export interface AuditFilter {
  /** The seq of the last row that was seen. */
  readonly after?: number;
  readonly limit: number;
  /** Rows that name this id only. */
  readonly about?: string;
  readonly kind?: string;
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

// ---- publishing ------------------------------------------------------------------------------------

/** A command that came over MQTT and passed every check of form, freshness and repetition. */
export type Command =
  | {
      readonly kind: 'enroll';
      readonly id: string;
      readonly name: string;
      readonly image: Uint8Array | null;
      readonly camera: string | null;
    }
  | { readonly kind: 'snapshot'; readonly id: string; readonly camera: string }
  | { readonly kind: 'pause'; readonly id: string; readonly paused: boolean }
  | {
      readonly kind: 'lock';
      readonly id: string;
      readonly door: string;
      readonly action: 'lock' | 'unlock';
    }
  | {
      /** A code, badge or QR text that was shown. */
      readonly kind: 'lock';
      readonly id: string;
      readonly door: string;
      readonly action: 'present';
      readonly shown: ShownSecret;
    };

export interface ShownSecret {
  readonly method: 'code' | 'badge' | 'qr';
  readonly secret: string;
  /** The reader's own name; null when it has none. */
  readonly reader: string | null;
}

/** Answers a command; the answer is published as its result. Rejects with a FacedError that is published instead. */
export type CommandHandler = (command: Command) => Promise<object>;

/** Where a decision about one person in view goes. */
export interface Judged {
  readonly decision: Decision;
  readonly sighting: Sighting;
}
