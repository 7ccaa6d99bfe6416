import type { Embedding } from '../domain/embedding.js';
import { FacedError } from '../domain/errors.js';
import { ALIGNED_SIZE, type AlignedFace, type Face } from '../domain/face.js';
import type { Image } from '../domain/frame.js';
import { createImage, decode, encodeJpeg, toBgrInto, warpAffineInto } from '../image/index.js';
import { mainFace } from '../vision/boxes.js';
import { stretchDark } from '../vision/light.js';
import { DEFAULT_LIMITS, poorReason, type QualityLimits, qualityOf } from '../vision/quality.js';
import { ARCFACE_POINTS, similarityTransform } from '../vision/transform.js';
import type {
  AnalysedFace,
  AnalyseOptions,
  FaceDetector,
  FaceEmbedder,
  ImageAnalysis,
  LivenessScorer,
} from './ports.js';

export interface AnalyserParts {
  readonly detector: FaceDetector;
  readonly embedder: FaceEmbedder;
  /** Left out: liveness is null. */
  readonly liveness?: LivenessScorer;
  readonly limits?: QualityLimits;
}

/** A picture of a crowd gives way after so many faces. */
const FACES_AT_ONCE = 4;

/** One picture through detection, alignment, quality and embedding: what enrol, identify and the evaluation share. */
export class ImageAnalyser {
  readonly #parts: AnalyserParts;

  constructor(parts: AnalyserParts) {
    this.#parts = parts;
  }

  /** Faces in the detector's order, best score first. `giveWay` is called between the runs of the models. */
  async analyse(
    image: Image,
    options: AnalyseOptions = {},
    giveWay: () => Promise<void> = async () => {},
  ): Promise<ImageAnalysis> {
    const { detector, embedder, liveness, limits = DEFAULT_LIMITS } = this.#parts;
    const found = await detector.detect(image);
    await giveWay();
    const faces = options.largestOnly ? mainFace(found, image) : found;
    const looks = faces.map((face) => {
      const aligned = alignFace(image, face);
      return { aligned, poor: poorReason(face, aligned.quality, image, limits) };
    });
    const fit = looks.filter(({ poor }) => poor === null || options.embedPoor);
    const embeddings: (Embedding | null)[] = [];
    for (let index = 0; index < fit.length; index += FACES_AT_ONCE) {
      const some = fit.slice(index, index + FACES_AT_ONCE).map(({ aligned }) => aligned);
      embeddings.push(...(await embedder.embed(some)));
      await giveWay();
    }
    const analysed: AnalysedFace[] = [];
    for (const look of looks) {
      const { face, quality } = look.aligned;
      if (analysed.length > 0) await giveWay();
      analysed.push({
        face,
        quality,
        poor: look.poor,
        embedding: embeddings[fit.indexOf(look)] ?? null,
        liveness: liveness === undefined ? null : await liveness.score(image, face),
        ...(options.crops && look.poor === null ? { crop: encodeCrop(look.aligned.crop) } : {}),
      });
    }
    return { width: image.width, height: image.height, faces: analysed };
  }
}

/**
 * The 112x112 crop in which the five points lie nearest to where recognisers expect them, and its quality.
 * `into` takes the crop (112*112*3 bytes); without it a buffer is made.
 */
export function alignFace(image: Image, face: Face, into?: Uint8Array): AlignedFace {
  const crop = into ?? new Uint8Array(ALIGNED_SIZE * ALIGNED_SIZE * 3);
  const target: Image = { width: ALIGNED_SIZE, height: ALIGNED_SIZE, format: 'bgr24', data: crop };
  const matrix = similarityTransform(face.landmarks, ARCFACE_POINTS);
  if (image.format === 'bgr24') warpAffineInto(image, target, matrix);
  else {
    const grey = createImage(ALIGNED_SIZE, ALIGNED_SIZE, 'gray8');
    warpAffineInto(image, grey, matrix);
    toBgrInto(grey, target);
  }
  // What is measured is the light there was; what is recognised may be stretched.
  const quality = qualityOf(face, crop);
  stretchDark(target);
  return { crop, face, quality };
}

/** Of 100: an embedding of the crop read back is within a few thousandths (cosine) of the one that was taken from it. */
const CROP_QUALITY = 95;

/** An aligned crop as it is kept. */
export function encodeCrop(crop: Uint8Array): Uint8Array {
  const image: Image = { width: ALIGNED_SIZE, height: ALIGNED_SIZE, format: 'bgr24', data: crop };
  return encodeJpeg(image, CROP_QUALITY);
}

/** The bytes of a crop that was kept. @throws FacedError `image.unreadable` when it is none */
export function decodeCrop(jpeg: Uint8Array): Uint8Array {
  const { width, height, data } = decode(jpeg, { maxPixels: ALIGNED_SIZE * ALIGNED_SIZE });
  if (width === ALIGNED_SIZE && height === ALIGNED_SIZE) return data;
  throw new FacedError('image.unreadable', `The picture is ${width}x${height}, not an aligned crop.`, {
    fix: 'Enrol this person again from pictures.',
  });
}
