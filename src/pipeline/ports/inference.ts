/** What the networks are to the pipeline. */
import type { Embedding, EmbeddingSpace } from '../../domain/embedding.js';
import type { AlignedFace, Face } from '../../domain/face.js';
import type { Image } from '../../domain/frame.js';

export interface DetectOptions {
  /** Faces with a shorter side below it (pixels) are left out. */
  readonly minSize?: number;
  /** Told of each answer of the network that is no face: not a number, without a size, its points in one place. */
  readonly onUnusable?: () => void;
}

/** Any number of faces with their five points, each of which can be aligned. One that cannot be costs only itself. */
export interface FaceDetector {
  detect(image: Image, options?: DetectOptions): Promise<Face[]>;
}

export interface FaceEmbedder {
  readonly model: string;
  readonly space: EmbeddingSpace;
  /** One embedding for each face, in order; several faces may share a run. Null where the network's answer has no direction. */
  embed(faces: readonly Pick<AlignedFace, 'crop'>[]): Promise<(Embedding | null)[]>;
}

export interface LivenessScorer {
  /** 0 (a picture) to 1 (alive) for one face of an image. */
  score(image: Image, face: Face): Promise<number>;
}
