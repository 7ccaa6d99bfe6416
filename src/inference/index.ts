import { FacedError } from '../domain/errors.js';
import type { FaceDetector, FaceEmbedder, LivenessScorer } from '../pipeline/ports.js';
import type { ModelCard, Role } from './card.js';
import { CardFaceDetector, type DetectorOptions } from './detector.js';
import { CardFaceEmbedder, type EmbedderOptions } from './embedder.js';
import { CardLivenessScorer } from './liveness.js';
import { PointFinder } from './points.js';
import type { ModelStore } from './store.js';

export { loadCardBeside, loadCards, type ModelCard, type PlacedCard } from './card.js';
export { FOR_PICTURES } from './detector.js';
export { DEMO_PHOTOS, fetchDemoPhotos, fetchModels, untilReachable } from './fetch.js';
export { modelsDir } from './model-dir.js';
export { fetchNpmFiles } from './npm-files.js';
export { type ModelStatus, ModelStore } from './store.js';

export interface ModelChoice {
  readonly detector: string;
  /** For detectors without points of their own. */
  readonly landmarks: string;
  readonly recogniser: string;
  /** Null: no liveness model is loaded. */
  readonly liveness: string | null;
}

export const DEFAULT_MODELS: ModelChoice = {
  detector: 'ultraface',
  landmarks: 'landmarks68',
  recogniser: 'mobilefacenet',
  liveness: null,
};

export interface FaceModels {
  readonly detector: FaceDetector;
  readonly embedder: FaceEmbedder;
  readonly liveness: LivenessScorer | null;
  /** The recogniser's card, with its measured curve. */
  readonly recogniser: ModelCard;
}

export interface OpenModelsOptions {
  readonly store: ModelStore;
  readonly models?: Partial<ModelChoice>;
  readonly detector?: DetectorOptions;
  readonly embedder?: EmbedderOptions;
  readonly signal?: AbortSignal;
}

type Opening = Omit<OpenModelsOptions, 'embedder' | 'detector'>;

/** Loads what is chosen and puts it together. Throws `model.*` errors; an aborted signal ends it between two models. */
export async function openModels(options: OpenModelsOptions): Promise<FaceModels> {
  const { liveness } = { ...DEFAULT_MODELS, ...options.models };
  const detector = await openDetector(options);
  const recogniser = await openModel(options, 'recogniser');
  return {
    detector,
    embedder: new CardFaceEmbedder(recogniser, options.embedder),
    liveness: liveness === null ? null : new CardLivenessScorer(await openModel(options, 'liveness')),
    recogniser: recogniser.card,
  };
}

/** The detector alone, with the landmarks where it needs them. */
export async function openDetector(options: OpenModelsOptions): Promise<FaceDetector> {
  const detector = await openModel(options, 'detector');
  const points =
    detector.card.output.form === 'yunet' ? null : new PointFinder(await openModel(options, 'landmarks'));
  return new CardFaceDetector({ ...detector, points }, options.detector);
}

/** The recogniser alone. */
export async function openEmbedder(options: OpenModelsOptions): Promise<FaceEmbedder> {
  return new CardFaceEmbedder(await openModel(options, 'recogniser'), options.embedder);
}

async function openModel({ store, models, signal }: Opening, role: Role) {
  const id = { ...DEFAULT_MODELS, ...models }[role];
  if (id === null) throw new FacedError('internal', `no ${role} model is chosen`);
  signal?.throwIfAborted();
  const { card } = await store.inUse(id);
  if (card.role !== role) throw wrongRole(card, role);
  return { card, runner: await store.runner(id) };
}

function wrongRole(card: ModelCard, wanted: Role): FacedError {
  return new FacedError(
    'model.mismatch',
    `${card.id} is a ${card.role} model, and a ${wanted} model is needed here`,
    {
      fix: 'Choose another model; `faced model list` shows them.',
    },
  );
}
