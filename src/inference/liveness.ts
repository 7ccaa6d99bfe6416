import type { Box, Face } from '../domain/face.js';
import type { Image } from '../domain/frame.js';
import type { LivenessScorer } from '../pipeline/ports.js';
import { softmax } from '../vision/similarity.js';
import type { ModelCard } from './card.js';
import { PictureFeeder } from './picture.js';
import type { ModelRunner } from './session.js';

/** A classifier that tells a living face from a picture of one by the face and what is around it. */
export class CardLivenessScorer implements LivenessScorer {
  readonly #card: ModelCard;
  readonly #runner: ModelRunner;
  readonly #feeder: PictureFeeder;

  constructor(parts: { readonly card: ModelCard; readonly runner: ModelRunner }) {
    this.#card = parts.card;
    this.#runner = parts.runner;
    this.#feeder = new PictureFeeder(parts.card.input);
  }

  async score(image: Image, face: Face): Promise<number> {
    const { output } = this.#card;
    if (output.form !== 'liveness') return 0;
    this.#feeder.feed(
      image,
      surroundings(image, face.box, this.#card.crop?.scale ?? 1),
      this.#runner.bytes ?? this.#runner.input,
    );
    const raw = (await this.#runner.run(1)).get(output.name);
    return raw === undefined ? 0 : (softmax(raw)[output.live] ?? 0);
  }
}

/**
 * The box made larger, but never larger than the picture, and pushed inside it: the network was trained so, and
 * grey at an edge would look to it like the border of a photograph that somebody holds up.
 */
export function surroundings(image: { width: number; height: number }, box: Box, scale: number): Box {
  const fit = Math.min((image.width - 1) / box.width, (image.height - 1) / box.height, scale);
  const [width, height] = [box.width * fit, box.height * fit];
  const push = (start: number, size: number, limit: number) => Math.max(0, Math.min(start, limit - size));
  return {
    x: push(box.x + (box.width - width) / 2, width, image.width),
    y: push(box.y + (box.height - height) / 2, height, image.height),
    width,
    height,
  };
}
