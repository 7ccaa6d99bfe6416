import type { Box } from '../domain/face.js';
import type { Image } from '../domain/frame.js';
import {
  createImage,
  drawBox,
  encodeJpeg,
  resizeInto,
  toBgrInto,
  type WritableImage,
} from '../image/index.js';
import type { ViewedFace, VisionEvents } from './ports.js';

export interface LiveViewParts {
  readonly camera: string;
  readonly onViewed: (view: VisionEvents['viewed']) => void;
  readonly now?: () => number;
}

/** What stands beside a box. */
export interface Label {
  readonly track: string;
  readonly text: string;
  readonly tone: 'known' | 'unknown' | 'spoof';
}

/** Wider pictures are made smaller: a telephone shows no more, and a JPEG costs by its pixels. */
const MOST_WIDTH = 640;
const QUALITY = 75;
const MOST_LABELS = 64;
/** BGR. */
const COLOURS = {
  known: [90, 200, 60],
  unknown: [40, 190, 240],
  spoof: [60, 60, 230],
  undecided: [235, 235, 235],
} as const;

interface Seen {
  readonly track: string;
  readonly box: Box;
}

/**
 * A camera's picture for people who watch, with boxes and names drawn in. Encoded once, however many watch, and not at
 * all when nobody does: who watches has to say so every few seconds.
 */
export class LiveView {
  readonly #parts: LiveViewParts;
  readonly #now: () => number;
  readonly #labels = new Map<string, Label>();
  #until = Number.NEGATIVE_INFINITY;
  #intervalMs = 100;
  #shownAt = Number.NEGATIVE_INFINITY;
  #off = false;
  #canvas: WritableImage | undefined;
  #colour: WritableImage | undefined;

  constructor(parts: LiveViewParts) {
    this.#parts = parts;
    this.#now = parts.now ?? (() => performance.now());
  }

  /** Somebody watches, for so long unless it is said again. */
  watch({ forMs, fps }: { forMs: number; fps: number }): void {
    this.#until = this.#now() + forMs;
    this.#intervalMs = 1000 / fps;
  }

  /** Off: nothing is shown whoever watches, and the pictures it is made in are given back. */
  set off(off: boolean) {
    this.#off = off;
    if (!off) return;
    this.#canvas = undefined;
    this.#colour = undefined;
  }

  label(label: Label): void {
    this.#labels.delete(label.track);
    this.#labels.set(label.track, label);
    const [oldest] = this.#labels.keys();
    if (this.#labels.size > MOST_LABELS && oldest !== undefined) this.#labels.delete(oldest);
  }

  /** A frame that was looked at; changes nothing in it. Answers whether it was due. */
  show(image: Image, faces: readonly Seen[]): boolean {
    const now = this.#now();
    // A little early counts as due: a camera's jitter must not halve the rate.
    if (this.#off || now > this.#until || now - this.#shownAt < this.#intervalMs * 0.9) return false;
    this.#shownAt = now;
    const canvas = this.#drawn(image);
    const scale = canvas.width / image.width;
    const viewed = faces.map(({ track, box }): ViewedFace => {
      const label = this.#labels.get(track);
      const scaled = {
        ...{ x: Math.round(box.x * scale), y: Math.round(box.y * scale) },
        ...{ width: Math.round(box.width * scale), height: Math.round(box.height * scale) },
      };
      drawBox(canvas, scaled, {
        colour: COLOURS[label?.tone ?? 'undecided'],
        text: latin(label?.text ?? ''),
      });
      return { track, box: [scaled.x, scaled.y, scaled.width, scaled.height] };
    });
    this.#parts.onViewed({
      camera: this.#parts.camera,
      jpeg: encodeJpeg(canvas, QUALITY),
      frame: [canvas.width, canvas.height],
      faces: viewed,
    });
    return true;
  }

  /** A copy of our own: what is drawn must not be seen by the detector. */
  #drawn(image: Image): WritableImage {
    const shrink = Math.min(1, MOST_WIDTH / image.width);
    const [width, height] = [
      Math.round(image.width * shrink),
      Math.max(1, Math.round(image.height * shrink)),
    ];
    if (this.#canvas?.width !== width || this.#canvas.height !== height)
      this.#canvas = createImage(width, height, 'bgr24');
    const source = image.format === 'bgr24' ? image : this.#coloured(image);
    if (shrink === 1) this.#canvas.data.set(source.data);
    else resizeInto(source, this.#canvas, { interpolation: 'area' });
    return this.#canvas;
  }

  #coloured(image: Image): WritableImage {
    if (this.#colour?.width !== image.width || this.#colour.height !== image.height)
      this.#colour = createImage(image.width, image.height, 'bgr24');
    toBgrInto(image, this.#colour);
    return this.#colour;
  }
}

/** OpenCV draws ASCII only: accents go, and a name in other letters is left to the page, which writes it itself. */
function latin(text: string): string {
  const plain = text.normalize('NFD').replace(/\p{Diacritic}/gu, '');
  return /^[\x20-\x7e]*$/.test(plain) ? plain.slice(0, 40) : '';
}
