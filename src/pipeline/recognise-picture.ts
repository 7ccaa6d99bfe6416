import type { DecisionKind } from '../domain/decision.js';
import type { Embedding } from '../domain/embedding.js';
import type { FaceQuality, PoorReason } from '../domain/face.js';
import type { Match, PersonRef } from '../domain/person.js';
import type { AnalysedFace, AnalyseOptions, Store, Vision } from './ports.js';
import type { Judge } from './service.js';

/** A face of a picture with all that was found out about it. What of it leaves the machine is for the caller to say. */
export interface RecognisedFace {
  readonly box: readonly [number, number, number, number];
  readonly landmarks: readonly (readonly [number, number])[];
  readonly score: number;
  readonly quality: FaceQuality;
  readonly liveness: number | null;
  readonly decision: DecisionKind;
  readonly poor: PoorReason | null;
  /** Set when the decision is `known`. */
  readonly person: PersonRef | null;
  readonly similarity: number | null;
  readonly runnerUp: number | null;
  readonly threshold: number | null;
  readonly embedding: Embedding | null;
}

export interface RecogniseParts {
  readonly vision: Pick<Vision, 'analyse'>;
  readonly store: Pick<Store, 'search'>;
  readonly judge: Pick<Judge, 'judge'>;
}

/**
 * Every face of one picture against the gallery. It is a question, not a visit: no event comes of it, and no door hears
 * of it.
 */
export async function recognisePicture(
  { vision, store, judge }: RecogniseParts,
  image: Uint8Array,
): Promise<RecognisedFace[]> {
  const { faces } = await vision.analyse(image);
  const matches = await store.search(faces.flatMap((face) => face.embedding ?? []));
  let next = 0;
  return faces.map((face) => {
    const match = face.embedding === null ? null : (matches[next++] ?? null);
    return recognised(face, match, judge);
  });
}

/** The faces of one picture without the gallery. */
export async function facesOf(
  { vision }: Pick<RecogniseParts, 'vision'>,
  image: Uint8Array,
  options: AnalyseOptions = {},
): Promise<readonly AnalysedFace[]> {
  return (await vision.analyse(image, options)).faces;
}

function recognised(face: AnalysedFace, match: Match | null, judge: Pick<Judge, 'judge'>): RecognisedFace {
  const { box, landmarks, score } = face.face;
  const decision = judge.judge(face, match);
  const evidence = decision.kind === 'poor' ? null : decision.evidence;
  return {
    box: [box.x, box.y, box.width, box.height],
    landmarks: landmarks.map(({ x, y }) => [x, y] as const),
    score,
    quality: face.quality,
    liveness: face.liveness,
    decision: decision.kind,
    poor: decision.kind === 'poor' ? decision.reason : face.poor,
    person: decision.kind === 'known' ? decision.person : null,
    similarity: evidence?.similarity ?? null,
    runnerUp: evidence?.runnerUp ?? null,
    threshold: evidence?.threshold ?? null,
    embedding: face.embedding,
  };
}
