import { readdir, readFile, stat } from 'node:fs/promises';
import { extname, join } from 'node:path';
import { FacedError } from '../domain/errors.js';
import type { Frame, Image } from '../domain/frame.js';
import { createImage, decode, resizeInto } from '../image/index.js';
import type { Clock } from '../lib/clock.js';
import type { Logger } from '../lib/log.js';
import type { FrameSource, SourceStats } from '../pipeline/ports.js';

export interface ImagesOptions {
  readonly camera: string;
  readonly folder: string;
  /** A picture with a longer side is scaled down to it. */
  readonly maxSide: number;
}

const SUFFIXES = new Set(['.jpg', '.jpeg', '.png', '.webp', '.bmp', '.gif', '.tif', '.tiff']);
/** As decode() has it; asked here so that a huge file is not even read. */
const MAX_BYTES = 64 * 2 ** 20;

/** The pictures of one folder, in the order of their names; each is a still that has nothing to do with the one before. */
export class ImagesSource implements FrameSource {
  readonly camera: string;
  readonly #options: ImagesOptions;
  readonly #clock: Clock;
  readonly #logger: Logger;
  #names: readonly string[] = [];
  #at = 0;
  #given = 0;
  #unreadable = 0;
  #state: SourceStats['state'] = 'opening';

  constructor(options: ImagesOptions, { clock, logger }: { clock: Clock; logger: Logger }) {
    this.camera = options.camera;
    this.#options = options;
    this.#clock = clock;
    this.#logger = logger;
  }

  /** Rejects with `source.open-failed` when the folder cannot be read or holds no picture. */
  async start(signal: AbortSignal): Promise<void> {
    if (signal.aborted) return this.stop();
    signal.addEventListener('abort', () => this.stop(), { once: true });
    const { folder } = this.#options;
    const entries = await readdir(folder, { withFileTypes: true }).catch((cause: unknown) => {
      throw new FacedError('source.open-failed', `The folder ${folder} cannot be read.`, {
        fix: 'Check the path and its permissions.',
        cause,
      });
    });
    this.#names = entries
      .filter((entry) => !entry.isDirectory() && SUFFIXES.has(extname(entry.name).toLowerCase()))
      .map((entry) => entry.name)
      .sort();
    if (this.#names.length === 0) {
      throw new FacedError('source.open-failed', `The folder ${folder} holds no picture.`, {
        fix: `Put files into it that end in ${[...SUFFIXES].join(', ')}.`,
      });
    }
    if (this.#state === 'opening') this.#state = 'open';
  }

  async next(): Promise<Frame | null> {
    while (this.#state === 'open') {
      const name = this.#names[this.#at++];
      if (name === undefined) {
        this.#state = 'ended';
        if (this.#unreadable > 1) {
          const details = { camera: this.camera, unreadable: this.#unreadable, given: this.#given };
          this.#logger.info(details, 'the folder ended');
        }
        return null;
      }
      const image = await this.#read(name);
      if (image === null) continue;
      this.#given++;
      const capturedAt = { monotonicMs: this.#clock.monotonic(), wallMs: this.#clock.wall() };
      return { ...image, camera: this.camera, seq: this.#at, capturedAt, still: true };
    }
    return null;
  }

  async stop(): Promise<void> {
    if (this.#state !== 'ended') this.#state = 'stopped';
  }

  stats(): SourceStats {
    const problem = this.#unreadable === 0 ? null : `${this.#unreadable} unreadable files were left out`;
    const problemCode = problem === null ? null : 'image.unreadable';
    return { state: this.#state, received: this.#given, dropped: 0, reopened: 0, problem, problemCode };
  }

  async #read(name: string): Promise<Image | null> {
    const path = join(this.#options.folder, name);
    try {
      const { size } = await stat(path);
      if (size > MAX_BYTES) throw new FacedError('image.too-large', `The file has ${size} bytes.`);
      return fit(decode(await readFile(path)), this.#options.maxSide);
    } catch (error) {
      if (error instanceof FacedError && error.code === 'native.missing') throw error;
      this.#unreadable++;
      if (this.#unreadable === 1) {
        const reason = error instanceof Error ? error.message : String(error);
        // File names may be people's names: at debug only.
        this.#logger.debug({ path }, 'unreadable picture');
        this.#logger.warn(
          { camera: this.camera, reason },
          'a picture is left out; further ones are only counted',
        );
      }
      return null;
    }
  }
}

function fit(image: Image, maxSide: number): Image {
  const scale = maxSide / Math.max(image.width, image.height);
  if (scale >= 1) return image;
  const side = (length: number) => Math.max(1, Math.round(length * scale));
  const target = createImage(side(image.width), side(image.height), image.format);
  resizeInto(image, target, { interpolation: 'area' });
  return target;
}
