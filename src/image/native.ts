import { createRequire } from 'node:module';
import { join } from 'node:path';
import { FacedError } from '../domain/errors.js';
import type { Image } from '../domain/frame.js';
import { ROOT } from '../lib/program.js';

/** What native/opencv exports. Positional and unchecked by name; {@link ./index.ts} is what others call. */
export interface Native {
  readonly opencvVersion: string;
  /** `width` and `height` as the header has them, before any rotation. */
  decode(
    bytes: Uint8Array,
    width: number,
    height: number,
  ): { width: number; height: number; data: Uint8Array } | null;
  encodeJpeg(image: Image, quality: number): Uint8Array;
  resizeInto(
    source: Image,
    target: Image,
    x: number,
    y: number,
    width: number,
    height: number,
    interpolation: string,
    fill: number,
  ): void;
  convertInto(source: Image, target: Image): void;
  warpAffineInto(source: Image, target: Image, matrix: Float64Array, border: string, fill: number): void;
  rotateInto(source: Image, target: Image, degrees: number): void;
  drawBox(image: Image, box: readonly number[], colour: readonly number[], text: string): void;
  laplacianVariance(image: Image): number;
  releaseFreeMemory(): void;
  exitNow(code: number): never;
  /** Begins to open at once; `onChange` means: ask status() again. */
  readonly Capture: new (
    options: object,
    onChange: () => void,
  ) => NativeCapture;
  readonly Writer: new (path: string, width: number, height: number, fps: number) => NativeWriter;
}

export interface NativeStatus {
  readonly state: 'opening' | 'open' | 'ended' | 'failed' | 'stopped';
  readonly problem: string;
  readonly received: number;
  readonly dropped: number;
  readonly frameWaits: boolean;
  readonly done: boolean;
}

export interface NativeCapture {
  status(): NativeStatus;
  take(): {
    width: number;
    height: number;
    seq: number;
    monotonicMs: number;
    wallMs: number;
    mediaMs: number;
  } | null;
  readInto(image: Image): void;
  stop(): void;
  close(): void;
}

export interface NativeWriter {
  write(image: Image): void;
  close(): void;
}

let loaded: Native | undefined;

/** The addon, loaded at the first call. Throws `native.missing` when it is not built or does not fit this machine. */
export function native(): Native {
  loaded ??= load();
  return loaded;
}

function load(): Native {
  const require = createRequire(import.meta.url);
  const file = 'native/opencv/build/Release/faced_opencv.node';
  try {
    return require(join(ROOT, file)) as Native;
  } catch (cause) {
    const reason = cause instanceof Error ? (cause.message.split('\n')[0] ?? '') : String(cause);
    throw new FacedError('native.missing', `The OpenCV addon cannot be loaded: ${reason}`, {
      fix: 'bash deploy/setup.sh',
      cause,
    });
  }
}
