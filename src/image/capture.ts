import { FacedError } from '../domain/errors.js';
import type { Image, Instant } from '../domain/frame.js';
import { type NativeCapture, type NativeStatus, native } from './native.js';

export interface CaptureOptions {
  /** What the backend opens: a path, a URI, a device or a pipeline. It may hold a password: it is never logged. */
  readonly uri: string;
  readonly api: 'any' | 'ffmpeg' | 'gstreamer' | 'v4l2';
  /**
   * `newest`: a frame that nobody took is replaced by the next and counted as dropped. `every`: all frames in order,
   * the reader sets the pace. `paced`: like newest, but each frame waits for its time in the clip.
   */
  readonly delivery: 'newest' | 'every' | 'paced';
  readonly openTimeoutMs: number;
  /** For FFmpeg: a read that takes longer ends the stream. */
  readonly readTimeoutMs: number;
  /** Frames above this rate are dropped before they are decoded. */
  readonly maxFps?: number;
  /** Wishes: a device may answer with another size or rate. */
  readonly width?: number;
  readonly height?: number;
  readonly fps?: number;
  /** Four characters, like MJPG. */
  readonly fourcc?: string;
}

export interface CapturedFrame {
  readonly width: number;
  readonly height: number;
  /** Counts what the device delivered since it was opened, from 1; a gap is a dropped frame. */
  readonly seq: number;
  readonly capturedAt: Instant;
  /** Place in the clip, milliseconds, where every frame is delivered and the reader sets the pace. */
  readonly mediaMs?: number;
}

export interface WaitOptions {
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
}

/** How long {@link Capture.stop} waits for a driver before it leaves the thread behind. */
const STOP_PATIENCE_MS = 2000;

/**
 * A camera, stream or clip on a native thread of its own: nothing here blocks the event loop, whatever the driver does.
 * One reader at a time. The event loop is held until {@link stop} was called.
 */
export class Capture {
  readonly #options: CaptureOptions;
  #native: NativeCapture | undefined;
  #closed = false;
  readonly #waiters = new Set<() => void>();

  constructor(options: CaptureOptions) {
    this.#options = options;
  }

  /** Rejects with `source.open-failed` when it fails, or is not open in time, or `signal` aborts; it is stopped then. */
  async open(signal: AbortSignal): Promise<void> {
    try {
      await this.#open(signal);
    } catch (error) {
      await this.stop();
      throw error;
    }
  }

  async #open(signal: AbortSignal): Promise<void> {
    const capture = new (native().Capture)(this.#options, () => this.#wake());
    this.#native = capture;
    const wait = { timeoutMs: this.#options.openTimeoutMs, signal };
    const status = await this.#until((now) => now.state !== 'opening', wait);
    if (status === 'timeout') throw openFailed(`it did not open in ${this.#options.openTimeoutMs} ms`);
    if (status === 'aborted') throw openFailed('it was stopped while it opened');
    if (status.state === 'failed') throw openFailed(status.problem);
  }

  /**
   * The newest (or next) frame that was not taken before; its bytes come with {@link readInto}. Null at the end of the
   * stream or after stop(). Rejects with `source.frozen` when none came in time, `source.failed` when the driver gave up.
   */
  async next(wait: WaitOptions): Promise<CapturedFrame | null> {
    const status = await this.#until((now) => now.frameWaits || now.state !== 'open', wait);
    if (status === 'aborted' || this.#native === undefined) return null;
    if (status === 'timeout') {
      throw new FacedError('source.frozen', `no frame came for ${wait.timeoutMs} ms`);
    }
    const taken = this.#native.take();
    if (taken !== null) {
      const { width, height, seq, monotonicMs, wallMs, mediaMs } = taken;
      const media = mediaMs < 0 ? {} : { mediaMs };
      return { width, height, seq, capturedAt: { monotonicMs, wallMs }, ...media };
    }
    if (status.state === 'failed') throw new FacedError('source.failed', status.problem);
    return null;
  }

  /** Copy the frame that was taken last into memory of the caller: bgr24 of the frame's size. */
  readInto(target: Image): void {
    if (this.#native === undefined) throw new Error('the capture is not open');
    this.#native.readInto(target);
  }

  /** Frames delivered and dropped since it was opened. */
  get counts(): { received: number; dropped: number } {
    const { received = 0, dropped = 0 } = this.#native?.status() ?? {};
    return { received, dropped };
  }

  /** True when the native thread has let go of the device (or never had it). */
  get released(): boolean {
    return this.#native?.status().done ?? true;
  }

  /** Resolves when the device is free, or after two seconds, whatever the driver does. May be called again. */
  async stop(): Promise<void> {
    const capture = this.#native;
    if (capture === undefined || this.#closed) return;
    capture.stop();
    this.#wake();
    const wait = { timeoutMs: STOP_PATIENCE_MS, signal: new AbortController().signal };
    await this.#until((now) => now.done, wait);
    this.#closed = true;
    capture.close();
  }

  #wake(): void {
    const waiters = [...this.#waiters];
    this.#waiters.clear();
    for (const wake of waiters) wake();
  }

  async #until(
    condition: (status: NativeStatus) => boolean,
    { timeoutMs, signal }: WaitOptions,
  ): Promise<NativeStatus | 'timeout' | 'aborted'> {
    const capture = this.#native;
    if (capture === undefined) throw new Error('the capture is not open');
    let late = false;
    const expire = () => {
      late = true;
      this.#wake();
    };
    const abort = () => this.#wake();
    let timer: NodeJS.Timeout | undefined;
    signal.addEventListener('abort', abort);
    try {
      for (;;) {
        const status = capture.status();
        if (condition(status)) return status;
        if (signal.aborted) return 'aborted';
        if (late) return 'timeout';
        timer ??= setTimeout(expire, timeoutMs);
        await new Promise<void>((resolve) => this.#waiters.add(resolve));
      }
    } finally {
      clearTimeout(timer);
      signal.removeEventListener('abort', abort);
    }
  }
}

function openFailed(reason: string): FacedError {
  return new FacedError('source.open-failed', reason);
}
