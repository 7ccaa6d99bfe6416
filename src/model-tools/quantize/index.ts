import { FacedError } from '../../domain/errors.js';
import type { SessionTensor } from '../../inference/raw-session.js';
import { removeDeadChannels } from '../dead.js';
import { cloneModel, type Model } from '../graph/index.js';
import { cosineDistance } from '../optimize.js';
import { plainForm } from '../plain.js';
import { type PReluForm, rewritePRelu } from '../prelu.js';
import { rewriteSsdEnd } from '../ssd.js';
import { correctBiases } from './bias.js';
import { type FloatChoice, keepSensitiveFloat } from './budget.js';
import { equalise } from './equalise.js';
import { fillChannels } from './fill.js';
import { headsToGemm, pointwiseToGemm } from './gemm.js';
import { type ImageForm, prepareImageInput, readImage, toBytes } from './image-input.js';
import { leanToFinding, type ScoreShift } from './lean.js';
import { type CalibrationMethod, observe, type Range, visitActivations } from './observe.js';
import { insertQdq, quantisedValues } from './qdq.js';
import { inputMoments, type Moments } from './rounding.js';
import { findStem } from './stem.js';

export interface QuantizeOptions {
  /** Inputs as the model is shown them at run time, one picture each. */
  readonly inputs: readonly Float32Array[];
  readonly method: CalibrationMethod;
  readonly equalise: boolean;
  readonly prelu: PReluForm;
  /** Four pixels of the picture as one of 12 channels: for x64, whose kernels cannot take three channels. */
  readonly wideStem: boolean;
  readonly weightMax: 127 | 63;
  /** Dead channels leave in blocks of this many. */
  readonly block: number;
  /** Nodes that stay in float, by name. */
  readonly float: ReadonlySet<string>;
  /** Further nodes stay in float, the most sensitive first, until the mean 1 − cosine of the first output is below this. */
  readonly floatBudget: number | null;
  /** Correct the biases by what rounding adds to each layer in the mean. */
  readonly correct: boolean;
  /** Round weights by how what they are multiplied by varies together; else each to the nearest step. */
  readonly byCovariance?: boolean;
  /** Take pictures as bytes (height, width, BGR or grey) in place of normalised floats, as the card says they are made. */
  readonly image: ImageForm | null;
  /** A detector's output of scores (background and face), whose mean shift is put right. */
  readonly scores?: string | null;
}

/** The float network that is quantised, and its 8-bit form. */
export interface Quantized {
  readonly float: Model;
  readonly model: Model;
  /** What a budget left in float. */
  readonly chosen: FloatChoice | null;
  readonly shift: ScoreShift | null;
}

/** Static quantisation to 8 bits in QDQ form (Jacob et al. 2018; Krishnamoorthi 2018 for scales per channel). */
export async function quantizeModel(original: Model, options: QuantizeOptions): Promise<Quantized> {
  const float = await equalised(original, options);
  refuseUnknownNames(options.float, float);
  const histograms = await observe(float, quantisedValues(float.graph, new Set()), options.inputs);
  const { method, inputs } = options;
  const ranges = new Map(
    [...histograms].map(([name, histogram]) => [name, histogram.range(method)] as const),
  );
  const moments = options.byCovariance ? await inputMoments(float, inputs) : new Map<string, Moments>();
  const { floatBudget } = options;
  const seen = { ranges, moments };
  const chosen =
    floatBudget === null
      ? null
      : await keepSensitiveFloat({
          float,
          inputs: options.inputs,
          budget: floatBudget,
          always: options.float,
          inEightBits: (names) => inEightBits(float, seen, { ...options, float: names, image: null }),
        });
  const model = await inEightBits(
    float,
    seen,
    chosen === null ? options : { ...options, float: chosen.float },
  );
  const { image, scores = null } = options;
  const pictures = {
    float,
    floatInputs: inputs,
    inputs: image === null ? inputs : inputs.map((input) => toBytes(input, image)),
  };
  if (options.correct) await correctBiases(model, pictures);
  const shift = scores === null ? null : await leanToFinding(model, { ...pictures, scores });
  return { float, model, chosen, shift };
}

function refuseUnknownNames(names: ReadonlySet<string>, { graph }: Model): void {
  const convolutions = graph.nodes.filter(({ op }) => op === 'Conv').map(({ name }) => name);
  const unknown = [...names].filter((name) => !graph.nodes.some((node) => node.name === name));
  if (unknown.length === 0) return;
  throw new FacedError('usage.invalid', `no layer has the name ${unknown.join(', ')}`, {
    fix: `name one of ${convolutions.join(', ')}`,
  });
}

/** The float network in the form that suits 8 bits. */
async function equalised(original: Model, options: QuantizeOptions): Promise<Model> {
  const float = cloneModel(original);
  await plainForm(float);
  removeDeadChannels(float, options.block);
  await pointwiseToGemm(float);
  await headsToGemm(float);
  fillChannels(float.graph);
  await rewriteSsdEnd(float);
  if (options.equalise) await equalise(float, options.inputs);
  rewritePRelu(float, options.prelu);
  return float;
}

/** A new 8-bit form of that network. */
async function inEightBits(
  prepared: Model,
  seen: { readonly ranges: ReadonlyMap<string, Range>; readonly moments: ReadonlyMap<string, Moments> },
  options: QuantizeOptions,
): Promise<Model> {
  const model = cloneModel(prepared);
  const ranges = new Map(seen.ranges);
  if (options.image !== null) ranges.set(...prepareImageInput(model, options.image));
  const stem = options.wideStem ? await findStem(model) : null;
  insertQdq(model, {
    stem,
    float: options.float,
    weightMax: options.weightMax,
    range: (name) => ranges.get(name) ?? { low: -1, high: 1 },
    moments: seen.moments,
  });
  if (options.image !== null) readImage(model, options.image);
  return model;
}

/** Cosines between the outputs of two forms of one network, output by output, over the inputs. */
export async function compare(
  a: Model,
  b: Model,
  inputs: readonly Float32Array[],
  image: ImageForm | null = null,
): Promise<{ mean: number; least: number }> {
  const outputs = a.graph.outputs.map((output) => output.name);
  const first = new Map<string, SessionTensor>();
  await visitActivations({
    model: a,
    names: outputs,
    inputs,
    visit: (name, value, index) => first.set(`${name}/${index}`, value),
  });
  const cosines: number[] = [];
  await visitActivations({
    model: b,
    names: outputs,
    inputs: image === null ? inputs : inputs.map((input) => toBytes(input, image)),
    visit: (name, value, index) => {
      const other = first.get(`${name}/${index}`);
      if (other !== undefined) cosines.push(1 - cosineDistance(other, value));
    },
  });
  return {
    mean: cosines.reduce((sum, value) => sum + value, 0) / Math.max(cosines.length, 1),
    least: Math.min(...cosines),
  };
}
