import { channels, type Image } from '../domain/frame.js';

/** Order of the colours in a network's input. */
export type ChannelOrder = 'rgb' | 'bgr' | 'grey';

export interface TensorSpec {
  readonly order: ChannelOrder;
  /** CHW (planes) or HWC (pixels). */
  readonly layout: 'nchw' | 'nhwc';
  /** Subtracted from each pixel (0 to 255); one number, or one for each channel in the input's own order. */
  readonly mean: number | readonly number[];
  /** Multiplied after that; one number, or one for each channel in the input's own order. */
  readonly scale: number | readonly number[];
}

export interface TensorPlace {
  /** First element to write, for the nth picture of a batch. */
  readonly offset?: number;
  /** Left and right exchanged. */
  readonly mirror?: boolean;
  /** The part of the image to take, whole pixels inside it; all of it when left out. */
  readonly window?: {
    readonly x: number;
    readonly y: number;
    readonly width: number;
    readonly height: number;
  };
}

/** Number of channels that an input of this order has. */
export function depth(order: ChannelOrder): 1 | 3 {
  return order === 'grey' ? 1 : 3;
}

/**
 * Write `(pixel - mean) * scale` for every pixel of `image` into the caller's `target`; a target of bytes gets the
 * pixels as they are, row by row, blue first or grey, for networks that hold order and normalisation themselves.
 * A grey image fills all three channels of a colour input; a colour image becomes grey by ITU-R BT.601.
 */
export function fillTensor(
  image: Image,
  target: Float32Array | Uint8Array,
  spec: TensorSpec,
  place: TensorPlace = {},
): void {
  if (target instanceof Uint8Array) {
    const order = spec.order === 'grey' ? 'grey' : 'bgr';
    fill(image, target, { order, layout: 'nhwc', mean: 0, scale: 1 }, place);
  } else fill(image, target, spec, place);
}

function fill(image: Image, target: Float32Array | Uint8Array, spec: TensorSpec, place: TensorPlace): void {
  const window = place.window ?? { x: 0, y: 0, width: image.width, height: image.height };
  const count = depth(spec.order);
  const pixels = window.width * window.height;
  const offset = place.offset ?? 0;
  if (offset + pixels * count > target.length) throw new RangeError('the tensor is smaller than the picture');
  const bytes = channels(image.format);
  const [planeStep, pixelStep] = spec.layout === 'nchw' ? [pixels, 1] : [1, count];
  for (let channel = 0; channel < count; channel++) {
    const mean = pick(spec.mean, channel);
    const scale = pick(spec.scale, channel);
    let out = offset + channel * planeStep;
    for (let row = 0; row < window.height; row++) {
      const start = ((window.y + row) * image.width + window.x) * bytes;
      let at = place.mirror ? start + (window.width - 1) * bytes : start;
      const step = place.mirror ? -bytes : bytes;
      const source = sourceChannel(spec.order, channel, bytes);
      for (let column = 0; column < window.width; column++) {
        const value = source < 0 ? grey(image.data, at) : (image.data[at + source] ?? 0);
        target[out] = (value - mean) * scale;
        out += pixelStep;
        at += step;
      }
    }
  }
}

/** Which byte of a pixel feeds the channel; -1 when it has to be mixed from three. */
function sourceChannel(order: ChannelOrder, channel: number, bytes: 1 | 3): number {
  if (bytes === 1) return 0;
  if (order === 'grey') return -1;
  return order === 'bgr' ? channel : 2 - channel;
}

function grey(data: Uint8Array, at: number): number {
  return Math.round(0.114 * (data[at] ?? 0) + 0.587 * (data[at + 1] ?? 0) + 0.299 * (data[at + 2] ?? 0));
}

function pick(value: number | readonly number[], channel: number): number {
  if (typeof value === 'number') return value;
  return value[channel] ?? value[0] ?? 0;
}
