/** From the vision worker to main: small messages only, no frames. */
import type { Decision } from '../../domain/decision.js';
import type { Embedding } from '../../domain/embedding.js';
import type { ErrorCode } from '../../domain/errors.js';
import type { Face, FaceQuality, PoorReason } from '../../domain/face.js';
import type { Instant } from '../../domain/frame.js';
import type { TrackLiveness } from '../../domain/liveness.js';
import type { Pace } from '../heat-governor.js';
import type { SourceStats } from './camera.js';

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
  /** A model is being loaded, or not any more. It can hold up the loop for seconds, and the worker is not taken for dead. */
  loading: { readonly on: boolean };
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

/** Where a decision about one person in view goes. */
export interface Judged {
  readonly decision: Decision;
  readonly sighting: Sighting;
}
