/**
 * Where vectors may be compared: a model, and the variants that were verified against it.
 * Comparing across spaces is an error ({@link similarity} throws).
 */
export type EmbeddingSpace = string;

/** A face as the recogniser sees it: a unit vector in its space. */
export interface Embedding {
  readonly space: EmbeddingSpace;
  /** L2 norm 1. */
  readonly vector: Float32Array;
}
