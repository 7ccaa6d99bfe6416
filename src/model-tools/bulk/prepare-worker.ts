/** A thread of the bulk embedding that decodes, detects and aligns: paths in, crops or reasons out. */
import { parentPort, workerData } from 'node:worker_threads';
import { FacedError } from '../../domain/errors.js';
import { decode, readPicture } from '../../image/index.js';
import { FOR_PICTURES, type ModelChoice, ModelStore, openDetector } from '../../inference/index.js';
import { channelOf, serve } from '../../lib/rpc.js';
import { alignFace } from '../../pipeline/analyse.js';
import type { FaceDetector } from '../../pipeline/ports.js';
import { aboutThePicture, subjectOf } from '../../pipeline/service.js';
import { mainFace } from '../../vision/boxes.js';
import { DEFAULT_LIMITS, poorReason } from '../../vision/quality.js';
import type { FaceRule, PreparedPicture } from './embed-all.js';

const { modelsDir, models, rule } = workerData as {
  modelsDir: string;
  models: Partial<ModelChoice>;
  rule: FaceRule;
};
const store = new ModelStore({ dir: modelsDir });
const opening = openDetector({ store, models, detector: FOR_PICTURES });
// Its failure is told to whoever calls.
opening.catch(() => undefined);

if (parentPort !== null) {
  serve(channelOf(parentPort), {
    prepare: async (files: readonly string[]): Promise<PreparedPicture[]> => {
      const detector = await opening;
      const prepared: PreparedPicture[] = [];
      for (const file of files) prepared.push(await prepare(detector, file));
      return prepared;
    },
  });
}

async function prepare(detector: FaceDetector, file: string): Promise<PreparedPicture> {
  try {
    const image = decode(await readPicture(file));
    const faces = await detector.detect(image);
    if (rule === 'main') {
      const [face] = mainFace(faces, image);
      if (face === undefined) return { crop: null, code: 'enroll.no-face', reason: 'no face was found' };
      const { crop, quality } = alignFace(image, face);
      return { crop, quality };
    }
    const looks = faces.map((face) => {
      const { crop, quality } = alignFace(image, face);
      return { face, crop, quality, poor: poorReason(face, quality, image, DEFAULT_LIMITS) };
    });
    const { crop, quality, poor } = subjectOf(looks);
    if (poor === null) return { crop, quality };
    return { crop: null, code: 'enroll.poor', reason: `the face is not good enough (${poor})` };
  } catch (thrown) {
    const error = FacedError.from(thrown);
    if (!aboutThePicture(error) && error.code !== 'usage.not-found') throw error;
    return { crop: null, code: error.code, reason: error.message };
  }
}
