/** What a camera is to the pipeline. */
import type { ErrorCode } from '../../domain/errors.js';
import type { Frame } from '../../domain/frame.js';

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
