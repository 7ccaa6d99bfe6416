import type { SessionTensor } from '../../inference/raw-session.js';
import { type Model, traceShapes } from '../graph/index.js';
import { macsOf } from '../inspect.js';
import { cosineDistance } from '../optimize.js';
import { visitActivations } from './observe.js';
import { quantisedNodes } from './qdq.js';

/** Faces that errors are measured on: the order of layers stays the same with more. */
const FACES = 48;

export interface Sensitivity {
  readonly node: string;
  readonly macs: number;
  /** By how much the mean 1 − cosine falls when this layer alone is left in float. */
  readonly gain: number;
}

export interface FloatChoice {
  /** All nodes that stay in float. */
  readonly float: ReadonlySet<string>;
  /** Mean 1 − cosine of the first output with every layer in 8 bits, and with those in float. */
  readonly before: number;
  readonly after: number;
  /** The layers, most gain for a multiply-accumulate first. */
  readonly sensitivities: readonly Sensitivity[];
}

/**
 * Leaves the most sensitive layers in float: each layer's gain is measured on calibration pictures with that layer alone
 * in float, and layers are taken by gain for a multiply-accumulate (partial quantisation; Wu et al. 2020)
 * until the mean 1 − cosine of the first output to the float network's is within the budget.
 */
export async function keepSensitiveFloat(options: {
  readonly float: Model;
  readonly inputs: readonly Float32Array[];
  readonly budget: number;
  readonly always: ReadonlySet<string>;
  readonly inEightBits: (float: ReadonlySet<string>) => Promise<Model>;
}): Promise<FloatChoice> {
  const { float, budget, always, inEightBits } = options;
  const inputs = options.inputs.slice(0, FACES);
  const right = await firstOutput(float, inputs);
  const errorWith = async (names: ReadonlySet<string>): Promise<number> => {
    const answers = await firstOutput(await inEightBits(names), inputs);
    return answers.reduce((sum, one, at) => sum + cosineDistance(right[at] ?? one, one), 0) / answers.length;
  };
  const before = await errorWith(always);
  let after = before;
  const chosen = new Set(always);
  if (before <= budget) return { float: chosen, before, after, sensitivities: [] };
  const shapes = await traceShapes(float);
  const sensitivities: Sensitivity[] = [];
  for (const node of quantisedNodes(float.graph, always)) {
    // What reads the picture stays in 8 bits: the picture's own bytes have no more.
    if ((node.op !== 'Conv' && node.op !== 'Gemm') || node.inputs[0] === float.graph.inputs[0]?.name)
      continue;
    const gain = before - (await errorWith(new Set([...always, node.name])));
    sensitivities.push({ node: node.name, macs: macsOf(node, shapes), gain });
  }
  sensitivities.sort((a, b) => b.gain / b.macs - a.gain / a.macs);
  for (const { node } of sensitivities) {
    if (after <= budget) break;
    chosen.add(node);
    after = await errorWith(chosen);
  }
  return { float: chosen, before, after, sensitivities };
}

async function firstOutput(model: Model, inputs: readonly Float32Array[]): Promise<SessionTensor[]> {
  const found: SessionTensor[] = [];
  await visitActivations({
    model,
    names: model.graph.outputs.slice(0, 1).map((output) => output.name),
    inputs,
    optimisation: 'all',
    visit: (_, value) => found.push(value),
  });
  return found;
}
