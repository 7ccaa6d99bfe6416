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
  feed(image: Image, view: Box, target: Float32Array, offset = 0): void {
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
