import { readFile } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { FacedError } from '../domain/errors.js';
import { Capture, type CaptureOptions, opencvVersion } from '../image/index.js';
import { type Clock, systemClock } from '../lib/clock.js';
import type { Logger } from '../lib/log.js';
import type { FrameSource } from '../pipeline/ports.js';
import { DEFAULT_BACKOFF } from './backoff.js';
import { deviceProblem, senderProblem } from './device.js';
import { LiveSource } from './live.js';
import { boardOf, completePipeline, csiPipeline } from './pipelines.js';
import { parseSource, redactSource, type SourceSpec, smallerMode } from './source-uri.js';

export { parseSource, redactSource, SOURCE_FORMS, type SourceSpec } from './source-uri.js';

export interface CameraOptions {
  readonly name: string;
  /** One of {@link SOURCE_FORMS}. */
  readonly source: string;
  /** Frames a second that are given at most; what a live camera delivers above it is dropped undecoded. Not for `file:` and `images:`. */
  readonly maxFps?: number;
  /** Default 10 s. */
  readonly openTimeoutMs?: number;
  /** A live camera that gives no frame for so long is opened again. Default 10 s. */
  readonly freezeAfterMs?: number;
  /** `images:` are scaled down to this longer side; default 1920. */
  readonly maxSide?: number;
  /** The folder of photographs for `demo`. */
  readonly photographs?: string;
}

export interface CameraDeps {
  readonly logger: Logger;
  readonly clock?: Clock;
  /** Waits, and ends early without an error when the signal aborts. */
  readonly pause?: (ms: number, signal: AbortSignal) => Promise<void>;
  /** 0 to 1. */
  readonly random?: () => number;
}

const OPEN_TIMEOUT_MS = 10_000;
const FREEZE_AFTER_MS = 10_000;
const MAX_SIDE = 1920;

/**
 * The source that `options.source` names; its driver is imported only when chosen.
 * @throws FacedError `source.invalid`, `source.open-failed` (no such camera on this board), `native.missing`
 */
export async function createSource(options: CameraOptions, deps: CameraDeps): Promise<FrameSource> {
  const spec = parseSource(options.source);
  // A camera that never comes would hide that the addon is missing.
  opencvVersion();
  const { name: camera, openTimeoutMs = OPEN_TIMEOUT_MS, freezeAfterMs = FREEZE_AFTER_MS } = options;
  const { logger, clock = systemClock, pause = pauseOf } = deps;
  switch (spec.kind) {
    case 'file': {
      const { FileSource } = await import('./file.js');
      const { path, pace } = spec;
      return new FileSource({ camera, path, pace, openTimeoutMs, readTimeoutMs: freezeAfterMs }, logger);
    }
    case 'images': {
      const { ImagesSource } = await import('./images.js');
      const { folder } = spec;
      return new ImagesSource({ camera, folder, maxSide: options.maxSide ?? MAX_SIDE }, { clock, logger });
    }
    case 'demo': {
      const { photographs } = options;
      if (photographs === undefined) {
        throw new FacedError('source.open-failed', 'The demo has no photographs.', {
          fix: 'bash deploy/setup.sh',
        });
      }
      const { DemoSource } = await import('./demo.js');
      return new DemoSource({ camera, photographs, loop: spec.loop }, { clock, pause });
    }
    default: {
      const captureOf = async (one: LiveSpec): Promise<CaptureOptions> => ({
        ...(await deviceOf(one)),
        delivery: 'newest',
        openTimeoutMs,
        readTimeoutMs: freezeAfterMs,
        ...(options.maxFps === undefined ? {} : { maxFps: options.maxFps }),
      });
      const usual = await captureOf(spec);
      const smaller = 'mode' in spec ? smallerMode(spec.mode) : null;
      const small =
        smaller === null || !('mode' in spec) ? usual : await captureOf({ ...spec, mode: smaller });
      const label = redactSource(options.source);
      return new LiveSource(
        { camera, label, freezeAfterMs, backoff: DEFAULT_BACKOFF, reducible: small !== usual },
        {
          createStream: (share) => new Capture(share < 1 ? small : usual),
          logger,
          pause,
          random: deps.random ?? Math.random,
          explain: (error) => reasonOf(spec) ?? error,
        },
      );
    }
  }
}

/** What can be seen from outside of why a camera fails. */
function reasonOf(spec: LiveSpec): FacedError | null {
  if (spec.kind === 'v4l2') return deviceProblem(spec.device);
  return spec.kind === 'gstreamer' ? senderProblem(spec.pipeline) : null;
}

type LiveSpec = Extract<SourceSpec, { kind: 'v4l2' | 'csi' | 'rtsp' | 'gstreamer' }>;

async function deviceOf(
  spec: LiveSpec,
): Promise<Pick<CaptureOptions, 'uri' | 'api' | 'width' | 'height' | 'fps' | 'fourcc'>> {
  switch (spec.kind) {
    case 'v4l2': {
      const fourcc = spec.fourcc === undefined ? {} : { fourcc: spec.fourcc };
      return { uri: spec.device, api: 'v4l2', ...spec.mode, ...fourcc };
    }
    case 'csi': {
      const model = await readFile('/proc/device-tree/model', 'latin1').catch(() => '');
      return { uri: csiPipeline(boardOf(model), spec.index, spec.mode), api: 'gstreamer' };
    }
    case 'rtsp':
      return { uri: spec.uri, api: 'ffmpeg' };
    case 'gstreamer':
      return { uri: completePipeline(spec.pipeline), api: 'gstreamer' };
  }
}

async function pauseOf(ms: number, signal: AbortSignal): Promise<void> {
  try {
    await delay(ms, undefined, { signal });
  } catch {
    // Aborted: whoever waits looks at the signal.
  }
}
