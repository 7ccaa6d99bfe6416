import type { Embedding, EmbeddingSpace } from '../domain/embedding.js';
import { dot } from '../vision/similarity.js';

/**
 * The weighted mean of unit vectors, scaled back to length 1: several looks at one face as one template
 * (what IJB-A, Klare et al. 2015, calls a template).
 */
export class MeanEmbedding {
  readonly space: EmbeddingSpace;
  readonly #sum: Float64Array;
  readonly #unit: Float32Array;
  #count = 0;

  constructor(first: Embedding, weight = 1) {
    this.space = first.space;
    this.#sum = new Float64Array(first.vector.length);
    this.#unit = new Float32Array(first.vector.length);
    this.add(first, weight);
  }

  get count(): number {
    return this.#count;
  }

  /** Another space's vector begins the mean anew: the two cannot be added. */
  fits(embedding: Embedding): boolean {
    return embedding.space === this.space && embedding.vector.length === this.#unit.length;
  }

  /** `weight` above 0, 1 for a perfect shot. */
  add(embedding: Embedding, weight = 1): void {
    if (!this.fits(embedding)) throw new RangeError(`${embedding.space} cannot be added to ${this.space}`);
    const share = Math.max(weight, 0.05);
    let squares = 0;
    for (let index = 0; index < this.#sum.length; index++) {
      const value = (this.#sum[index] ?? 0) + share * (embedding.vector[index] ?? 0);
      this.#sum[index] = value;
      squares += value * value;
    }
    const scale = squares > 0 ? 1 / Math.sqrt(squares) : 0;
    for (let index = 0; index < this.#sum.length; index++) {
      this.#unit[index] = (this.#sum[index] ?? 0) * scale;
    }
    this.#count++;
  }

  /** A copy, so that what was handed out does not change with the next look. */
  embedding(): Embedding {
    return { space: this.space, vector: this.#unit.slice() };
  }

  /** Cosine to another look; -1 for a vector of another space, which is never the same face. */
  similarityTo(embedding: Embedding): number {
    return this.fits(embedding) ? dot(this.#unit, embedding.vector) : -1;
  }
}
