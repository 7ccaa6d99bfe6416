import {
  addInitializer,
  floatTensor,
  freshName,
  type Model,
  makeNode,
  producers,
  replaceNode,
} from '../graph/index.js';
import { visitActivations } from './observe.js';

/** Scores of the float network that a little noise carries over a threshold. */
const NEAR = { from: 0.35, to: 0.95 };
/** By how many standard deviations of the noise a score of the 8-bit network lies higher in the mean. */
const LEAN = 0.5;
/** Anchors that say how large the noise is. */
const LEAST = 50;

/** What rounding did to the scores of anchors that nearly are faces, as logits, and what was added to them. */
export interface ScoreShift {
  readonly anchors: number;
  readonly mean: number;
  readonly deviation: number;
  readonly added: number;
}

/**
 * Rounding moves scores a little, in both directions, and a face whose score lies at the threshold is then found by one
 * form and not by the other. A door is better off with one more than with one less: measured on the calibration pictures,
 * the mean of the difference is taken out and half its standard deviation put on, as a constant before the last sigmoid.
 * In place; null where the scores do not end in a sigmoid or too few anchors nearly are faces.
 */
export async function leanToFinding(
  model: Model,
  options: {
    readonly float: Model;
    readonly scores: string;
    readonly floatInputs: readonly Float32Array[];
    readonly inputs: readonly (Float32Array | Uint8Array)[];
  },
): Promise<ScoreShift | null> {
  const { graph } = model;
  const { scores } = options;
  const made = producers(graph);
  let sigmoid = made.get(scores);
  while (sigmoid?.op === 'Reshape') sigmoid = made.get(sigmoid.inputs[0] ?? '');
  if (sigmoid?.op !== 'Sigmoid') return null;
  const right = await faceScores(options.float, scores, options.floatInputs);
  const mine = await faceScores(model, scores, options.inputs);
  const differences: number[] = [];
  right.forEach((picture, at) => {
    picture.forEach((score, anchor) => {
      if (score > NEAR.from && score < NEAR.to)
        differences.push(logit(mine[at]?.[anchor] ?? score) - logit(score));
    });
  });
  const anchors = differences.length;
  if (anchors < LEAST) return null;
  const mean = differences.reduce((sum, one) => sum + one, 0) / anchors;
  const deviation = Math.sqrt(differences.reduce((sum, one) => sum + (one - mean) ** 2, 0) / anchors);
  const added = LEAN * deviation - mean;
  const [input = ''] = sigmoid.inputs;
  const shifted = freshName(graph, `${input}/lean`);
  // The sigmoid of background and of face, whose logits are opposite.
  const constant = addInitializer(graph, `${shifted}/by`, floatTensor([2], Float32Array.of(-added, added)));
  replaceNode(graph, sigmoid, [
    makeNode('Add', { inputs: [input, constant], outputs: [shifted] }),
    { ...sigmoid, inputs: [shifted] },
  ]);
  return { anchors, mean, deviation, added };
}

function logit(score: number): number {
  const inside = Math.min(Math.max(score, 1e-7), 1 - 1e-7);
  return Math.log(inside / (1 - inside));
}

/** For each picture the scores of all anchors for "face". */
async function faceScores(
  model: Model,
  output: string,
  inputs: readonly (Float32Array | Uint8Array)[],
): Promise<Float32Array[]> {
  const found: Float32Array[] = [];
  await visitActivations({
    model,
    names: [output],
    inputs,
    optimisation: 'all',
    visit: (_, { data }) => found.push((data as Float32Array).filter((__, at) => at % 2 === 1)),
  });
  return found;
}
