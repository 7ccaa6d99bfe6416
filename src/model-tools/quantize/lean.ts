import { replaceConstant } from '../channels.js';
import {
  addInitializer,
  constantInput,
  floats,
  floatTensor,
  freshName,
  int32Tensor,
  type Model,
  makeNode,
  type Node,
  producers,
  replaceNode,
  traceShapes,
} from '../graph/index.js';
import { pairHeads } from '../ssd.js';
import { quantisedBias } from './bias.js';
import { visitActivations } from './observe.js';

/** Scores of the float network that a little noise carries over a threshold. */
const NEAR = { from: 0.35, to: 0.95 };
/** By how many standard deviations of the noise a score of the 8-bit network lies higher in the mean. */
const LEAN = 1;
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
 * the mean of the difference is taken out and its standard deviation put on, in the biases of the
 * heads that give the scores, or as a constant before the last sigmoid where something lies between. In place; null
 * where the scores do not end in a sigmoid or too few anchors nearly are faces.
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
  const heads = pairHeads(graph, input, await traceShapes(model));
  const change = heads?.map((head) => biasChange(model, head));
  if (change?.every((one) => one !== undefined)) {
    for (const one of change) one(added);
    return { anchors, mean, deviation, added };
  }
  const shifted = freshName(graph, `${input}/lean`);
  // The sigmoid of background and of face, whose logits are opposite.
  const constant = addInitializer(graph, `${shifted}/by`, floatTensor([2], Float32Array.of(-added, added)));
  replaceNode(graph, sigmoid, [
    makeNode('Add', { inputs: [input, constant], outputs: [shifted] }),
    { ...sigmoid, inputs: [shifted] },
  ]);
  return { anchors, mean, deviation, added };
}

/** What adds so much to every second output of a layer and takes it from the others; undefined without a bias. */
function biasChange(model: Model, head: Node): ((added: number) => void) | undefined {
  const { graph } = model;
  const signed = (added: number, at: number): number => (at % 2 === 1 ? added : -added);
  const stored = quantisedBias(model, head);
  if (stored !== undefined)
    return (added) => {
      const { name, scales } = stored;
      const values = stored.stored.map(
        (value, at) => value + Math.round(signed(added, at) / (scales[at] ?? 1)),
      );
      graph.initializers.set(name, int32Tensor([values.length], values));
    };
  if (constantInput(graph, head, 2)?.type !== 'float32') return undefined;
  return (added) => {
    replaceConstant(graph, head, 2, (bias) =>
      floatTensor(
        bias.dims,
        floats(bias).map((value, at) => value + signed(added, at)),
      ),
    );
  };
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
