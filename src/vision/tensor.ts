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
    if (channels(image.format) === depth(order) && place.mirror !== true) copyRows(image, target, place);
    else fill(image, target, { order, layout: 'nhwc', mean: 0, scale: 1 }, place);
  } else fill(image, target, spec, place);
}

/** Pixels that are already in the order of the target. */
function copyRows({ data, width, height, format }: Image, target: Uint8Array, place: TensorPlace): void {
  const window = place.window ?? { x: 0, y: 0, width, height };
  const bytes = channels(format);
  const offset = place.offset ?? 0;
  const length = window.width * bytes;
  assertFits(offset + length * window.height, target);
  for (let row = 0; row < window.height; row++) {
    const start = ((window.y + row) * width + window.x) * bytes;
    target.set(data.subarray(start, start + length), offset + row * length);
  }
}

function fill(image: Image, target: Float32Array | Uint8Array, spec: TensorSpec, place: TensorPlace): void {
  const window = place.window ?? { x: 0, y: 0, width: image.width, height: image.height };
  const count = depth(spec.order);
  const pixels = window.width * window.height;
  const offset = place.offset ?? 0;
  assertFits(offset + pixels * count, target);
  const bytes = channels(image.format);
  const [planeStep, pixelStep] = spec.layout === 'nchw' ? [pixels, 1] : [1, count];
  const length = window.width;
  for (let row = 0; row < window.height; row++) {
    const start = ((window.y + row) * image.width + window.x) * bytes;
    const line: Line = {
      source: image.data,
      at: place.mirror ? start + (length - 1) * bytes : start,
      step: place.mirror ? -bytes : bytes,
      length,
      out: offset + row * length * pixelStep,
      pixelStep,
      planeStep,
    };
    if (count === 3 && bytes === 3) fillColours(line, target, spec);
    else fillOne(line, target, { ...spec, bytes, count });
  }
}

/** A row of pixels, and where it goes. */
interface Line {
  readonly source: Uint8Array;
  readonly at: number;
  readonly step: number;
  readonly length: number;
  readonly out: number;
  readonly pixelStep: number;
  readonly planeStep: number;
}

/** Colour to colour, a pixel at a time: several times faster than a channel at a time. */
function fillColours(line: Line, target: Float32Array | Uint8Array, spec: TensorSpec): void {
  const { source, step, length, pixelStep, planeStep } = line;
  const [first, third] = spec.order === 'rgb' ? [2, 0] : [0, 2];
  const [mean0, mean1, mean2] = [pick(spec.mean, 0), pick(spec.mean, 1), pick(spec.mean, 2)];
  const [scale0, scale1, scale2] = [pick(spec.scale, 0), pick(spec.scale, 1), pick(spec.scale, 2)];
  let { at, out } = line;
  for (let column = 0; column < length; column++) {
    target[out] = ((source[at + first] ?? 0) - mean0) * scale0;
    target[out + planeStep] = ((source[at + 1] ?? 0) - mean1) * scale1;
    target[out + 2 * planeStep] = ((source[at + third] ?? 0) - mean2) * scale2;
    out += pixelStep;
    at += step;
  }
}

/** From or to grey. */
function fillOne(
  line: Line,
  target: Float32Array | Uint8Array,
  spec: TensorSpec & { readonly bytes: 1 | 3; readonly count: 1 | 3 },
): void {
  const { source, step, length, pixelStep, planeStep } = line;
  for (let channel = 0; channel < spec.count; channel++) {
    const mean = pick(spec.mean, channel);
    const scale = pick(spec.scale, channel);
    let at = line.at;
    let out = line.out + channel * planeStep;
    for (let column = 0; column < length; column++) {
      const value = spec.bytes === 1 ? (source[at] ?? 0) : grey(source, at);
      target[out] = (value - mean) * scale;
      out += pixelStep;
      at += step;
    }
  }
}

function assertFits(end: number, target: Float32Array | Uint8Array): void {
  if (end > target.length) throw new RangeError('the tensor is smaller than the picture');
}

function grey(data: Uint8Array, at: number): number {
  return Math.round(0.114 * (data[at] ?? 0) + 0.587 * (data[at + 1] ?? 0) + 0.299 * (data[at + 2] ?? 0));
}

function pick(value: number | readonly number[], channel: number): number {
  if (typeof value === 'number') return value;
  return value[channel] ?? value[0] ?? 0;
}
