import type { LivenessMode } from '../domain/liveness.js';
import type { ShotPlanOptions } from './best-shot.js';
import type { MemoryLevel } from './ports.js';
import type { CameraView } from './view.js';

/** All that the vision worker needs to know, as plain data that crosses to a thread or a process. No secrets but a camera's own URI. */
export interface VisionOptions {
  /** Folder of the model files and of a user's own cards. */
  readonly modelsDir: string;
  readonly models: {
    readonly detector: string;
    /** For detectors that give no points of their own. */
    readonly landmarks: string;
    readonly recogniser: string;
    /** Null: liveness is not scored. */
    readonly liveness: string | null;
  };
  /** Which form of each model is wanted: 8 bits where they are accepted and win (`auto`), or one for all. */
  readonly variant?: 'auto' | 'float' | 'int8' | 'half';
  /** What `auto` begins with: 8 bits as soon as they are accepted, or only where they were measured to be faster. */
  readonly variantFirst?: 'float' | 'int8';
  /** Threads of one run of a model. Default 1. */
  readonly threads?: number;
  /** The socket of an engine process that runs the recogniser, with ONNX Runtime standing by. Left out: ONNX Runtime alone. */
  readonly engineSocket?: string;
  /** How much memory there is at the start: models are loaded by it. Default 0, enough. */
  readonly memory?: MemoryLevel;
  /** What the daemon and its vision worker may have in memory, bytes. Left out: what the machine and its control group allow. */
  readonly memoryBudget?: number;
  /** Models for which there is no room are waited for, and what is asked meanwhile is refused. Default false: the start rejects. */
  readonly awaitMemory?: boolean;
  /** Embed each crop and its mirror image: twice the time, steadier answers. Default true. */
  readonly flip?: boolean;
  readonly cameras: readonly CameraSettings[];
  /** Sightings carry their aligned crop: strangers are kept for a while. Default false. */
  readonly crops?: boolean;
  /** Pictures that may wait for {@link Vision.analyse}; more are refused with `busy`. Default 8. */
  readonly analyseQueue?: number;
  /** Somebody calls {@link Vision.judged} for each sighting, and folders and clips wait for it. Default false: nobody waits. */
  readonly awaitJudgement?: boolean;
  readonly logLevel?: 'debug' | 'info' | 'warn' | 'error';
  /** Folder of the photographs for the `demo` source. */
  readonly photographs?: string;
}

export interface CameraSettings {
  readonly name: string;
  readonly source: string;
  readonly view: CameraView;
  /** Which signs of life are gathered: the most that this camera's own decisions, or a door that goes by it, ask for. Default off. */
  readonly liveness?: CameraLiveness;
  /** When a face is looked at; a door wants looks that are close together and never old. */
  readonly looks?: ShotPlanOptions;
  /** A live camera that gives no frame for so long is opened again. */
  readonly freezeAfterMs?: number;
}

export interface CameraLiveness {
  readonly mode: LivenessMode;
  /** Time that a face has to show that it is alive, milliseconds. Default 3000. */
  readonly withinMs?: number;
  /** Ask for a turn to a side that chance chooses, and let nothing else count. Default false. */
  readonly challenge?: boolean;
}

export const DEFAULT_ANALYSE_QUEUE = 8;
