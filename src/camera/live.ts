import { FacedError } from '../domain/errors.js';
import type { Frame } from '../domain/frame.js';
import type { CapturedFrame, WaitOptions, WritableImage } from '../image/index.js';
import { createImage } from '../image/index.js';
import type { Logger } from '../lib/log.js';
import type { FrameSource, SourceStats } from '../pipeline/ports.js';
import { type BackoffOptions, pauseBefore } from './backoff.js';

/** What a live source opens, again and again; the Capture of src/image/ is one. */
export interface Stream {
  open(signal: AbortSignal): Promise<void>;
  next(wait: WaitOptions): Promise<CapturedFrame | null>;
  readInto(target: WritableImage): void;
  readonly counts: { readonly received: number; readonly dropped: number };
  /** False while a driver still holds the device after stop(). */
  readonly released: boolean;
  stop(): Promise<void>;
}

export interface LiveOptions {
  readonly camera: string;
  /** For people and logs: without passwords. */
  readonly label: string;
  readonly freezeAfterMs: number;
  readonly backoff: BackoffOptions;
  /** The camera can be asked for smaller frames. Default false. */
  readonly reducible?: boolean;
}

export interface LiveDeps {
  /** @param share of the usual frame's sides; less than 1 only where {@link LiveOptions.reducible} */
  readonly createStream: (share: number) => Stream;
  readonly logger: Logger;
  /** Waits; ends early, without an error, when the signal aborts. */
  readonly pause: (ms: number, signal: AbortSignal) => Promise<void>;
  /** 0 to 1, for jitter. */
  readonly random: () => number;
  /** Says better why a stream failed, where it can: OpenCV tells only that it did. */
  readonly explain?: (error: FacedError) => FacedError;
}

/** A driver that never came back keeps a thread and perhaps the device. More than this and only a restart helps. */
const MOST_STUCK = 3;
/** After so many frames in a row the camera counts as well again, and the pauses begin small. */
const STEADY_FRAMES = 100;

/**
 * A camera that is meant to run for years: when it fails, freezes or sends garbage it is closed and opened again with
 * growing pauses. An outage is said once when it begins and once when it is over.
 */
export class LiveSource implements FrameSource {
  readonly camera: string;
  readonly #options: LiveOptions;
  readonly #deps: LiveDeps;
  readonly #stopping = new AbortController();
  #stream: Stream | undefined;
  #stuck: Stream[] = [];
  #buffer: WritableImage = createImage(1, 1, 'bgr24');
  #state: SourceStats['state'] = 'opening';
  #problem: FacedError | null = null;
  #closed = { received: 0, dropped: 0 };
  #lastSeq = 0;
  #seqBefore = 0;
  #opened = 0;
  #failures = 0;
  #steady = 0;
  /** Of the usual frame's sides: what is wanted, and what the open stream was asked for. */
  #share = 1;
  #openShare = 1;
  #reducible: boolean;
  /** The usual frame's width, as it came; null: none came yet. */
  #fullWidth: number | null = null;
  /** The open stream has given a frame. */
  #gave = false;

  constructor(options: LiveOptions, deps: LiveDeps) {
    this.camera = options.camera;
    this.#options = options;
    this.#deps = deps;
    this.#reducible = options.reducible ?? false;
  }

  /** The camera is opened anew for it, which costs about a second without frames. */
  resize(share: number): void {
    if (this.#reducible) this.#share = share;
  }

  async start(signal: AbortSignal): Promise<void> {
    if (signal.aborted) return this.stop();
    signal.addEventListener('abort', () => void this.stop(), { once: true });
  }

  async next(): Promise<Frame | null> {
    const { signal } = this.#stopping;
    while (!signal.aborted) {
      try {
        if (this.#stream !== undefined && this.#openShare !== this.#share) await this.#close();
        const stream = this.#stream ?? (await this.#open());
        const taken = await stream.next({ timeoutMs: this.#options.freezeAfterMs, signal });
        if (taken !== null) return this.#read(stream, taken);
        if (!signal.aborted) throw new FacedError('source.failed', 'the stream ended');
      } catch (error) {
        if (!signal.aborted && !(await this.#backToFull(error))) await this.#recover(error);
      }
    }
    this.#state = 'stopped';
    return null;
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#close();
    this.#state = 'stopped';
  }

  stats(): SourceStats {
    const counts = this.#stream?.counts ?? { received: 0, dropped: 0 };
    return {
      state: this.#state,
      received: this.#closed.received + counts.received,
      dropped: this.#closed.dropped + counts.dropped,
      reopened: Math.max(0, this.#opened - 1),
      problem: this.#problem?.message ?? null,
      problemCode: this.#problem?.code ?? null,
    };
  }

  async #open(): Promise<Stream> {
    this.#stuck = this.#stuck.filter((stream) => !stream.released);
    if (this.#stuck.length >= MOST_STUCK) {
      throw new FacedError('source.open-failed', 'its driver hangs and does not let go of the device');
    }
    const resized = this.#state === 'open';
    if (!resized) this.#state = 'opening';
    this.#openShare = this.#share;
    this.#gave = false;
    const stream = this.#deps.createStream(this.#share);
    this.#stream = stream;
    await stream.open(this.#stopping.signal);
    if (!resized) this.#opened++;
    this.#seqBefore = this.#lastSeq;
    this.#steady = 0;
    return stream;
  }

  #read(stream: Stream, taken: CapturedFrame): Frame {
    const { width, height } = taken;
    if (this.#buffer.width !== width || this.#buffer.height !== height) {
      this.#buffer = createImage(width, height, 'bgr24');
    }
    stream.readInto(this.#buffer);
    this.#recovered();
    this.#gave = true;
    if (this.#openShare === 1) this.#fullWidth = width;
    const reduced =
      this.#openShare === 1 || this.#fullWidth === null
        ? this.#openShare
        : Math.min(1, width / this.#fullWidth);
    this.#lastSeq = this.#seqBefore + taken.seq;
    return {
      ...this.#buffer,
      camera: this.camera,
      seq: this.#lastSeq,
      capturedAt: taken.capturedAt,
      still: false,
      ...(reduced < 1 ? { reduced } : {}),
    };
  }

  /** A camera that gives nothing when it is asked for less is not asked again. */
  async #backToFull(thrown: unknown): Promise<boolean> {
    if (this.#openShare === 1 || this.#gave) return false;
    this.#reducible = false;
    this.#share = 1;
    const reason = FacedError.from(thrown).message;
    this.#deps.logger.info({ camera: this.camera, reason }, 'the camera gives no smaller frames');
    await this.#close();
    return true;
  }

  #recovered(): void {
    this.#state = 'open';
    if (this.#problem !== null) {
      this.#deps.logger.info({ camera: this.camera }, 'the camera is back');
      this.#problem = null;
    }
    if (++this.#steady >= STEADY_FRAMES) this.#failures = 0;
  }

  async #recover(thrown: unknown): Promise<void> {
    const error = this.#deps.explain?.(FacedError.from(thrown)) ?? FacedError.from(thrown);
    if (this.#problem === null) {
      const { label: source } = this.#options;
      const { code, message: reason, fix } = error;
      this.#deps.logger.warn(
        { camera: this.camera, source, code, reason, fix },
        'the camera is lost; trying again',
      );
    }
    this.#problem = error;
    this.#state = 'waiting';
    await this.#close();
    this.#failures++;
    const pause = pauseBefore(this.#failures, this.#options.backoff, this.#deps.random());
    await this.#deps.pause(pause, this.#stopping.signal);
  }

  async #close(): Promise<void> {
    const stream = this.#stream;
    if (stream === undefined) return;
    this.#stream = undefined;
    const { received, dropped } = stream.counts;
    this.#closed = { received: this.#closed.received + received, dropped: this.#closed.dropped + dropped };
    await stream.stop();
    if (!stream.released) this.#stuck.push(stream);
  }
}
