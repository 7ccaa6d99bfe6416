import { int32Tensor, type Model, type Node, numbers, producers } from '../graph/index.js';
import { visitActivations } from './observe.js';

/** Pictures that means are taken over: more move a bias by less than its own step. */
const PICTURES = 64;

/**
 * Bias correction (Nagel et al. 2019, section 4.2, in its empirical form, appendix D): what each convolution and matrix
 * product says too much in the mean over the calibration pictures, because its weights and inputs were rounded, leaves
 * its bias. Layer by layer from the input, since a layer's inputs are right only when the biases before it are. In
 * place; costs nothing when the model runs. Answers how many layers were corrected.
 */
export async function correctBiases(
  model: Model,
  { float, inputs, floatInputs }: BiasCorrection,
): Promise<number> {
  const { graph } = model;
  const wanted = new Map(float.graph.nodes.map((node) => [node.name, node.outputs[0] ?? '']));
  const layers = graph.nodes.filter(
    (node) => quantisedBias(model, node) !== undefined && wanted.has(node.name),
  );
  const reference = await channelMeans(
    float,
    layers.map((node) => wanted.get(node.name) ?? ''),
    floatInputs.slice(0, PICTURES),
  );
  for (const node of layers) {
    const bias = quantisedBias(model, node);
    const [output = ''] = node.outputs;
    const right = reference.get(wanted.get(node.name) ?? '');
    const means = (await channelMeans(model, [output], inputs.slice(0, PICTURES))).get(output);
    if (bias === undefined || right === undefined || means === undefined) continue;
    // The widened stem gives each channel several times, for neighbouring pixels.
    const each = means.length / right.length;
    const seen = right.map((_, channel) => {
      let sum = 0;
      for (let at = channel; at < means.length; at += right.length) sum += means[at] ?? 0;
      return sum / each;
    });
    const corrected = bias.stored.map((value, channel) => {
      const at = channel % right.length;
      return value + Math.round(((right[at] ?? 0) - (seen[at] ?? 0)) / (bias.scales[channel] ?? 1));
    });
    graph.initializers.set(bias.name, int32Tensor([corrected.length], corrected));
  }
  return layers.length;
}

export interface BiasCorrection {
  /** The float network, whose nodes bear the same names. */
  readonly float: Model;
  /** Calibration pictures as the 8-bit model reads them, and as the float one does. */
  readonly inputs: readonly (Float32Array | Uint8Array)[];
  readonly floatInputs: readonly Float32Array[];
}

/** A layer's int32 bias, its name, and its scale for each channel. */
export function quantisedBias({ graph }: Model, layer: Node) {
  const node = producers(graph).get(layer.inputs[2] ?? '');
  const [name = '', scale = ''] = node?.inputs ?? [];
  const [stored, scales] = [graph.initializers.get(name), graph.initializers.get(scale)];
  if (node?.op !== 'DequantizeLinear' || stored?.type !== 'int32' || scales === undefined) return undefined;
  return { name, stored: numbers(stored), scales: numbers(scales) };
}

/** The mean of each channel (second dimension) of chosen values over all inputs and positions. */
async function channelMeans(
  model: Model,
  names: readonly string[],
  inputs: readonly (Float32Array | Uint8Array)[],
): Promise<Map<string, Float64Array>> {
  const sums = new Map<string, Float64Array>();
  await visitActivations({
    model,
    names,
    inputs,
    optimisation: 'all',
    visit: (name, { dims, data }) => {
      const channels = dims[1] ?? 1;
      const area = data.length / channels;
      const sum = sums.get(name) ?? new Float64Array(channels);
      sums.set(name, sum);
      for (let channel = 0; channel < channels; channel += 1) {
        let total = 0;
        for (let at = channel * area; at < (channel + 1) * area; at += 1) total += data[at] as number;
        sum[channel] = (sum[channel] ?? 0) + total / area / inputs.length;
      }
    },
  });
  return sums;
}
