import { FacedError } from '../domain/errors.js';
import type { FivePoints, Point } from '../domain/face.js';
import type { ModelCard } from '../inference/card.js';
import { CardLivenessScorer } from '../inference/liveness.js';
import { OrtRunner } from '../inference/session.js';
import type { ModelStore } from '../inference/store.js';
import { iou } from '../vision/boxes.js';
import { openStages, PictureReader } from './faces.js';

/** A box is the same when it overlaps by this (intersection over union). */
const SAME_BOX = 0.9;
/** Shares of faces that a detector's variant may lose, and whose boxes may lie below {@link SAME_BOX}. */
const LOST = 0.002;
const LOOSE = 0.02;
/** Distance of points, as a share of that between the eyes: on average. */
const POINTS_APART = 0.02;
/** Fewer faces say nothing. */
const LEAST_FACES = 100;
/** Mean difference of liveness scores. */
export const SCORES_APART = 0.02;

/** What a variant that is no recogniser answers compared with its model. */
export interface Agreement {
  readonly pictures: number;
  /** Faces that the model finds, and of those the ones that the variant finds too. */
  readonly faces: number;
  readonly found: number;
  readonly meanIou: number;
  /** Boxes that overlap by less than 0.9. */
  readonly loose: number;
  /** Mean distance of the five points, in shares of that between the eyes. */
  readonly pointsApart: number;
  /** Mean difference of the liveness score of the main face; null for other models. */
  readonly scoresApart: number | null;
  /** Faces for a judgement at all. */
  readonly enough: boolean;
  readonly accepted: boolean;
}

/** Shows pictures to a model and a variant of it, each in its place in the pipeline, and counts where they differ. */
export async function compareStages(options: {
  readonly store: ModelStore;
  readonly card: ModelCard;
  readonly files: readonly string[];
  /** The variant and the model. */
  readonly models: readonly [string, string];
  readonly signal: AbortSignal;
  readonly onPicture: () => void;
}): Promise<Agreement> {
  const { store, card, files, signal } = options;
  const opened = await Promise.all(
    options.models.map(async (path) => {
      const stage = { card, runner: await OrtRunner.open(path, card) };
      return { stage, reader: new PictureReader(await openStages(store, { [card.role]: stage })) };
    }),
  );
  const [mine, other] = opened;
  if (mine === undefined || other === undefined) throw new FacedError('internal', 'two models are compared');
  const scorers = card.role === 'liveness' ? opened.map(({ stage }) => new CardLivenessScorer(stage)) : [];
  let [pictures, faces, found, overlap, loose, apart] = [0, 0, 0, 0, 0, 0];
  const scores: number[] = [];
  for (const file of files) {
    signal.throwIfAborted();
    options.onPicture();
    const expected = await other.reader.read(file);
    const seen = await mine.reader.read(file);
    pictures += 1;
    for (const face of expected.faces) {
      faces += 1;
      const [best] = seen.faces
        .map((one) => ({ one, share: iou(one.box, face.box) }))
        .sort((a, b) => b.share - a.share);
      if (best === undefined || best.share < 0.5) continue;
      found += 1;
      overlap += best.share;
      if (best.share < SAME_BOX) loose += 1;
      apart += distance(best.one.landmarks, face.landmarks);
    }
    const main = expected.largest?.face;
    if (main === undefined) continue;
    const [a, b] = await Promise.all(scorers.map((scorer) => scorer.score(expected.image, main)));
    if (a !== undefined && b !== undefined) scores.push(Math.abs(a - b));
  }
  for (const { stage } of opened) await stage.runner.release();
  const pointsApart = apart / Math.max(found, 1);
  const scoresApart = scores.length === 0 ? null : scores.reduce((sum, one) => sum + one, 0) / scores.length;
  return {
    pictures,
    faces,
    found,
    meanIou: overlap / Math.max(found, 1),
    loose,
    pointsApart,
    scoresApart,
    enough: faces >= LEAST_FACES,
    accepted:
      faces >= LEAST_FACES &&
      faces - found <= LOST * faces &&
      loose <= LOOSE * faces &&
      pointsApart <= POINTS_APART &&
      (scoresApart ?? 0) <= SCORES_APART,
  };
}

function distance(a: FivePoints, b: FivePoints): number {
  const apart = (one: Point, other: Point): number => Math.hypot(one.x - other.x, one.y - other.y);
  const eyes = apart(b[0], b[1]) || 1;
  return a.reduce((sum, point, at) => sum + apart(point, b[at] ?? point), 0) / (a.length * eyes);
}
