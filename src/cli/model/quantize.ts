import { join } from 'node:path';
import { FacedError } from '../../domain/errors.js';
import type { ModelCard } from '../../inference/card.js';
import { hashBytes } from '../../inference/hash.js';
import { modelsDir } from '../../inference/model-dir.js';
import { createSession } from '../../inference/raw-session.js';
import {
  processorName,
  type Target,
  targetOf,
  type VariantKind,
  type VariantNote,
  variantName,
  WORKSHOP,
} from '../../inference/variants.js';
import { SCORES_APART } from '../../model-tools/agreement.js';
import { decodeModel, encodeModel, noiseFeeds } from '../../model-tools/graph/index.js';
import { timeInTurns } from '../../model-tools/in-turns.js';
import { optimizeGraph } from '../../model-tools/optimize.js';
import { detectorFloat } from '../../model-tools/quantize/detector.js';
import { quantizeDynamic } from '../../model-tools/quantize/dynamic.js';
import { compare, quantizeModel } from '../../model-tools/quantize/index.js';
import type { CalibrationMethod } from '../../model-tools/quantize/observe.js';
import { scoresApart } from '../../model-tools/quantize/scores.js';
import { assertLoads, loadSource, refuseSource, writeWithNote } from '../../model-tools/variant.js';
import { type CommandIo, type ExitCode, parse, usage } from '../command.js';
import { calibrationFor } from './calibration.js';
import { resolveModel } from './resolve.js';

const METHODS: readonly CalibrationMethod[] = ['mse', 'minmax', 'percentile', 'entropy'];

/**
 * `faced model quantize [M] --calibration DIR [--out O.onnx] [--dynamic] [--method mse|minmax|percentile|entropy] [--image]
 * [--float NAME…] [--float-budget ERROR] [--narrow] [--force]`: the 8-bit form, with a note beside it of how it was made and how near it is to float.
 * Without `--out` it lies where `faced run` finds it, and reads pictures as bytes; it is used once `faced model verify`
 * has accepted it.
 */
export async function run(argv: readonly string[], io: CommandIo): Promise<ExitCode> {
  const { values, positionals } = parse(argv, {
    calibration: { type: 'string' },
    out: { type: 'string' },
    static: { type: 'boolean', default: false },
    dynamic: { type: 'boolean', default: false },
    method: { type: 'string' },
    image: { type: 'boolean', default: false },
    float: { type: 'string', multiple: true, default: [] },
    'float-budget': { type: 'string' },
    narrow: { type: 'boolean', default: false },
    force: { type: 'boolean', default: false },
    target: { type: 'string', default: process.arch },
  });
  const { dynamic } = values;
  const target = targetOf(values.target);
  if (target === undefined) throw usage(`--target is x64 or arm64, not ${values.target}`);
  const wished = METHODS.find((one) => one === values.method);
  if (values.method !== undefined && wished === undefined)
    throw usage(`--method is one of ${METHODS.join(', ')}`);
  const floatBudget = values['float-budget'] === undefined ? null : Number(values['float-budget']);
  if (floatBudget !== null && !(floatBudget > 0 && floatBudget < 1))
    throw usage('--float-budget is a mean 1 − cosine between 0 and 1, such as 0.003');
  if (dynamic && values.static) throw usage('--static and --dynamic exclude each other');
  const { path, label, card } = await resolveModel(positionals[0], io);
  const out = values.out ?? formBeside(card, { io, target, kind: 'int8' });
  if (!out.endsWith('.onnx')) throw usage('--out ends with .onnx');
  await refuseSource(out, path);
  const { model: original, sha256: derivedFrom } = await loadSource(path);
  if (dynamic) {
    const quantised = quantizeDynamic(await optimizeGraph(original, target));
    // Nothing has to be calibrated; with faces it is measured all the same how near it is.
    const faces =
      card === null || values.calibration === undefined
        ? null
        : await calibrationFor({ path, card }, { dir: values.calibration, limit: 64 }, io);
    const measured =
      faces === null ? {} : { faces: faces.faces, cosine: await compare(original, quantised, faces.inputs) };
    return await finish(io, {
      ...{ out, target, label },
      bytes: encodeModel(quantised),
      derivedFrom,
      made: { by: 'dynamic quantisation', ...measured },
    });
  }
  if (card === null) throw usage('static quantisation needs a model with a card, since calibration feeds it');
  if (values.calibration === undefined)
    throw usage('quantize needs --calibration DIR, a folder of photographs');
  const { mean, scale, order } = card.input;
  // Where the pipeline will find it, it reads pictures as they are if it can.
  const asBytes =
    values.image || (values.out === undefined && typeof mean === 'number' && typeof scale === 'number');
  if (values.image && (typeof mean !== 'number' || typeof scale !== 'number'))
    throw usage('--image needs a card with one mean and one scale');
  const image =
    asBytes && typeof mean === 'number' && typeof scale === 'number' ? { order, mean, scale } : null;

  const calibration = await calibrationFor({ path, card }, { dir: values.calibration }, io);
  const { inputs } = calibration;
  const isDetector = card.role === 'detector';
  const kept = isDetector ? detectorFloat(original.graph) : [];
  // A detector knows a face by few and large values among many of a background: clipping those costs the faces.
  const method = wished ?? (isDetector ? 'minmax' : 'mse');
  const float = new Set([...values.float, ...kept]);
  const { model, chosen, shift } = await quantizeModel(original, {
    inputs,
    method,
    equalise: true,
    prelu: 'convMax',
    wideStem: target === 'x64',
    weightMax: values.narrow ? 63 : 127,
    block: 16,
    float,
    floatBudget,
    correct: true,
    byCovariance: isDetector,
    image,
    scores: card.output.form === 'ultraface' ? card.output.scores : null,
  });
  const cosine = await compare(original, model, inputs.slice(0, 64), image);
  const score =
    card.output.form === 'liveness'
      ? await scoresApart({ float: original, quantised: model, image }, inputs, card.output)
      : null;
  if (score !== null && score > SCORES_APART && !values.force)
    throw new FacedError(
      'model.not-equal',
      `in 8 bits the scores of ${label} differ from FP32 by ${score.toFixed(3)} in the mean over ${calibration.faces} faces; at most ${SCORES_APART} is allowed`,
      { fix: 'keep this model in float, or write the file all the same with --force' },
    );
  const bytes = encodeModel(model);
  const speed =
    target === process.arch ? await speedOf(bytes, encodeModel(await optimizeGraph(original, target))) : null;
  return await finish(io, {
    out,
    bytes,
    target,
    speed,
    derivedFrom,
    label,
    made: {
      by: `static quantisation, QDQ, scales per channel, cross-layer equalisation, ${isDetector ? 'rounding by covariance, ' : ''}bias correction`,
      method,
      faces: calibration.faces,
      pictures: calibration.pictures,
      weightBits: values.narrow ? 7 : 8,
      float: [...(chosen?.float ?? float)],
      ...(chosen === null
        ? {}
        : {
            floatBudget,
            errorBefore: chosen.before,
            error: chosen.after,
            sensitivities: chosen.sensitivities,
          }),
      ...(score === null ? {} : { scoresApart: score }),
      ...(shift === null ? {} : { scoreShift: shift }),
      input: image === null ? 'float32' : 'uint8 [N, height, width, channels], BGR or grey',
      cosine,
    },
  });
}

/** Where `faced run` looks for a form of a model. */
export function formBeside(
  card: ModelCard | null,
  { io, target, kind }: { io: CommandIo; target: Target; kind: VariantKind },
): string {
  if (card === null) throw usage('a file without a card needs --out O.onnx');
  return join(modelsDir(io.env), variantName(card.id, target, 'onnx', kind));
}

const TURNS = 60;

/** How many times faster one form runs than another, in turns; the least time of each, which a busy machine disturbs least. */
async function speedOf(bytes: Uint8Array, float: Uint8Array): Promise<VariantNote['speed']> {
  const entries = await Promise.all(
    [bytes, float].map(async (one) => ({
      session: await createSession(one),
      feeds: noiseFeeds(decodeModel(one).graph.inputs, { batch: 1, scale: 1 }),
    })),
  );
  const [[mine = 1] = [], [other = 1] = []] = await timeInTurns(entries, { runs: TURNS });
  for (const { session } of entries) await session.release();
  return { timesFloat: Math.round((100 * other) / mine) / 100, processor: processorName() };
}

/** Writes the file and its note, once it is known that it can be loaded, and says both. */
export async function finish(
  io: CommandIo,
  result: {
    out: string;
    bytes: Uint8Array;
    /** SHA-256 of the file that it was made from. */
    derivedFrom: string;
    label: string;
    made: object;
    target?: Target;
    speed?: VariantNote['speed'] | null;
    /** What else stands beside the model, as JSON. */
    beside?: readonly { readonly path: string; readonly content: object }[];
  },
): Promise<ExitCode> {
  const {
    out,
    bytes,
    derivedFrom,
    label,
    made,
    target = targetOf(process.arch) ?? 'x64',
    speed = null,
    beside = [],
  } = result;
  await assertLoads(bytes);
  const note = {
    file: out.split('/').at(-1) ?? out,
    sha256: hashBytes(bytes),
    bytes: bytes.byteLength,
    target,
    derivedFrom,
    workshop: WORKSHOP,
    made,
    ...(speed === null ? {} : { speed }),
  };
  await writeWithNote(out, bytes, { path: out.replace(/\.onnx$/, '.json'), content: note }, ...beside);
  const details = Object.entries(made).map(([key, value]) => `  ${key}: ${JSON.stringify(value)}`);
  io.print({ model: label, out, ...note }, [`${out}: ${note.bytes} bytes`, ...details].join('\n'));
  return 0;
}
