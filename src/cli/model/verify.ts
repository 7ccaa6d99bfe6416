import { readFile } from 'node:fs/promises';
import { FacedError } from '../../domain/errors.js';
import type { ModelCard } from '../../inference/card.js';
import { modelsDir } from '../../inference/model-dir.js';
import { ModelStore } from '../../inference/store.js';
import { type EmbeddedSet, operatingPoints, pairAccuracy } from '../../model-tools/accuracy.js';
import { compareStages } from '../../model-tools/agreement.js';
import { CURVE_RATES, curvePoints, type Measured, told } from '../../model-tools/curve.js';
import { evenly, pictureFiles } from '../../model-tools/faces.js';
import { loadModel } from '../../model-tools/graph/index.js';
import { lineChart } from '../../model-tools/svg.js';
import { writeOutput } from '../../model-tools/variant.js';
import { embedSets, parity } from '../../model-tools/verify-sets.js';
import { parsePairs } from '../../vision/evaluate.js';
import { type CommandIo, type ExitCode, parse, usage } from '../command.js';
import { demoPhotographs } from './calibration.js';
import { type NamedModel, resolveModel } from './resolve.js';

/** A variant may share the space of the model it was made from when mixing costs at most this much at 1e-3. */
const MIXED_LOSS = 0.003;
/** Fewer pairs than these say nothing about a rate of 1e-3. */
const ENOUGH_IMPOSTORS = 1_000_000;
const ENOUGH_GENUINE = 1000;

type Points = Measured;

/**
 * `faced model verify M [--against N] [--images DIR [--pairs F] [--limit COUNT]] [--looks 1|2] [--svg FILE] [--dry]`:
 * parity with N on the demo's photographs, or, with `--images`, on those; then also accuracy on pairs, and thresholds by
 * false match rate over all pairs of the pictures, each model for itself and mixed (probe by M, gallery by N). What was
 * measured on pictures goes into the note or card beside the file M, and the ROC beside it as a picture, unless `--dry`.
 * Of a detector, landmarks or a liveness model, what it finds in the pictures is compared with what N finds.
 */
export async function run(argv: readonly string[], io: CommandIo): Promise<ExitCode> {
  const { values, positionals } = parse(argv, {
    against: { type: 'string' },
    images: { type: 'string' },
    pairs: { type: 'string' },
    limit: { type: 'string', default: '100000' },
    looks: { type: 'string', default: '2' },
    svg: { type: 'string' },
    dry: { type: 'boolean', default: false },
    // What --dry leaves out was asked for by this once.
    write: { type: 'boolean', default: false },
  });
  if (values.looks !== '1' && values.looks !== '2') throw usage('--looks is 1 or 2');
  if (values.pairs !== undefined && values.images === undefined) throw usage('--pairs needs --images DIR');
  const mine = await resolveModel(positionals[0], io);
  const reference = await resolveModel(values.against ?? mine.stock ?? undefined, io);
  const card = mine.card ?? reference.card;
  if (card === null) throw usage('one of the two models must have a card, which says how pictures are fed');
  // Whatever is wrong with a file is said here, in the words of the other commands.
  for (const { path } of [mine, reference]) await loadModel(path);
  const dir = modelsDir(io.env);
  const files =
    values.images === undefined
      ? demoFiles(io)
      : evenly(await pictureFiles(values.images), Number(values.limit));
  const bar = io.progress('pictures', files.length);
  if (card.role !== 'recogniser') {
    const agreement = await compareStages({
      ...{ store: new ModelStore({ dir, logger: io.log }), card, files },
      models: [mine.path, reference.path],
      signal: io.signal,
      onPicture: () => bar.advance(),
    }).finally(() => bar.stop());
    const verified = { arch: process.arch, ...agreement };
    const written = values.dry || values.images === undefined ? null : await writeNote(mine.path, verified);
    io.print(
      { model: mine.label, reference: reference.label, ...verified, written },
      Object.entries(agreement)
        .map(([key, value]) => `${key}: ${value}`)
        .join('\n'),
    );
    return 0;
  }
  const [a, b] = await embedSets({
    store: new ModelStore({ dir, logger: io.log }),
    card,
    files,
    root: values.images ?? null,
    models: [mine.path, reference.path],
    looks: values.looks === '1' ? 1 : 2,
    signal: io.signal,
    onPicture: () => bar.advance(),
  }).finally(() => bar.stop());
  if (a === undefined || b === undefined) throw new FacedError('internal', 'two models, two sets');
  const comparable = a.dimensions === b.dimensions;
  const likeness = comparable ? parity(a, b) : null;
  const head = {
    model: mine.label,
    reference: reference.label,
    images: a.paths.length,
    looks: Number(values.looks),
  };
  const sentence =
    likeness === null
      ? `${a.dimensions} and ${b.dimensions} floats cannot be compared`
      : `cosine to ${reference.label}: mean ${likeness.mean.toFixed(5)}, least ${likeness.least.toFixed(5)}`;
  if (values.images === undefined) {
    io.print({ ...head, parity: likeness, pairs: null }, `${sentence} (${a.paths.length} faces of the demo)`);
    return 0;
  }
  const pairs = values.pairs === undefined ? null : parsePairs(await readFile(values.pairs, 'utf8'));
  const verdict = judge({ a, b, comparable, pairs });
  const answer = { ...head, parity: likeness, ...verdict };
  const written = values.dry ? null : await writeVerdict(mine, { ...answer, people: new Set(a.people).size });
  const svg = values.svg ?? (written === null ? undefined : mine.path.replace(/\.onnx$/, '.roc.svg'));
  if (svg !== undefined) await writeOutput(svg, rocChart(mine.label, reference.label, verdict));
  io.print(
    { ...answer, written, svg: svg ?? null },
    [sentence, ...sentences(mine, reference, verdict)].join('\n'),
  );
  return 0;
}

function demoFiles(io: CommandIo): string[] {
  const demo = demoPhotographs(io);
  if (demo !== null) return demo.files;
  throw usage('verify needs photographs', 'name --images DIR, or run: faced model fetch --demo');
}

function judge({
  a,
  b,
  comparable,
  pairs,
}: {
  a: EmbeddedSet;
  b: EmbeddedSet;
  comparable: boolean;
  pairs: Parameters<typeof pairAccuracy>[2] | null;
}) {
  const own = told(operatingPoints(a, a, CURVE_RATES));
  const against = told(operatingPoints(b, b, CURVE_RATES));
  const mixed = comparable ? told(operatingPoints(a, b, CURVE_RATES)) : null;
  const joins = mixed !== null && enough(mixed) && fnmrAt(mixed) - fnmrAt(against) <= MIXED_LOSS;
  return {
    pairs:
      pairs === null
        ? null
        : {
            own: pairAccuracy(a, a, pairs),
            against: pairAccuracy(b, b, pairs),
            mixed: comparable ? pairAccuracy(a, b, pairs) : null,
          },
    own,
    against,
    mixed,
    joinsSpace: joins,
    // What a variant's note is asked for before `faced run` takes it: on which kind of processor, and whether at all.
    arch: process.arch,
    enough: mixed === null || enough(mixed),
    accepted: joins && fnmrAt(own) - fnmrAt(against) <= MIXED_LOSS,
  };
}

type Verdict = ReturnType<typeof judge>;

function enough({ impostorPairs, genuinePairs }: Points): boolean {
  return impostorPairs >= ENOUGH_IMPOSTORS && genuinePairs >= ENOUGH_GENUINE;
}

function fnmrAt({ points }: Points): number {
  return points.find(({ fmr }) => fmr === 1e-3)?.fnmr ?? Number.NaN;
}

function sentences(mine: NamedModel, reference: NamedModel, verdict: Verdict): string[] {
  const { pairs, own, against, mixed, joinsSpace } = verdict;
  const line = (label: string, points: Points): string =>
    `${label}: FNMR at 1e-3 ${(100 * fnmrAt(points)).toFixed(2)} % over ${points.impostorPairs} impostor pairs`;
  const percent = (one: { accuracy: number } | null): string =>
    one === null ? 'not comparable' : `${(100 * one.accuracy).toFixed(2)} %`;
  return [
    ...(pairs === null
      ? []
      : [
          `pairs: ${percent(pairs.own)} (against: ${percent(pairs.against)}, mixed: ${percent(pairs.mixed)})`,
        ]),
    line(mine.label, own),
    line(reference.label, against),
    ...(mixed === null ? [] : [line('mixed', mixed)]),
    joinsSpace ? 'may join the embedding space' : 'must not join the embedding space',
  ];
}

function rocChart(mine: string, reference: string, { own, against, mixed }: Verdict): string {
  const curve = (label: string, { points }: Points) => ({
    label,
    points: points.map(({ fmr, fnmr }) => [fmr, 1 - fnmr] as const),
  });
  const series = [
    curve(mine, own),
    curve(reference, against),
    ...(mixed === null ? [] : [curve('mixed', mixed)]),
  ];
  return lineChart({
    title: 'ROC over all pairs',
    x: 'false match rate',
    y: 'true match rate',
    series,
    logX: true,
  });
}

/**
 * A variant's note learns what was measured, by which alone it joins a space; a recogniser's own card learns its curve,
 * by which faced sets thresholds, when enough pairs stand behind it. The cards that come with faced are left alone.
 * Answers the file that was written.
 */
async function writeVerdict(
  mine: NamedModel,
  measured: Verdict & { images: number; people: number; looks: number },
): Promise<string | null> {
  const path = mine.path.replace(/\.onnx$/, '.json');
  const text = await readFile(path, 'utf8').catch(() => null);
  if (text === null) return null;
  const content = JSON.parse(text) as Record<string, unknown>;
  if (!('role' in content)) return writeNote(mine.path, measured);
  if (!enough(measured.own)) return null;
  const curve: NonNullable<ModelCard['curve']> = {
    data: 'every pair of the pictures given to faced model verify, one picture against one',
    procedure: `the main face, its crop ${measured.looks === 2 ? 'and the mirrored crop added' : 'alone'}`,
    people: measured.people,
    images: measured.images,
    impostorPairs: measured.own.impostorPairs,
    genuinePairs: measured.own.genuinePairs,
    points: curvePoints(measured.own),
  };
  await writeOutput(path, `${JSON.stringify({ ...content, curve }, null, 2)}\n`);
  return path;
}

/** Into the note beside a variant; null when there is none. */
async function writeNote(model: string, verified: object): Promise<string | null> {
  const path = model.replace(/\.onnx$/, '.json');
  const text = await readFile(path, 'utf8').catch(() => null);
  const content: unknown = text === null ? null : JSON.parse(text);
  if (!(content instanceof Object) || 'role' in content) return null;
  await writeOutput(path, `${JSON.stringify({ ...content, verified }, null, 2)}\n`);
  return path;
}
