import type { Embedding, EmbeddingSpace } from '../domain/embedding.js';
import { FacedError } from '../domain/errors.js';
import { ALIGNED_SIZE, type AlignedFace } from '../domain/face.js';
import type { Image } from '../domain/frame.js';
import type { FaceEmbedder } from '../pipeline/ports.js';
import { normalise } from '../vision/similarity.js';
import { fillTensor } from '../vision/tensor.js';
import { inputSize, type ModelCard } from './card.js';
import type { ModelRunner } from './session.js';

export interface EmbedderOptions {
  /** Embed each crop and its mirror image and add the two (default): steadier answers for twice the time. */
  readonly flip?: boolean;
}

/** A recogniser by its card. */
export class CardFaceEmbedder implements FaceEmbedder {
  readonly model: string;
  readonly space: EmbeddingSpace;
  readonly #card: ModelCard;
  readonly #runner: ModelRunner;
  readonly #flip: boolean;
  readonly #window: { x: number; y: number; width: number; height: number };

  constructor(
    parts: { readonly card: ModelCard; readonly runner: ModelRunner },
    options: EmbedderOptions = {},
  ) {
    this.#card = parts.card;
    this.#runner = parts.runner;
    this.#flip = options.flip ?? true;
    this.model = parts.card.id;
    this.space = parts.card.space ?? parts.card.id;
    this.#window = centralWindow(parts.card);
  }

  async embed(faces: readonly Pick<AlignedFace, 'crop'>[]): Promise<(Embedding | null)[]> {
    const { output } = this.#card;
    if (output.form !== 'embedding') throw new FacedError('internal', `${this.model} is not a recogniser`);
    const sums = faces.map(() => new Float32Array(output.size));
    const looks = faces.flatMap((face, index) => {
      const plain = { face, index, mirror: false };
      return this.#flip ? [plain, { ...plain, mirror: true }] : [plain];
    });
    for (let first = 0; first < looks.length; first += this.#runner.maxBatch) {
      const batch = looks.slice(first, first + this.#runner.maxBatch);
      for (const [place, look] of batch.entries()) this.#feed(look, place);
      const answer = (await this.#runner.run(batch.length)).get(output.name);
      for (const [place, { index }] of batch.entries()) add(sums[index], answer, place * output.size);
    }
    return sums.map((vector) => (normalise(vector) ? { space: this.space, vector } : null));
  }

  #feed({ face, mirror }: { face: Pick<AlignedFace, 'crop'>; mirror: boolean }, place: number): void {
    const crop: Image = { width: ALIGNED_SIZE, height: ALIGNED_SIZE, format: 'bgr24', data: face.crop };
    fillTensor(crop, this.#runner.bytes ?? this.#runner.input, this.#card.input, {
      offset: place * this.#runner.stride,
      mirror,
      window: this.#window,
    });
  }
}

/** A recogniser with a narrower input (112x96) was trained on the middle of the same alignment. */
function centralWindow(card: ModelCard): { x: number; y: number; width: number; height: number } {
  const { width, height } = inputSize(card.input);
  if (width > ALIGNED_SIZE || height > ALIGNED_SIZE) {
    throw new FacedError(
      'model.card-invalid',
      `a recogniser's input may be at most ${ALIGNED_SIZE}x${ALIGNED_SIZE} (${card.id} has ${width}x${height})`,
    );
  }
  return { x: (ALIGNED_SIZE - width) >> 1, y: (ALIGNED_SIZE - height) >> 1, width, height };
}

function add(sum: Float32Array | undefined, answer: Float32Array | undefined, offset: number): void {
  if (sum === undefined || answer === undefined) return;
  for (let at = 0; at < sum.length; at++) sum[at] = (sum[at] ?? 0) + (answer[offset + at] ?? 0);
}
