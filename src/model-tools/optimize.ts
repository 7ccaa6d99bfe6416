import { FacedError } from '../domain/errors.js';
import type { SessionTensor } from '../inference/raw-session.js';
import { removeDeadChannels } from './dead.js';
import { cloneModel, encodeModel, type Model, noiseFeeds, removeDead, runModel } from './graph/index.js';
import { plainForm } from './plain.js';
import { type PReluForm, rewritePRelu } from './prelu.js';
import { rewriteSsdEnd } from './ssd.js';

export type Target = 'x64' | 'arm64';

/** Which form of PRelu is fastest in ONNX Runtime on a processor (measured; docs/models.md). */
const FORM_OF: Readonly<Record<Target, PReluForm>> = { x64: 'depthwise', arm64: 'max' };

/** 1 − cosine that two forms of one network may differ by. */
export const TOLERANCE = 1e-6;

/**
 * Exact rewrites for one kind of processor: opset 13, constants and batch norms folded, batch dimension free, dead channels taken out,
 * PRelu in the form that is fastest there. Throws `model.not-equal` when the answer differs from the original by more than 1e-6
 * (1 − cosine) on noise, at batch 1 and, where the batch is free, at batch 2.
 */
export async function optimizeModel(original: Model, options: { target: Target }): Promise<Optimized> {
  const optimized = await optimizeGraph(original, options.target);
  const distance = await assertEqual(original, optimized);
  return { bytes: encodeModel(optimized), distance };
}

export interface Optimized {
  readonly bytes: Uint8Array;
  /** Greatest 1 − cosine between an answer of the original and one of the file. */
  readonly distance: number;
}

/** The same on a graph in memory, without the check. The original is left as it is. */
export async function optimizeGraph(original: Model, target: Target): Promise<Model> {
  const model = cloneModel(original);
  await plainForm(model);
  removeDeadChannels(model);
  rewritePRelu(model, FORM_OF[target]);
  await rewriteSsdEnd(model);
  // Weights that were replaced would stay in the file.
  removeDead(model.graph);
  return model;
}

async function assertEqual(original: Model, changed: Model): Promise<number> {
  let greatest = 0;
  for (const scale of [1, 128]) {
    const feeds = noiseFeeds(original.graph.inputs, { batch: 1, scale });
    const [before, after] = [await runModel(original, feeds), await runModel(changed, feeds)];
    greatest = Math.max(greatest, assertClose(before, after));
    if (changed.graph.inputs.some((input) => typeof input.dims[0] === 'number')) continue;
    const both = await runModel(changed, stack(feeds));
    greatest = Math.max(greatest, assertClose(stack(before), both));
  }
  return greatest;
}

/** Throws `model.not-equal` unless every output's 1 − cosine is below 1e-6; answers the greatest of them. */
export function assertClose(
  expected: Readonly<Record<string, SessionTensor>>,
  actual: Readonly<Record<string, SessionTensor>>,
): number {
  let greatest = 0;
  for (const [name, value] of Object.entries(expected)) {
    const other = actual[name];
    const distance = other === undefined ? 1 : cosineDistance(value, other);
    greatest = Math.max(greatest, distance);
    if (distance <= TOLERANCE) continue;
    throw new FacedError(
      'model.not-equal',
      `output ${name} of the rewritten model differs from the original by ${distance.toExponential(2)} (1 − cosine)`,
      { fix: 'use the model as it is, and report this with the file' },
    );
  }
  return greatest;
}

export function cosineDistance(a: SessionTensor, b: SessionTensor): number {
  if (a.data.length !== b.data.length) return 1;
  let [dot, aa, bb] = [0, 0, 0];
  for (let i = 0; i < a.data.length; i += 1) {
    const [x, y] = [Number(a.data[i]), Number(b.data[i])];
    dot += x * y;
    aa += x * x;
    bb += y * y;
  }
  if (aa === 0 && bb === 0) return 0;
  return Number.isFinite(dot) ? 1 - dot / Math.sqrt(aa * bb) : 1;
}

/** Each tensor twice along its first dimension. */
function stack(values: Readonly<Record<string, SessionTensor>>): Record<string, SessionTensor> {
  return Object.fromEntries(
    Object.entries(values).map(([name, value]): [string, SessionTensor] => {
      const data = new Float32Array(value.data.length * 2);
      for (let i = 0; i < data.length; i += 1) data[i] = Number(value.data[i % value.data.length]);
      return [name, { type: 'float32', dims: [2 * (value.dims[0] ?? 1), ...value.dims.slice(1)], data }];
    }),
  );
}
