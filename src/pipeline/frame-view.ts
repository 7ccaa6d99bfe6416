import { channels, type Frame, type Image } from '../domain/frame.js';
import { createImage, resizeInto, rotateInto, toGrayInto, type WritableImage } from '../image/index.js';
import { THUMBNAIL_HEIGHT, THUMBNAIL_WIDTH } from './motion.js';
import { type CameraView, maskedRuns, paintMasks } from './view.js';

/** A camera's frames as they are to be looked at: upright, masks painted over. Buffers are made once for a frame size. */
export class FrameView {
  readonly #view: CameraView;
  readonly #colours: WritableImage = createImage(THUMBNAIL_WIDTH, THUMBNAIL_HEIGHT, 'bgr24');
  readonly #greys: WritableImage = createImage(THUMBNAIL_WIDTH, THUMBNAIL_HEIGHT, 'gray8');
  #upright: WritableImage | undefined;
  #runs: { width: number; height: number; runs: Uint32Array } | undefined;

  constructor(view: CameraView) {
    this.#view = view;
  }

  /** Valid as long as the frame is. Masks are painted into the frame itself, so that nothing after it sees what they hide. */
  prepare(frame: Frame): Image {
    const image = this.#rotated(frame);
    if ((this.#view.masks ?? []).length > 0) {
      paintMasks(image.data, this.#runsFor(image), channels(image.format));
    }
    return image;
  }

  /** Grey, for the motion gate; valid until the next call. */
  thumbnail(image: Image): Uint8Array {
    const same = image.format === 'gray8';
    resizeInto(image, same ? this.#greys : this.#colours, { interpolation: 'area' });
    if (!same) toGrayInto(this.#colours, this.#greys);
    return this.#greys.data;
  }

  #rotated(frame: Frame): Image {
    const rotation = this.#view.rotation ?? 0;
    if (rotation === 0) return frame;
    const [width, height] = rotation === 180 ? [frame.width, frame.height] : [frame.height, frame.width];
    let target = this.#upright;
    if (target?.width !== width || target.height !== height || target.format !== frame.format) {
      target = createImage(width, height, frame.format);
      this.#upright = target;
    }
    rotateInto(frame, target, rotation);
    return target;
  }

  #runsFor({ width, height }: Image): Uint32Array {
    if (this.#runs?.width !== width || this.#runs.height !== height) {
      this.#runs = { width, height, runs: maskedRuns(this.#view.masks ?? [], width, height) };
    }
    return this.#runs.runs;
  }
}
