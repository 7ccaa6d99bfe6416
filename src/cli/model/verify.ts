import { readFile } from 'node:fs/promises';
import { relative } from 'node:path';
import { FacedError } from '../../domain/errors.js';
import type { ModelCard } from '../../inference/card.js';
import { modelsDir } from '../../inference/model-dir.js';
import { createSession } from '../../inference/raw-session.js';
import { ModelStore } from '../../inference/store.js';
import { type EmbeddedSet, operatingPoints, pairAccuracy } from '../../model-tools/accuracy.js';
import { evenly, openStages, PictureReader, pictureFiles } from '../../model-tools/faces.js';
import { feedOf } from '../../model-tools/feed.js';
import { lineChart } from '../../model-tools/svg.js';
import { writeOutput } from '../../model-tools/variant.js';
import { parsePairs } from '../../vision/evaluate.js';
import { normalise } from '../../vision/similarity.js';
import { type CommandIo, type ExitCode, parse, usage } from '../command.js';
import { resolveModel } from './resolve.js';

const RATES = [1e-1, 3e-2, 1e-2, 3e-3, 1e-3, 3e-4, 1e-4, 3e-5, 1e-5];
/** A variant may share the space of the model it was made from when mixing costs at most this much at 1e-3. */
const MIXED_LOSS = 0.003;
/** Fewer pairs than these say nothing about a rate of 1e-3. */
const ENOUGH_IMPOSTORS = 1_000_000;
const ENOUGH_GENUINE = 1000;

function enough({ impostorPairs, genuinePairs }: { impostorPairs: number; genuinePairs: number }): boolean {
  return impostorPairs >= ENOUGH_IMPOSTORS && genuinePairs >= ENOUGH_GENUINE;
}

/**
 * `faced model verify M [--against N] --images DIR [--pairs F] [--limit COUNT] [--svg FILE] [--write]`: parity with N,
 * accuracy on pairs, and thresholds by false match rate over all pairs of the pictures, each model for itself and mixed
 * (probe by M, gallery by N). `--write` puts the answer into the note beside M.
 */
export async function run(argv: readonly string[], io: CommandIo): Promise<ExitCode> {
  const { values, positionals } = parse(argv, {
    against: { type: 'string', default: 'mobilefacenet' },
    images: { type: 'string' },
    pairs: { type: 'string' },
    limit: { type: 'string', default: '100000' },
    svg: { type: 'string' },
    write: { type: 'boolean', default: false },
  });
  if (values.images === undefined) throw usage('verify needs --images DIR, with a folder for each person');
  const [mine, reference] = [await resolveModel(positionals[0], io), await resolveModel(values.against, io)];
  const card = reference.card ?? mine.card;
  if (card === null) throw usage('one of the two models must have a card, which says how pictures are fed');
  const files = evenly(await pictureFiles(values.images), Number(values.limit));
  const sets = await embedBoth({ io, card, files, root: values.images, models: [mine.path, reference.path] });
  const [a, b] = sets;
  if (a === undefined || b === undefined) throw new FacedError('internal', 'two models, two sets');
  const cosines = Array.from(a.paths, (_, row) => rowCosine(a, b, row));
  const pairs = values.pairs === undefined ? null : parsePairs(await readFile(values.pairs, 'utf8'));
  const own = operatingPoints(a, a, RATES);
  const theirs = operatingPoints(b, b, RATES);
  const mixed = operatingPoints(a, b, RATES);
  const at = (points: typeof own): number => points.points.find(({ fmr }) => fmr === 1e-3)?.fnmr ?? 1;
  const verdict = {
    parity: {
      mean: cosines.reduce((sum, value) => sum + value, 0) / cosines.length,
      least: cosines.reduce((low, value) => Math.min(low, value), 1),
    },
    images: a.paths.length,
    pairs:
      pairs === null
        ? null
        : {
            own: pairAccuracy(a, a, pairs),
            against: pairAccuracy(b, b, pairs),
            mixed: pairAccuracy(a, b, pairs),
          },
    own,
    against: theirs,
    mixed,
    joinsSpace: enough(mixed) && at(mixed) - at(theirs) <= MIXED_LOSS,
  };
  if (values.svg !== undefined) {
    const curve = (label: string, { points }: typeof own) => ({
      label,
      points: points.map(({ fmr, fnmr }) => [fmr, 1 - fnmr] as const),
    });
    const series = [curve(mine.label, own), curve(reference.label, theirs), curve('mixed', mixed)];
    await writeOutput(
      values.svg,
      lineChart({
        title: 'ROC over all pairs',
        x: 'false match rate',
        y: 'true match rate',
        series,
        logX: true,
      }),
    );
  }
  if (values.write) await writeVerdict(mine.path, verdict);
  const line = (label: string, points: typeof own): string =>
    `${label}: FNMR at 1e-3 ${(100 * at(points)).toFixed(2)} % over ${points.impostorPairs} impostor pairs`;
  const accuracy =
    verdict.pairs === null
      ? []
      : [
          `pairs: ${verdict.pairs.own.accuracy} (against: ${verdict.pairs.against.accuracy}, mixed: ${verdict.pairs.mixed.accuracy})`,
        ];
  io.print(
    { model: mine.label, reference: reference.label, ...verdict },
    [
      `cosine to ${reference.label}: mean ${verdict.parity.mean.toFixed(5)}, least ${verdict.parity.least.toFixed(5)}`,
      ...accuracy,
      line(mine.label, own),
      line(reference.label, theirs),
      line('mixed', mixed),
      verdict.joinsSpace ? 'may join the embedding space' : 'must not join the embedding space',
    ].join('\n'),
  );
  return 0;
}

async function embedBoth(options: {
  io: CommandIo;
  card: ModelCard;
  files: readonly string[];
  root: string;
  models: readonly string[];
}): Promise<EmbeddedSet[]> {
  const { io, card, files, root } = options;
  const store = new ModelStore({ dir: modelsDir(io.env), logger: io.log });
  const reader = new PictureReader(await openStages(store));
  const sessions = await Promise.all(options.models.map((path) => createSession(path)));
  const rows: Float32Array[][] = sessions.map(() => []);
  const paths: string[] = [];
  const bar = io.progress('pictures', files.length);
  for (const file of files) {
    io.signal.throwIfAborted();
    bar.advance();
    const { largest } = await reader.read(file);
    if (largest === null) continue;
    paths.push(relative(root, file).replaceAll('\\', '/'));
    for (const [index, session] of sessions.entries()) {
      const answer = await session.run(feedOf(session, card, largest.crop));
      const vector = Float32Array.from(Object.values(answer)[0]?.data as Float32Array);
      if (!normalise(vector))
        throw new FacedError('model.run-failed', 'the model answered a vector without direction');
      rows[index]?.push(vector);
    }
  }
  bar.stop();
  await store.releaseAll();
  for (const session of sessions) await session.release();
  if (paths.length < 2) throw new FacedError('calibration.invalid', `${root} shows ${paths.length} faces`);
  const people = paths.map((path) => path.split('/')[0] ?? path);
  return rows.map((list) => {
    const dimensions = list[0]?.length ?? 0;
    const vectors = new Float32Array(list.length * dimensions);
    list.forEach((row, index) => {
      vectors.set(row, index * dimensions);
    });
    return { paths, people, dimensions, vectors };
  });
}

function rowCosine(a: EmbeddedSet, b: EmbeddedSet, row: number): number {
  let cosine = 0;
  for (let k = row * a.dimensions; k < (row + 1) * a.dimensions; k += 1)
    cosine += (a.vectors[k] ?? 0) * (b.vectors[k] ?? 0);
  return cosine;
}

/** The note beside the file learns what was measured; a variant joins a space by this alone. */
async function writeVerdict(path: string, verdict: object): Promise<void> {
  const notePath = path.replace(/\.onnx$/, '.json');
  const text = await readFile(notePath, 'utf8').catch(() => '{}');
  const note = JSON.parse(text) as Record<string, unknown>;
  await writeOutput(notePath, `${JSON.stringify({ ...note, verified: verdict }, null, 2)}\n`);
}
