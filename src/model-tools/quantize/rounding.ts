import { constantInput, intAttribute, intsAttribute, type Model, type Node } from '../graph/index.js';
import { visitActivations } from './observe.js';

/** How what a layer's outputs read varies together, over the calibration pictures. */
export interface Moments {
  /** Weights of one output. */
  readonly size: number;
  /** Covariances [size, size], row-major: one for all outputs, or one for each channel of a depthwise layer. */
  readonly covariances: readonly Float64Array[];
}

/** Pictures that covariances are taken over, and places of a map in each. */
const PICTURES = 64;
const PLACES = 100;
/** Layers with more weights to an output than this are rounded one weight at a time: their covariance would be too large. */
const MOST = 640;
/** Added to the diagonal, as a share of its mean: what few pictures say must not be believed to the last digit. */
const DAMPING = 0.01;
/** Passes over the weights of an output; it stands still after a few. */
const PASSES = 20;
/** Steps of the scale that are tried, from the one that clips nothing downwards. */
const SCALES = 9;
const SCALE_STEP = 0.04;

interface Sum {
  readonly layer: Node;
  readonly size: number;
  readonly depthwise: boolean;
  readonly kernel: readonly [number, number];
  readonly products: Float64Array[];
  readonly means: Float64Array[];
  count: number;
}

/**
 * Covariances of the inputs of convolutions and matrix products, by the layer's name. Layers that read the picture itself
 * are left out (their weights change with the form of the picture), and those with too many weights to an output.
 */
export async function inputMoments(
  model: Model,
  inputs: readonly Float32Array[],
): Promise<Map<string, Moments>> {
  const { graph } = model;
  const byInput = new Map<string, Sum[]>();
  for (const layer of graph.nodes) {
    const sum = emptySum(model, layer);
    const [input = ''] = layer.inputs;
    if (sum === null || graph.inputs.some(({ name }) => name === input)) continue;
    byInput.set(input, [...(byInput.get(input) ?? []), sum]);
  }
  await visitActivations({
    model,
    names: [...byInput.keys()],
    inputs: inputs.slice(0, PICTURES),
    visit: (name, { dims, data }, picture) => {
      for (const sum of byInput.get(name) ?? []) add(sum, { dims, data: data as Float32Array, picture });
    },
  });
  const sums = [...byInput.values()].flat().filter((sum) => sum.count > 0);
  return new Map(sums.map((sum) => [sum.layer.name, momentsOf(sum)]));
}

function emptySum({ graph }: Model, layer: Node): Sum | null {
  const dims = constantInput(graph, layer, 1)?.dims ?? [];
  const group = intAttribute(layer, 'group', 1);
  const depthwise = group > 1;
  const [outputs = 0, channels = 0, high = 1, wide = 1] = dims;
  const rows = layer.op === 'Conv' || (layer.op === 'Gemm' && intAttribute(layer, 'transB', 0) === 1);
  const size = channels * high * wide;
  if (!rows || size === 0 || size > MOST || layer.attributes.has('auto_pad')) return null;
  if (depthwise && (channels !== 1 || group !== outputs)) return null;
  const groups = depthwise ? outputs : 1;
  return {
    layer,
    size,
    depthwise,
    kernel: [high, wide],
    products: Array.from({ length: groups }, () => new Float64Array(size * size)),
    means: Array.from({ length: groups }, () => new Float64Array(size)),
    count: 0,
  };
}

/** Adds what the layer reads at places spread evenly over its output, others in each picture. */
function add(
  sum: Sum,
  value: { readonly dims: readonly number[]; readonly data: Float32Array; readonly picture: number },
): void {
  const { layer, size, depthwise, kernel, products, means } = sum;
  const [, channels = 1, height = 1, width = 1] = value.dims;
  const [down = 1, right = 1] = intsAttribute(layer, 'strides', [1, 1]);
  const [top = 0, left = 0, bottom = 0, end = 0] = intsAttribute(layer, 'pads', [0, 0, 0, 0]);
  const [dilateDown = 1, dilateRight = 1] = intsAttribute(layer, 'dilations', [1, 1]);
  const rows = Math.floor((height + top + bottom - dilateDown * (kernel[0] - 1) - 1) / down) + 1;
  const columns = Math.floor((width + left + end - dilateRight * (kernel[1] - 1) - 1) / right) + 1;
  const places = Math.min(PLACES, rows * columns);
  const patch = new Float64Array(size);
  // The golden ratio spreads the beginnings of successive pictures evenly.
  const begin = (value.picture * 0.618034) % 1;
  for (let place = 0; place < places; place += 1) {
    const at = Math.floor(((place + begin) * rows * columns) / places);
    const [y, x] = [Math.floor(at / columns) * down - top, (at % columns) * right - left];
    for (let group = 0; group < products.length; group += 1) {
      let element = 0;
      const [from, to] = depthwise ? [group, group + 1] : [0, channels];
      for (let channel = from; channel < to; channel += 1)
        for (let row = 0; row < kernel[0]; row += 1)
          for (let column = 0; column < kernel[1]; column += 1) {
            const [v, u] = [y + row * dilateDown, x + column * dilateRight];
            const inside = v >= 0 && u >= 0 && v < height && u < width;
            patch[element] = inside ? (value.data[(channel * height + v) * width + u] ?? 0) : 0;
            element += 1;
          }
      accumulate(patch, products[group], means[group]);
    }
    sum.count += 1;
  }
}

/** Adds to the lower triangle of the products, and to the sums. */
function accumulate(
  patch: Float64Array,
  products: Float64Array | undefined,
  means: Float64Array | undefined,
): void {
  if (products === undefined || means === undefined) return;
  const size = patch.length;
  for (let row = 0; row < size; row += 1) {
    const value = patch[row] as number;
    if (value === 0) continue;
    means[row] = (means[row] as number) + value;
    for (let column = 0; column <= row; column += 1)
      products[row * size + column] =
        (products[row * size + column] as number) + value * (patch[column] as number);
  }
}

function momentsOf({ size, products, means, count }: Sum): Moments {
  return {
    size,
    covariances: products.map((product, group) => {
      const sums = means[group] ?? new Float64Array(size);
      const covariance = new Float64Array(size * size);
      for (let row = 0; row < size; row += 1)
        for (let column = 0; column <= row; column += 1) {
          const mean = ((sums[row] ?? 0) / count) * ((sums[column] ?? 0) / count);
          const value = (product[row * size + column] ?? 0) / count - mean;
          covariance[row * size + column] = value;
          covariance[column * size + row] = value;
        }
      let trace = 0;
      for (let at = 0; at < size; at += 1) trace += covariance[at * size + at] ?? 0;
      for (let at = 0; at < size; at += 1)
        covariance[at * size + at] = (covariance[at * size + at] ?? 0) + (DAMPING * trace) / size + 1e-12;
      return covariance;
    }),
  };
}

/**
 * One output's weights in 8 bits so that its answer, not each weight, is nearest: e'Ce of the errors e and the covariance
 * C of what they are multiplied by, weight after weight until none moves (Zhang et al. 2024, COMQ; the same measure as in
 * Frantar et al. 2022, GPTQ). The mean is left to the bias. A kernel that takes differences between neighbours, which
 * are nearly alike, is rounded so that its errors cancel.
 */
export function roundRow(
  row: ArrayLike<number>,
  covariance: Float64Array,
  weightMax: number,
): { readonly values: Int8Array; readonly scale: number } {
  const size = row.length;
  let most = 0;
  for (let at = 0; at < size; at += 1) most = Math.max(most, Math.abs(row[at] ?? 0));
  if (most === 0) return { values: new Int8Array(size), scale: Math.fround(1 / weightMax) };
  let best: { values: Int8Array; scale: number; error: number } = {
    values: new Int8Array(size),
    scale: 0,
    error: Number.POSITIVE_INFINITY,
  };
  for (let step = 0; step < SCALES; step += 1) {
    const scale = Math.fround(((1 - step * SCALE_STEP) * most) / weightMax);
    const { values, error } = descend(row, covariance, { scale, weightMax });
    if (error < best.error) best = { values, scale, error };
  }
  return best;
}

function descend(
  row: ArrayLike<number>,
  covariance: Float64Array,
  { scale, weightMax }: { scale: number; weightMax: number },
): { values: Int8Array; error: number } {
  const size = row.length;
  const clip = (value: number): number => Math.max(-weightMax, Math.min(weightMax, value));
  const values = Int8Array.from(row, (value) => clip(Math.round(value / scale)));
  const errors = Float64Array.from(row, (value, at) => (values[at] ?? 0) * scale - value);
  // Half the gradient of the error.
  const slope = new Float64Array(size);
  for (let at = 0; at < size; at += 1) {
    let sum = 0;
    for (let other = 0; other < size; other += 1)
      sum += (covariance[at * size + other] as number) * (errors[other] as number);
    slope[at] = sum;
  }
  for (let pass = 0, moved = true; pass < PASSES && moved; pass += 1) {
    moved = false;
    for (let at = 0; at < size; at += 1) {
      const curve = covariance[at * size + at] as number;
      const before = values[at] as number;
      const after = clip(before + Math.round(-(slope[at] as number) / (curve * scale)));
      const change = (after - before) * scale;
      if (change === 0 || change * (2 * (slope[at] as number) + change * curve) >= 0) continue;
      values[at] = after;
      errors[at] = (errors[at] as number) + change;
      for (let other = 0; other < size; other += 1)
        slope[other] = (slope[other] as number) + (covariance[at * size + other] as number) * change;
      moved = true;
    }
  }
  let error = 0;
  for (let at = 0; at < size; at += 1) error += (errors[at] as number) * (slope[at] as number);
  return { values, error };
}
