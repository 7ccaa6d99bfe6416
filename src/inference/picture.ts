import type { Box } from '../domain/face.js';
import type { Image, PixelFormat } from '../domain/frame.js';
import { createImage, resizeInto, type WritableImage } from '../image/index.js';
import { darkRange, middleOf, stretch } from '../vision/light.js';
import { fillTensor } from '../vision/tensor.js';
import { inputSize, type ModelInput } from './card.js';

export interface FeederOptions {
  /** Stretch the grey levels of what is too dark: for finding faces and points, not for judging a picture. */
  readonly stretchDark?: boolean;
}

/** Pixels. A part that reaches beyond the picture is copied with grey around it; of a large picture that would be hundreds of megabytes. */
const MAX_CUT = 4_000_000;

/** Takes a part of a picture to the size of a network's input and writes it there; its buffers are made once. */
export class PictureFeeder {
  readonly width: number;
  readonly height: number;
  readonly #input: ModelInput;
  readonly #options: FeederOptions;
  readonly #stages = new Map<PixelFormat, WritableImage>();

  constructor(input: ModelInput, options: FeederOptions = {}) {
    const { width, height } = inputSize(input);
    this.width = width;
    this.height = height;
    this.#input = input;
    this.#options = options;
  }

  /** `view` in picture pixels; what lies outside the picture is grey. `offset` in elements of `target`. */
  feed(image: Image, view: Box, target: Float32Array | Uint8Array, offset = 0): void {
    const sticksOut =
      view.x < 0 || view.y < 0 || view.x + view.width > image.width || view.y + view.height > image.height;
    if (sticksOut && view.width * view.height > MAX_CUT) {
      const small = shrunk(image, Math.sqrt(MAX_CUT / 2 / (view.width * view.height)));
      const [x, y] = [small.width / image.width, small.height / image.height];
      const seen = { x: view.x * x, y: view.y * y, width: view.width * x, height: view.height * y };
      this.feed(small, seen, target, offset);
      return;
    }
    const stage = this.#stage(image.format);
    // Averaging pays off when several source pixels fall on one; between two sizes that are near it only blurs.
    const shrink = Math.min(view.width / this.width, view.height / this.height);
    const interpolation = shrink > 2 ? 'area' : 'linear';
    // The whole picture decides, not the view: what is grey around it must not count as light.
    const range = this.#options.stretchDark ? darkRange(image) : null;
    resizeInto(image, stage, {
      roi: view,
      interpolation,
      ...(range === null ? {} : { fill: middleOf(range) }),
    });
    if (range !== null) stretch(stage, range);
    fillTensor(stage, target, this.#input, { offset });
  }

  #stage(format: PixelFormat): WritableImage {
    const known = this.#stages.get(format);
    if (known !== undefined) return known;
    const made = createImage(this.width, this.height, format);
    this.#stages.set(format, made);
    return made;
  }
}

function shrunk(image: Image, scale: number): Image {
  const side = (length: number): number => Math.max(1, Math.round(length * scale));
  const small = createImage(side(image.width), side(image.height), image.format);
  resizeInto(image, small, { interpolation: 'area' });
  return small;
}
