import type { Image } from '../../../src/domain/frame.js';
import { createImage, resizeInto, type WritableImage } from '../../../src/image/index.js';
import type { Canvas } from './mesh.js';
import type { Random } from './random.js';

/** Screen pixels a picture's pixel; each is three colours wide, with a dark gap between. */
const DOTS = 3;
/** Share of the picture's side that the black edge of the device takes on each side. */
const BEZEL = 0.09;

/** A telephone or tablet that shows a picture: coarse pixels, its own contrast and colour, its edge, its light, a reflection. */
export class Screen {
  readonly #gap: number;
  readonly #contrast: number;
  readonly #black: number;
  readonly #blue: number;
  readonly #bezel: boolean;
  readonly #glare: { x: number; y: number; radius: number; light: number } | null;
  readonly #bands: { light: number; height: number; speed: number };
  #dots: WritableImage | undefined;

  constructor(random: Random) {
    // From dots that only the best screens hide to those of an old tablet.
    this.#gap = 0.03 * (0.25 / 0.03) ** random.between();
    this.#contrast = random.between(0.6, 0.9);
    this.#black = random.between(12, 40);
    this.#blue = random.between(1, 1.12);
    this.#bezel = random.chance(0.7);
    this.#glare = random.chance(0.6)
      ? {
          x: random.between(-0.3, 0.3),
          y: random.between(-0.4, 0.4),
          radius: random.between(0.06, 0.2),
          light: random.between(50, 160),
        }
      : null;
    this.#bands = {
      light: random.between(0.02, 0.1),
      height: random.between(60, 240),
      speed: random.between(-2, 2),
    };
  }

  /** What the screen's surface looks like while it shows `picture`: larger by {@link DOTS}, in the device's edge. */
  show(picture: Image): { surface: Image; edge: number } {
    const edge = this.#bezel ? Math.round(BEZEL * picture.width) : 0;
    const inner = { width: picture.width * DOTS, height: picture.height * DOTS };
    if (this.#dots?.width !== inner.width) this.#dots = createImage(inner.width, inner.height, 'bgr24');
    resizeInto(picture, this.#dots, { interpolation: 'nearest' });
    const border = edge * DOTS;
    const surface = createImage(inner.width + 2 * border, inner.height + 2 * border, 'bgr24');
    surface.data.fill(14);
    for (let row = 0; row < inner.height; row++) {
      const isGap = row % DOTS === DOTS - 1;
      for (let column = 0; column < inner.width; column++) {
        const from = (row * inner.width + column) * 3;
        const to = ((row + border) * surface.width + column + border) * 3;
        for (let channel = 0; channel < 3; channel++) {
          // Blue, green and red dots lie side by side.
          const own = column % DOTS === 2 - channel ? 1 + this.#gap : 1 - this.#gap / 2;
          const light = own * (isGap ? 1 - this.#gap : 1) * (channel === 0 ? this.#blue : 1);
          const value = (this.#black + this.#contrast * (this.#dots.data[from + channel] ?? 0)) * light;
          surface.data[to + channel] = Math.min(255, value);
        }
      }
    }
    return { surface, edge };
  }

  /** What the lamp in the room and the screen's refresh do to the camera's picture, where something was drawn. */
  light({ image, nearness }: Canvas, seconds: number): void {
    const { width, height, data } = image;
    const { light, height: tall, speed } = this.#bands;
    for (let row = 0; row < height; row++) {
      const band = 1 + light * Math.sin(2 * Math.PI * (row / tall + speed * seconds));
      for (let column = 0; column < width; column++) {
        const pixel = row * width + column;
        if ((nearness[pixel] ?? 0) === 0) continue;
        const extra = this.#glareAt(column / width - 0.5, row / height - 0.5);
        for (let at = pixel * 3; at < pixel * 3 + 3; at++) {
          data[at] = Math.min(255, (data[at] ?? 0) * band + extra);
        }
      }
    }
  }

  #glareAt(x: number, y: number): number {
    const glare = this.#glare;
    if (glare === null) return 0;
    const distance = ((x - glare.x) / glare.radius) ** 2 + ((y - glare.y) / (glare.radius * 1.6)) ** 2;
    return distance > 6 ? 0 : glare.light * Math.exp(-distance);
  }
}
