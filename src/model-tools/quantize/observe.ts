import { createSession, type SessionTensor } from '../../inference/raw-session.js';
import { encodeModel, type Model, withOutputs } from '../graph/index.js';
import { watchRuns } from '../watch.js';

/** How the range of an activation is chosen from what calibration saw. */
export type CalibrationMethod = 'mse' | 'minmax' | 'percentile' | 'entropy';

/** Values outside are clipped. */
export interface Range {
  readonly low: number;
  readonly high: number;
}

const BINS = 2048;
/** Share of the values that the percentile method keeps. */
const KEPT = 0.9999;
const LEVELS = 255;
/** The entropy method clips nowhere before this many bins, which have a level each. */
const LEAST_BINS = 128;

/** A histogram of one value over all calibration pictures. */
export class Histogram {
  low = 0;
  high = 0;
  #counts = new Float64Array(BINS);

  /** First pass. */
  widen(data: ArrayLike<number>): void {
    let [low, high] = [this.low, this.high];
    for (let at = 0; at < data.length; at += 1) {
      const value = data[at] as number;
      if (value < low) low = value;
      if (value > high) high = value;
    }
    this.low = low;
    this.high = high;
  }

  /** Second pass, when the range is known. */
  count(data: ArrayLike<number>): void {
    const { low, high } = this;
    if (high <= low) return;
    const scale = BINS / (high - low);
    const counts = this.#counts;
    for (let at = 0; at < data.length; at += 1) {
      const bin = Math.min(BINS - 1, ((data[at] as number) - low) * scale) | 0;
      counts[bin] = (counts[bin] as number) + 1;
    }
  }

  range(method: CalibrationMethod): Range {
    if (this.high <= this.low) return { low: 0, high: 1 };
    switch (method) {
      case 'minmax':
        return { low: this.low, high: this.high };
      case 'percentile':
        return this.#percentile();
      case 'mse':
        return this.#leastSquares();
      case 'entropy':
        return this.#entropy();
    }
  }

  #percentile(): Range {
    const total = this.#counts.reduce((sum, count) => sum + count, 0);
    const spare = ((1 - KEPT) / 2) * total;
    const step = (this.high - this.low) / BINS;
    let [below, low] = [0, 0];
    while (low < BINS && below + (this.#counts[low] ?? 0) <= spare) below += this.#counts[low++] ?? 0;
    let [above, high] = [0, BINS];
    while (high > low && above + (this.#counts[high - 1] ?? 0) <= spare) above += this.#counts[--high] ?? 0;
    return { low: Math.min(0, this.low + low * step), high: Math.max(0, this.low + high * step) };
  }

  /** The range with the least squared error of rounding (step²/12 inside) and clipping together (Banner et al. 2019). */
  #leastSquares(): Range {
    let best = { low: this.low, high: this.high, error: Number.POSITIVE_INFINITY };
    for (let lowStep = 0; lowStep < 24; lowStep += 1) {
      const low = this.low * (1 - lowStep / 32);
      for (let highStep = 0; highStep < 28; highStep += 1) {
        const high = this.high * (1 - highStep / 32);
        const error = this.#error(low, high);
        if (error < best.error) best = { low, high, error };
      }
      if (this.low === 0) break;
    }
    return { low: best.low, high: best.high };
  }

  #error(low: number, high: number): number {
    const counts = this.#counts;
    const width = (this.high - this.low) / BINS;
    const step = (high - low) / LEVELS;
    const first = Math.max(0, Math.floor((low - this.low) / width));
    const last = Math.min(BINS, Math.ceil((high - this.low) / width));
    let [clipped, inside] = [0, 0];
    for (let bin = 0; bin < first; bin += 1)
      clipped += (counts[bin] as number) * (low - (this.low + (bin + 0.5) * width)) ** 2;
    for (let bin = last; bin < BINS; bin += 1)
      clipped += (counts[bin] as number) * (this.low + (bin + 0.5) * width - high) ** 2;
    for (let bin = first; bin < last; bin += 1) inside += counts[bin] as number;
    return clipped + (inside * step * step) / 12;
  }

  /**
   * The clip whose 8-bit form loses the least information (Kullback-Leibler; Migacz 2017), found on magnitudes: a side
   * that ends before the clip keeps its end. What is exactly zero is left out, as it needs no steps and would, behind
   * a Relu, outweigh all the rest.
   */
  #entropy(): Range {
    const width = (this.high - this.low) / BINS;
    const limit = Math.max(-this.low, this.high);
    // Bins as wide as those of the histogram: with finer ones every second would be empty.
    const magnitudes = new Float64Array(Math.max(LEAST_BINS, Math.ceil(limit / width)));
    this.#counts.forEach((count, bin) => {
      const at = Math.min(magnitudes.length - 1, Math.floor(Math.abs(this.low / width + bin + 0.5)));
      magnitudes[at] = (magnitudes[at] ?? 0) + count;
    });
    magnitudes[0] = magnitudes[1] ?? 0;
    let best = { clip: limit, loss: Number.POSITIVE_INFINITY };
    for (let bins = LEAST_BINS; bins <= magnitudes.length; bins += 16) {
      const clip = Math.min(limit, bins * width);
      const span = Math.min(clip, -this.low) + Math.min(clip, this.high);
      const loss = divergence(magnitudes, bins, Math.round((LEVELS * clip) / span));
      if (loss < best.loss) best = { clip, loss };
    }
    return { low: Math.max(this.low, -best.clip), high: Math.min(this.high, best.clip) };
  }
}

/** KL divergence between the first `bins` (what lies beyond added to the last) and their form in so many levels. */
function divergence(magnitudes: Float64Array, bins: number, levels: number): number {
  const inside = magnitudes.subarray(0, bins);
  const reference = Float64Array.from(inside);
  const beyond = magnitudes.subarray(bins).reduce((sum, value) => sum + value, 0);
  reference[bins - 1] = (reference[bins - 1] ?? 0) + beyond;
  const quantised = new Float64Array(bins);
  for (let level = 0; level < levels; level += 1) {
    const [from, to] = [Math.floor((level * bins) / levels), Math.floor(((level + 1) * bins) / levels)];
    const part = inside.subarray(from, to);
    const used = part.reduce((count, value) => count + (value > 0 ? 1 : 0), 0);
    const share = used === 0 ? 0 : part.reduce((sum, value) => sum + value, 0) / used;
    for (let at = from; at < to; at += 1) quantised[at] = (inside[at] ?? 0) > 0 ? share : 0;
  }
  const [p, q] = [reference.reduce((a, b) => a + b, 0), quantised.reduce((a, b) => a + b, 0)];
  if (q === 0) return Number.POSITIVE_INFINITY;
  let loss = 0;
  for (let at = 0; at < bins; at += 1) {
    const mine = (reference[at] ?? 0) / p;
    const theirs = (quantised[at] ?? 0) / q;
    if (mine > 0) loss += mine * Math.log(mine / Math.max(theirs, 1e-12));
  }
  return loss;
}

/** Visits chosen values of the graph for each input, one at a time. */
export async function visitActivations(options: {
  readonly model: Model;
  readonly names: readonly string[];
  readonly inputs: readonly (Float32Array | Uint8Array)[];
  readonly visit: (name: string, value: SessionTensor, index: number) => void;
  /** `all` runs an 8-bit model on its 8-bit kernels; `disabled`, unless told, computes each node by itself. */
  readonly optimisation?: 'disabled' | 'all';
}): Promise<void> {
  const { model, names, inputs, visit, optimisation = 'disabled' } = options;
  const [input] = model.graph.inputs;
  if (input === undefined) throw new TypeError('the model has no input');
  const fromGraph = names.filter((name) => name !== input.name);
  const dims = [1, ...input.dims.slice(1).map((dim) => (typeof dim === 'number' ? dim : 1))];
  const session = await createSession(encodeModel(withOutputs(model, fromGraph)), {
    optimisation,
  });
  const beforeRun = watchRuns(inputs.length);
  try {
    for (const [index, data] of inputs.entries()) {
      beforeRun();
      const feed: SessionTensor = { type: data instanceof Uint8Array ? 'uint8' : 'float32', dims, data };
      const values = await session.run({ [input.name]: feed });
      if (names.includes(input.name)) visit(input.name, feed, index);
      for (const [name, value] of Object.entries(values)) visit(name, value, index);
    }
  } finally {
    await session.release();
  }
}

/** Histograms of chosen values, in two passes over the inputs. */
export async function observe(
  model: Model,
  names: readonly string[],
  inputs: readonly Float32Array[],
): Promise<Map<string, Histogram>> {
  const histograms = new Map(names.map((name) => [name, new Histogram()]));
  const pass = (take: (histogram: Histogram, value: SessionTensor) => void): Promise<void> =>
    visitActivations({
      model,
      names,
      inputs,
      visit: (name, value) => {
        const histogram = histograms.get(name);
        if (histogram !== undefined && value.type === 'float32') take(histogram, value);
      },
    });
  await pass((histogram, value) => histogram.widen(value.data as Float32Array));
  await pass((histogram, value) => histogram.count(value.data as Float32Array));
  return histograms;
}
