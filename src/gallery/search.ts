import type { Embedding, EmbeddingSpace } from '../domain/embedding.js';
import { FacedError } from '../domain/errors.js';
import { type Nearest, VectorIndex } from './vector-index.js';

/**
 * How a person's similarity follows from the samples: the best of them (`max`), or the cosine to their normalised
 * mean (`template`).
 */
export type Scoring = 'max' | 'template';

export interface IndexedSample {
  readonly id: string;
  readonly person: string;
  readonly vector: Float32Array;
}

/** What a way of scoring keeps in memory for one space. Both sides of a change are cheap: nothing is built anew. */
interface SpaceIndex {
  readonly size: number;
  readonly dimension: number;
  add(sample: IndexedSample): void;
  remove(id: string): void;
  nearest(query: Float32Array): Nearest | null;
}

const SCORINGS: { readonly [S in Scoring]: (dimension: number) => SpaceIndex } = {
  max: (dimension) => new MaxIndex(dimension),
  template: (dimension) => new TemplateIndex(dimension),
};

/** All samples of all spaces in memory; a query meets those of its own space only. */
export class SampleSearch {
  readonly #scoring: Scoring;
  readonly #spaces = new Map<EmbeddingSpace, SpaceIndex>();
  readonly #spaceOf = new Map<string, EmbeddingSpace>();

  constructor(scoring: Scoring) {
    this.#scoring = scoring;
  }

  get size(): number {
    return this.#spaceOf.size;
  }

  sizeOf(space: EmbeddingSpace): number {
    return this.#spaces.get(space)?.size ?? 0;
  }

  has(id: string): boolean {
    return this.#spaceOf.has(id);
  }

  /** Length of the vectors of a space; undefined while it has none. */
  dimensionOf(space: EmbeddingSpace): number | undefined {
    return this.#spaces.get(space)?.dimension;
  }

  add(space: EmbeddingSpace, sample: IndexedSample): void {
    const index = this.#spaces.get(space) ?? SCORINGS[this.#scoring](sample.vector.length);
    this.#spaces.set(space, index);
    index.add(sample);
    this.#spaceOf.set(sample.id, space);
  }

  remove(id: string): void {
    const space = this.#spaceOf.get(id);
    if (space === undefined) return;
    this.#spaceOf.delete(id);
    const index = this.#spaces.get(space);
    index?.remove(id);
    // A space that nobody uses any more gives its memory back.
    if (index?.size === 0) this.#spaces.delete(space);
  }

  nearest(query: Embedding): Nearest | null {
    const index = this.#spaces.get(query.space);
    if (index === undefined) return null;
    if (index.dimension !== query.vector.length)
      throw new FacedError(
        'space.mismatch',
        `Embeddings of ${query.space} have ${index.dimension} dimensions here, not ${query.vector.length}.`,
        { fix: 'Two models claim the same embedding space: correct the card of one of them.' },
      );
    return index.nearest(query.vector);
  }
}

class MaxIndex implements SpaceIndex {
  readonly #index: VectorIndex;

  constructor(dimension: number) {
    this.#index = new VectorIndex(dimension);
  }

  get size(): number {
    return this.#index.size;
  }

  get dimension(): number {
    return this.#index.dimension;
  }

  add(sample: IndexedSample): void {
    this.#index.add(sample.id, sample.person, sample.vector);
  }

  remove(id: string): void {
    this.#index.remove(id);
  }

  nearest(query: Float32Array): Nearest | null {
    return this.#index.nearest(query);
  }
}

/** One row for each person: the mean of the samples, always summed in the order of their ids, so that it never drifts. */
class TemplateIndex implements SpaceIndex {
  readonly #index: VectorIndex;
  readonly #samples = new Map<string, Map<string, Float32Array>>();
  readonly #personOf = new Map<string, string>();

  constructor(dimension: number) {
    this.#index = new VectorIndex(dimension);
  }

  get size(): number {
    return this.#personOf.size;
  }

  get dimension(): number {
    return this.#index.dimension;
  }

  add({ id, person, vector }: IndexedSample): void {
    const samples = this.#samples.get(person) ?? new Map<string, Float32Array>();
    this.#samples.set(person, samples);
    samples.set(id, vector);
    this.#personOf.set(id, person);
    this.#renew(person, samples);
  }

  remove(id: string): void {
    const person = this.#personOf.get(id);
    const samples = person === undefined ? undefined : this.#samples.get(person);
    if (person === undefined || samples === undefined) return;
    this.#personOf.delete(id);
    samples.delete(id);
    this.#renew(person, samples);
    if (samples.size === 0) this.#samples.delete(person);
  }

  nearest(query: Float32Array): Nearest | null {
    return this.#index.nearest(query);
  }

  #renew(person: string, samples: ReadonlyMap<string, Float32Array>): void {
    this.#index.remove(person);
    const mean = meanDirection([...samples].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, vector]) => vector));
    if (mean !== undefined) this.#index.add(person, person, mean);
  }
}

/** The mean of unit vectors as a unit vector; undefined for none, and for vectors that cancel out. */
export function meanDirection(vectors: readonly Float32Array[]): Float32Array | undefined {
  const first = vectors[0];
  if (first === undefined) return undefined;
  const sum = new Float64Array(first.length);
  for (const vector of vectors)
    for (let i = 0; i < sum.length; i++) sum[i] = (sum[i] ?? 0) + (vector[i] ?? 0);
  const length = Math.sqrt(sum.reduce((total, value) => total + value * value, 0));
  return length < 1e-9 ? undefined : Float32Array.from(sum, (value) => value / length);
}
