import { relative } from 'node:path';
import { FacedError } from '../../domain/errors.js';
import { hashFile } from '../../inference/hash.js';
import { modelsDir } from '../../inference/model-dir.js';
import { createSession } from '../../inference/raw-session.js';
import { ModelStore } from '../../inference/store.js';
import { openStages, PictureReader, pictureFiles } from '../../model-tools/faces.js';
import { feedOf } from '../../model-tools/feed.js';
import { encodeModel, loadModel } from '../../model-tools/graph/index.js';
import { appendHead, crossValidate, type Example, trainHead } from '../../model-tools/head.js';
import { normalise } from '../../vision/similarity.js';
import { type CommandIo, type ExitCode, parse, usage } from '../command.js';
import { finish } from './quantize.js';
import { resolveModel } from './resolve.js';

/** Pictures of the smallest class that can be split into five parts. */
const FEWEST = 5;

/** `faced model head train DIR --out O.onnx [--model M] [--name NAME]`: DIR has a folder of pictures for each class. */
export async function run(argv: readonly string[], io: CommandIo): Promise<ExitCode> {
  const { values, positionals } = parse(argv, {
    out: { type: 'string' },
    model: { type: 'string' },
    name: { type: 'string', default: 'head' },
  });
  const [verb, dir] = positionals;
  if (verb !== 'train' || dir === undefined || positionals.length > 2)
    throw usage('head takes: train DIR --out O.onnx');
  if (values.out === undefined || !values.out.endsWith('.onnx')) throw usage('head train needs --out O.onnx');
  const { path, label, card } = await resolveModel(values.model, io);
  if (card === null) throw usage('the model must have a card, which says how pictures are fed');
  const store = new ModelStore({ dir: modelsDir(io.env), logger: io.log });
  const reader = new PictureReader(await openStages(store));
  const session = await createSession(path);
  const files = await pictureFiles(dir);
  const classes = [...new Set(files.map((file) => relative(dir, file).split('/')[0] ?? ''))].sort();
  const examples: Example[] = [];
  const bar = io.progress('pictures', files.length);
  for (const file of files) {
    bar.advance();
    const { largest } = await reader.read(file);
    if (largest === null) continue;
    const answer = Object.values(await session.run(feedOf(session, card, largest.crop)))[0];
    const vector = Float32Array.from(answer?.data as Float32Array);
    if (normalise(vector))
      examples.push({ vector, label: classes.indexOf(relative(dir, file).split('/')[0] ?? '') });
  }
  bar.stop();
  await session.release();
  await store.releaseAll();
  const counts = classes.map((_, label_) => examples.filter((example) => example.label === label_).length);
  if (classes.length < 2 || counts.some((count) => count < FEWEST)) {
    throw new FacedError(
      'calibration.invalid',
      `the classes ${classes.join(', ')} have ${counts.join(', ')} faces`,
      {
        fix: `make a folder for each of at least two classes, with at least ${FEWEST} faces in each, better 50`,
      },
    );
  }
  const { accuracy, confusion } = crossValidate(examples, classes);
  const model = appendHead(await loadModel(path), trainHead(examples, classes), values.name);
  return finish(io, {
    out: values.out,
    bytes: encodeModel(model),
    derivedFrom: (await hashFile(path)).sha256,
    label,
    made: {
      by: 'softmax layer on the embedding',
      output: values.name,
      classes,
      faces: counts,
      crossValidatedAccuracy: accuracy,
      confusion,
    },
  });
}
