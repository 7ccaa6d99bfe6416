import type { Box, FivePoints } from '../domain/face.js';
import type { Image } from '../domain/frame.js';
import { scaleBox, shiftBox } from '../vision/boxes.js';
import { CONTOUR_LENGTH, fivePointsOf } from '../vision/landmarks.js';
import type { ModelCard } from './card.js';
import { PictureFeeder } from './picture.js';
import type { ModelRunner } from './session.js';

/** How far the box is moved for each further look, in shares of its sides. */
const SHIFTS = [
  [0.05, 0],
  [-0.05, 0],
  [0, 0.05],
  [0, -0.05],
] as const;

/** 68 points of one face from its box, and the five that alignment needs. */
export class PointFinder {
  readonly #card: ModelCard;
  readonly #runner: ModelRunner;
  readonly #feeder: PictureFeeder;

  constructor(parts: { readonly card: ModelCard; readonly runner: ModelRunner }) {
    this.#card = parts.card;
    this.#runner = parts.runner;
    this.#feeder = new PictureFeeder(parts.card.input, { stretchDark: true });
  }

  /**
   * Points in picture pixels. `steady`: the mean of five looks, at the box and a little to each side of it, which
   * takes some of the noise out of the alignment for four more runs of the network.
   */
  async find(
    image: Image,
    box: Box,
    options: { readonly steady?: boolean } = {},
  ): Promise<{ landmarks: FivePoints; contour: Float32Array }> {
    const view = scaleBox(box, this.#card.crop?.scale ?? 1);
    const contour = await this.#look(image, view);
    if (options.steady) {
      for (const [dx, dy] of SHIFTS) {
        for (const [at, value] of (await this.#look(image, shiftBox(view, dx, dy))).entries()) {
          contour[at] = (contour[at] ?? 0) + value;
        }
      }
      for (const [at, sum] of contour.entries()) contour[at] = sum / (SHIFTS.length + 1);
    }
    return { landmarks: fivePointsOf(contour), contour };
  }

  async #look(image: Image, view: Box): Promise<Float32Array> {
    this.#feeder.feed(image, view, this.#runner.bytes ?? this.#runner.input);
    const outputs = await this.#runner.run(1);
    const raw = 'name' in this.#card.output ? outputs.get(this.#card.output.name) : undefined;
    const contour = new Float32Array(CONTOUR_LENGTH);
    for (let at = 0; at < CONTOUR_LENGTH; at += 2) {
      contour[at] = view.x + (raw?.[at] ?? 0) * view.width;
      contour[at + 1] = view.y + (raw?.[at + 1] ?? 0) * view.height;
    }
    return contour;
  }
}
