import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { FacedError } from '../domain/errors.js';
import type { Image } from '../domain/frame.js';
import { createImage, decode, resizeInto } from '../image/index.js';
import type { Logger } from '../lib/log.js';
import { FileSource } from './file.js';

/** As much of a clip as is looked at, and the rate that a folder of pictures is taken to have. */
const MAX_CLIP_MS = 60_000;
const FOLDER_FPS = 15;
const OPEN_TIMEOUT_MS = 10_000;
/** Of a picture, pixels: a camera at a door gives no more, and a face in a larger one is no surer. */
const MAX_SIDE = 1280;
const PICTURE = /\.(jpe?g|png|webp|bmp|gif|tiff?|pgm|ppm)$/i;

export interface ClipFrame {
  /** Valid until the next one is asked for. */
  readonly image: Image;
  /** On the clip's own clock, rising. */
  readonly ms: number;
}

export interface ClipOptions {
  readonly log: Logger;
  readonly signal: AbortSignal;
  /** A picture of a folder cannot be read, and is left out. */
  readonly onLeftOut?: (error: unknown) => void;
}

/**
 * The frames of a video file, of a folder of pictures in the order of their names (numbers by value), or the one frame of
 * a picture; at most a minute of them. A folder's broken pictures are left out, as long as more of them can be read.
 * @throws FacedError `usage.not-found`, `source.open-failed`, `source.failed` (no frame), `image.*`
 */
export async function* readClip(
  path: string,
  { log, signal, onLeftOut }: ClipOptions,
): AsyncGenerator<ClipFrame> {
  const found = await stat(path).catch((cause: unknown) => {
    throw new FacedError('usage.not-found', `${path} cannot be read`, { cause });
  });
  if (found.isDirectory()) yield* folder(path, { signal, onLeftOut });
  else if (PICTURE.test(path)) yield { image: fit(await picture(path)), ms: 0 };
  else yield* film(path, log, signal);
}

async function* folder(
  path: string,
  { signal, onLeftOut }: { signal: AbortSignal; onLeftOut: ClipOptions['onLeftOut'] | undefined },
): AsyncGenerator<ClipFrame> {
  const byNumber = new Intl.Collator('en', { numeric: true });
  const names = (await readdir(path)).filter((name) => PICTURE.test(name)).sort(byNumber.compare);
  if (names.length === 0) throw new FacedError('source.open-failed', `the folder ${path} holds no picture`);
  let read = 0;
  const broken: unknown[] = [];
  for (const [at, name] of names.entries()) {
    signal.throwIfAborted();
    const ms = (at * 1000) / FOLDER_FPS;
    if (ms > MAX_CLIP_MS) break;
    const image = await picture(join(path, name)).catch((error: unknown) => {
      broken.push(error);
      onLeftOut?.(error);
      return null;
    });
    if (image === null) continue;
    read++;
    yield { image: fit(image), ms };
  }
  if (broken.length >= read) throw broken[0];
}

async function* film(path: string, log: Logger, signal: AbortSignal): AsyncGenerator<ClipFrame> {
  const timeouts = { openTimeoutMs: OPEN_TIMEOUT_MS, readTimeoutMs: OPEN_TIMEOUT_MS };
  const source = new FileSource({ camera: 'clip', path, pace: 'fast', ...timeouts }, log);
  const clock = new ClipClock();
  let frames = 0;
  try {
    await source.start(signal);
    for (let frame = await source.next(); frame !== null; frame = await source.next()) {
      const ms = clock.at(frame.mediaMs);
      if (ms > MAX_CLIP_MS) break;
      yield { image: fit(frame), ms };
      frames++;
    }
  } finally {
    await source.stop();
  }
  signal.throwIfAborted();
  if (frames === 0) throw new FacedError('source.failed', `the clip ${path} holds no frame that can be read`);
}

async function picture(path: string): Promise<Image> {
  try {
    return decode(await readFile(path));
  } catch (cause) {
    if (cause instanceof FacedError) throw cause;
    throw new FacedError('usage.not-found', `${path} cannot be read`, { cause });
  }
}

function fit(image: Image): Image {
  const scale = MAX_SIDE / Math.max(image.width, image.height);
  if (scale >= 1) return image;
  const side = (length: number) => Math.max(1, Math.round(length * scale));
  const target = createImage(side(image.width), side(image.height), image.format);
  resizeInto(image, target, { interpolation: 'area' });
  return target;
}

/** A film's own clock; where a file gives none, or one that stands still, frames are taken to be this far apart. */
export class ClipClock {
  readonly #stepMs: number;
  #lastMs: number | undefined;

  constructor(stepMs = 40) {
    this.#stepMs = stepMs;
  }

  at(mediaMs: number | undefined): number {
    const last = this.#lastMs;
    const next = last === undefined ? 0 : last + this.#stepMs;
    const now = mediaMs !== undefined && (last === undefined || mediaMs > last) ? mediaMs : next;
    this.#lastMs = now;
    return now;
  }
}
