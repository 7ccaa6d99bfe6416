import type { Image } from '../../../src/domain/frame.js';
import { createImage, decode, encodeJpeg, type WritableImage } from '../../../src/image/index.js';
import type { Canvas } from './mesh.js';
import { Random } from './random.js';

/** A cheap camera at a door: noise, shaking, a wall behind, a lamp that may flicker, and the losses of compression. */
export class SimulatedCamera {
  readonly width: number;
  readonly height: number;
  readonly #wall: WritableImage;
  readonly #noise: Int8Array;
  readonly #random: Random;
  readonly #shakeX: (seconds: number) => number;
  readonly #shakeY: (seconds: number) => number;
  readonly #shake: number;
  readonly #quality: number;
  readonly #gain: number;
  readonly #offset: number;
  readonly #lamp: { light: number; height: number; speed: number } | null;
  #seconds = 0;

  constructor(
    random: Random,
    { width = 640, height = 480, seed = 0 }: { width?: number; height?: number; seed?: number } = {},
  ) {
    this.width = width;
    this.height = height;
    this.#random = random;
    this.#wall = wallOf(random, width + 64, height + 64);
    const sigma = random.between(1, 4);
    this.#noise = Int8Array.from({ length: 65_521 }, () => Math.round(sigma * normal(random)));
    this.#shakeX = random.wander(0.4, 4);
    this.#shakeY = random.wander(0.4, 4);
    // Half of the cameras hang on a wall, the others are held by hand.
    this.#shake = random.chance(0.5) ? 0 : random.between(1, 5);
    this.#quality = Math.round(random.between(65, 92));
    this.#gain = random.between(0.8, 1.15);
    this.#offset = random.between(-8, 8);
    // One lamp in four makes bands over the whole picture, by the mains and the camera's shutter.
    const chance = new Random(seed * 104_729 + 17);
    this.#lamp = chance.chance(0.25)
      ? {
          light: chance.between(0.02, 0.08),
          height: chance.between(80, 400),
          speed: chance.between(-5, 5),
        }
      : null;
  }

  /** A canvas that shows the wall, for what is in front of it at `seconds`. */
  open(seconds: number): Canvas {
    this.#seconds = seconds;
    const image = createImage(this.width, this.height, 'bgr24');
    const [dx, dy] = [this.#shake * this.#shakeX(seconds), this.#shake * this.#shakeY(seconds)];
    const [left, top] = [clamp(32 - Math.round(dx)), clamp(32 - Math.round(dy))];
    for (let row = 0; row < this.height; row++) {
      const from = ((row + top) * this.#wall.width + left) * 3;
      image.data.set(this.#wall.data.subarray(from, from + this.width * 3), row * this.width * 3);
    }
    return {
      image,
      nearness: new Float32Array(this.width * this.height),
      focal: this.width * 0.95,
      centreX: this.width / 2 + dx,
      centreY: this.height / 2 + dy,
    };
  }

  /** The picture as it comes from the camera's encoder. */
  close({ image }: Canvas): Image {
    const { data } = image;
    let at = this.#random.whole(this.#noise.length);
    const stride = this.width * 3;
    let light = 1;
    for (let index = 0; index < data.length; index++) {
      if (++at >= this.#noise.length) at = this.#random.whole(1000);
      if (index % stride === 0) light = this.#lampAt(index / stride);
      const lit = (data[index] ?? 0) * light;
      const value = (lit - 128) * this.#gain + 128 + this.#offset + (this.#noise[at] ?? 0);
      data[index] = Math.min(255, Math.max(0, value));
    }
    return decode(encodeJpeg(image, this.#quality));
  }

  #lampAt(row: number): number {
    if (this.#lamp === null) return 1;
    const { light, height, speed } = this.#lamp;
    return 1 + light * Math.sin(2 * Math.PI * (row / height + speed * this.#seconds));
  }
}

function clamp(value: number): number {
  return Math.min(Math.max(value, 0), 64);
}

function wallOf(random: Random, width: number, height: number): WritableImage {
  const image = createImage(width, height, 'bgr24');
  const colour = [random.between(60, 190), random.between(60, 190), random.between(60, 190)];
  const slope = random.between(-60, 60);
  const things = Array.from({ length: 6 }, () => ({
    x: random.between(0, width),
    y: random.between(0, height),
    w: random.between(20, 160),
    h: random.between(20, 200),
    light: random.between(-60, 60),
  }));
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      let light = slope * (x / width - 0.5);
      for (const thing of things) {
        if (x > thing.x && x < thing.x + thing.w && y > thing.y && y < thing.y + thing.h)
          light += thing.light;
      }
      for (let channel = 0; channel < 3; channel++) {
        image.data[(y * width + x) * 3 + channel] = Math.min(
          255,
          Math.max(0, (colour[channel] ?? 0) + light),
        );
      }
    }
  }
  return image;
}

/** Normally distributed around 0 with standard deviation 1 (Box and Muller 1958). */
export function normal(random: Random): number {
  return (
    Math.sqrt(-2 * Math.log(Math.max(random.between(), 1e-12))) * Math.cos(2 * Math.PI * random.between())
  );
}
