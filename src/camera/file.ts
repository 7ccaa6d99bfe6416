import { access, constants } from 'node:fs/promises';
import { resolve } from 'node:path';
import { FacedError } from '../domain/errors.js';
import type { Frame } from '../domain/frame.js';
import { Capture, createImage, type WritableImage } from '../image/index.js';
import type { Logger } from '../lib/log.js';
import type { FrameSource, SourceStats } from '../pipeline/ports.js';

export interface FileOptions {
  readonly camera: string;
  readonly path: string;
  /** `fast`: every frame, as quickly as the reader takes them. `real`: the clip's own pace, newest frame wins. */
  readonly pace: 'fast' | 'real';
  readonly openTimeoutMs: number;
  /** A read that takes longer ends the clip (a disk that hangs). */
  readonly readTimeoutMs: number;
}

/** A video file. It ends with its last frame that can be read. */
export class FileSource implements FrameSource {
  readonly camera: string;
  readonly #options: FileOptions;
  readonly #logger: Logger;
  readonly #stopping = new AbortController();
  #capture: Capture | undefined;
  #buffer: WritableImage = createImage(1, 1, 'bgr24');
  #state: SourceStats['state'] = 'opening';
  #problem: FacedError | null = null;

  constructor(options: FileOptions, logger: Logger) {
    this.camera = options.camera;
    this.#options = options;
    this.#logger = logger;
  }

  /** Rejects with `source.open-failed` when the file is not there or is no video. */
  async start(signal: AbortSignal): Promise<void> {
    if (signal.aborted) return this.stop();
    signal.addEventListener('abort', () => this.#stopping.abort(), { signal: this.#stopping.signal });
    const { path, pace, openTimeoutMs, readTimeoutMs } = this.#options;
    // An absolute path cannot be taken for one of FFmpeg's protocols.
    const uri = resolve(path);
    try {
      await access(uri, constants.R_OK);
    } catch (cause) {
      throw new FacedError('source.open-failed', `The clip ${path} cannot be read.`, {
        fix: 'Check the path and its permissions.',
        cause,
      });
    }
    const delivery = pace === 'fast' ? 'every' : 'paced';
    this.#capture = new Capture({ uri, api: 'ffmpeg', delivery, openTimeoutMs, readTimeoutMs });
    try {
      await this.#capture.open(this.#stopping.signal);
    } catch (cause) {
      await this.#capture.stop();
      if (this.#stopping.signal.aborted) return;
      if (cause instanceof FacedError && cause.code === 'native.missing') throw cause;
      throw new FacedError('source.open-failed', `The clip ${path} cannot be opened as a video.`, {
        fix: 'Use a file that ffprobe can read, for example AVI, MP4 or MKV.',
        cause,
      });
    }
    this.#state = 'open';
  }

  async next(): Promise<Frame | null> {
    const capture = this.#capture;
    if (capture === undefined || this.#state !== 'open') return null;
    const { signal } = this.#stopping;
    try {
      const taken = await capture.next({ timeoutMs: this.#options.readTimeoutMs, signal });
      if (taken !== null) {
        const { width, height, seq, capturedAt, mediaMs } = taken;
        if (this.#buffer.width !== width || this.#buffer.height !== height) {
          this.#buffer = createImage(width, height, 'bgr24');
        }
        capture.readInto(this.#buffer);
        const media = mediaMs === undefined ? {} : { mediaMs };
        return { ...this.#buffer, camera: this.camera, seq, capturedAt, still: false, ...media };
      }
    } catch (error) {
      const { code, message: reason } = FacedError.from(error);
      this.#problem = FacedError.from(error);
      this.#logger.warn({ camera: this.camera, code, reason }, 'the clip ended early');
    }
    this.#state = signal.aborted ? 'stopped' : 'ended';
    await capture.stop();
    return null;
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#capture?.stop();
    if (this.#state !== 'ended') this.#state = 'stopped';
  }

  stats(): SourceStats {
    const { received, dropped } = this.#capture?.counts ?? { received: 0, dropped: 0 };
    const { message: problem = null, code: problemCode = null } = this.#problem ?? {};
    return { state: this.#state, received, dropped, reopened: 0, problem, problemCode };
  }
}
