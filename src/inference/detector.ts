import type { Box, Face } from '../domain/face.js';
import type { Image } from '../domain/frame.js';
import type { DetectOptions, FaceDetector } from '../pipeline/ports.js';
import { type Detection, iou, isAlignable, isBox, nonMaximumSuppression, scaleBox } from '../vision/boxes.js';
import { decodeUltraFace, decodeYuNet } from '../vision/decode.js';
import type { ModelCard } from './card.js';
import { PictureFeeder } from './picture.js';
import type { PointFinder } from './points.js';
import type { ModelRunner } from './session.js';

/** Grey around a picture that a face fills: it is larger than the network was trained to find, or to box well. */
const SECOND_LOOK_MARGIN = 0.25;
/** A face fills a picture when it is longer than this share of its side. */
const FILLS = 0.65;
/** Two looks mean one face when their boxes overlap by this (intersection over union). */
const SAME_FACE = 0.3;
/** A tile shows parts of things as if they were whole, so it has to be surer. */
const TILE_MIN_SCORE = 0.9;
/** A box that lies in a better one by more than this share is part of the same face. */
const MAX_INSIDE = 0.8;
/** Faces in one picture: the rest, with lower scores, is left out. */
const MAX_FACES = 100;
/** How far a picture's shape may be from the input's before grey is added instead of stretching it. */
const MAX_STRETCH = 1.4;

export interface DetectorOptions {
  /** Look again with grey around the picture when no face was found, or one that fills it; for pictures, not for the frames of a camera. */
  readonly secondLook?: boolean | (() => boolean);
  /** Steadier points for alignment ({@link PointFinder.find}); for pictures, where 1 ms does not matter. */
  readonly steadyPoints?: boolean;
  /** Look at overlapping quarters as well when the picture is larger than this many times the network's input; 0: never. */
  readonly tileAbove?: number;
}

/** For single pictures (enrolment, identification, evaluation), where being right counts for more than time. */
export const FOR_PICTURES: DetectorOptions = { secondLook: true, steadyPoints: true };

export interface DetectorParts {
  readonly card: ModelCard;
  readonly runner: ModelRunner;
  /** For detectors that give no points of their own (UltraFace). */
  readonly points: PointFinder | null;
}

interface Subject {
  readonly image: Image;
  readonly onUnusable: () => void;
}

/** UltraFace or YuNet, whichever the card says. Boxes and points are in picture pixels and may reach beyond its edges. */
export class CardFaceDetector implements FaceDetector {
  readonly #parts: DetectorParts;
  readonly #options: DetectorOptions;
  readonly #feeder: PictureFeeder;

  constructor(parts: DetectorParts, options: DetectorOptions = {}) {
    this.#parts = parts;
    this.#options = options;
    this.#feeder = new PictureFeeder(parts.card.input, { stretchDark: true });
  }

  async detect(image: Image, options: DetectOptions = {}): Promise<Face[]> {
    const { minSize = 0, onUnusable = () => {} } = options;
    const subject = { image, onUnusable };
    const whole = { x: 0, y: 0, width: image.width, height: image.height };
    const found = await this.#secondLook(subject, await this.#look(subject, whole));
    found.push(...(await this.#tiles(subject)));
    const kept = this.#suppress(found).filter(({ box }) => Math.min(box.width, box.height) >= minSize);
    const faces = await this.#complete(image, kept);
    return usable(faces, ({ landmarks }) => isAlignable(landmarks), onUnusable);
  }

  async #look({ image, onUnusable }: Subject, part: Box): Promise<Detection[]> {
    const found = await this.#run(image, part);
    return usable(found, ({ box }) => isBox(box), onUnusable);
  }

  /** One run over a part of the picture. */
  async #run(image: Image, part: Box): Promise<Detection[]> {
    const { card, runner } = this.#parts;
    const view = fit(part, this.#feeder);
    this.#feeder.feed(image, view, runner.bytes ?? runner.input);
    const outputs = await runner.run(1);
    const get = (name: string): Float32Array => outputs.get(name) ?? new Float32Array();
    const { output } = card;
    if (output.form === 'ultraface') {
      return decodeUltraFace({ scores: get(output.scores), boxes: get(output.boxes) }, view, output.minScore);
    }
    if (output.form !== 'yunet') return [];
    const { width, height } = this.#feeder;
    return decodeYuNet(
      {
        cls: output.cls.map(get),
        obj: output.obj.map(get),
        bbox: output.bbox.map(get),
        kps: output.kps.map(get),
      },
      { width, height, view, minScore: output.minScore },
    );
  }

  /** With grey around the picture, when it shows no face or one that fills it; what is seen then counts for more. */
  async #secondLook(subject: Subject, first: Detection[]): Promise<Detection[]> {
    const { image } = subject;
    const fills = ({ box }: Detection) =>
      Math.max(box.width / image.width, box.height / image.height) > FILLS;
    const { secondLook = false } = this.#options;
    const wanted = typeof secondLook === 'function' ? secondLook() : secondLook;
    if (!wanted || (first.length > 0 && !first.some(fills))) return first;
    const whole = { x: 0, y: 0, width: image.width, height: image.height };
    const second = await this.#look(subject, scaleBox(whole, 1 + 2 * SECOND_LOOK_MARGIN));
    const seen = this.#suppress(second);
    return [...second, ...first.filter(({ box }) => seen.every((one) => iou(one.box, box) < SAME_FACE))];
  }

  /** Small faces of a large picture: four quarters that overlap by a fifth, so that a face on a seam is whole in one. */
  async #tiles(subject: Subject): Promise<Detection[]> {
    const { image } = subject;
    const limit = this.#options.tileAbove ?? 0;
    if (
      limit === 0 ||
      Math.max(image.width / this.#feeder.width, image.height / this.#feeder.height) <= limit
    ) {
      return [];
    }
    const [width, height] = [image.width * 0.6, image.height * 0.6];
    const found: Detection[] = [];
    for (const x of [0, image.width - width]) {
      for (const y of [0, image.height - height]) {
        const tile = { x, y, width, height };
        for (const one of await this.#look(subject, tile)) {
          // A face that a seam cuts is seen whole by the neighbour or by the look at the whole picture.
          if (one.score >= TILE_MIN_SCORE && !touchesSeam(one.box, tile, image)) found.push(one);
        }
      }
    }
    return found;
  }

  #suppress(found: readonly Detection[]): Detection[] {
    const { output } = this.#parts.card;
    const maxIou = 'maxIou' in output ? output.maxIou : 0.4;
    return nonMaximumSuppression(found, { maxIou, maxInside: MAX_INSIDE, limit: MAX_FACES });
  }

  async #complete(image: Image, found: readonly Detection[]): Promise<Face[]> {
    const faces: Face[] = [];
    const { points } = this.#parts;
    const steady = this.#options.steadyPoints ?? false;
    for (const { box, score, landmarks } of found) {
      if (landmarks !== undefined) faces.push({ box, score, landmarks });
      else if (points !== null) faces.push({ box, score, ...(await points.find(image, box, { steady })) });
    }
    return faces;
  }
}

/**
 * What the network is shown of a part. Slightly different shapes are stretched, as these detectors were trained
 * to take; others get grey on two sides, since a face at half its width is no longer found.
 */
function fit(part: Box, input: { width: number; height: number }): Box {
  const wanted = input.width / input.height;
  const shape = part.width / part.height;
  if (shape > wanted / MAX_STRETCH && shape < wanted * MAX_STRETCH) return part;
  const [width, height] =
    shape > wanted ? [part.width, part.width / wanted] : [part.height * wanted, part.height];
  return { x: part.x + (part.width - width) / 2, y: part.y + (part.height - height) / 2, width, height };
}

function usable<One>(all: readonly One[], fits: (one: One) => boolean, onUnusable: () => void): One[] {
  return all.filter((one) => {
    const fit = fits(one);
    if (!fit) onUnusable();
    return fit;
  });
}

function touchesSeam(box: Box, tile: Box, image: Image): boolean {
  const near = 2;
  return (
    (tile.x > 0 && box.x < tile.x + near) ||
    (tile.y > 0 && box.y < tile.y + near) ||
    (tile.x + tile.width < image.width && box.x + box.width > tile.x + tile.width - near) ||
    (tile.y + tile.height < image.height && box.y + box.height > tile.y + tile.height - near)
  );
}
