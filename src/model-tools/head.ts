import { type Head, softmax } from '../vision/head.js';
import { cloneModel, floatTensor, type Model, makeNode } from './graph/index.js';

/** One embedding (unit length) and the number of its class. */
export interface Example {
  readonly vector: Float32Array;
  readonly label: number;
  /** Pictures of one group (one person, say) are never on both sides of a test; each is its own where left out. */
  readonly group?: string;
}

export interface Validation {
  readonly folds: number;
  readonly accuracy: number;
  /** The mean over the classes of the share that was told right: what counts where classes differ in size. */
  readonly balancedAccuracy: number;
  /** What always naming the largest class would reach. */
  readonly baseline: number;
  /** Rows: the true class; columns: the answer. */
  readonly confusion: readonly (readonly number[])[];
}

const STEPS = 400;
const RATE = 4;
const DECAY = 1e-3;

/** Multinomial logistic regression (Bishop 2006, section 4.3.4) by gradient descent from zero: no chance is involved. */
export function trainHead(examples: readonly Example[], classes: readonly string[]): Head {
  const dimensions = examples[0]?.vector.length ?? 0;
  const weight = new Float64Array(classes.length * dimensions);
  const bias = new Float64Array(classes.length);
  // Each class weighs the same, however many pictures there are of it.
  const shares = classes.map((_, label) => examples.filter((example) => example.label === label).length);
  for (let step = 0; step < STEPS; step += 1) {
    const slope = new Float64Array(weight.length);
    const lean = new Float64Array(classes.length);
    for (const { vector, label } of examples) {
      const answer = softmax(weight, bias, vector);
      const weightOf = examples.length / (classes.length * Math.max(shares[label] ?? 1, 1));
      answer.forEach((share, index) => {
        const error = weightOf * (share - (index === label ? 1 : 0));
        lean[index] = (lean[index] ?? 0) + error;
        for (let k = 0; k < dimensions; k += 1)
          slope[index * dimensions + k] = (slope[index * dimensions + k] ?? 0) + error * (vector[k] ?? 0);
      });
    }
    const pace = RATE / examples.length;
    for (let at = 0; at < weight.length; at += 1)
      weight[at] = (weight[at] ?? 0) * (1 - RATE * DECAY) - pace * (slope[at] ?? 0);
    for (let at = 0; at < bias.length; at += 1) bias[at] = (bias[at] ?? 0) - pace * (lean[at] ?? 0);
  }
  return { classes, dimensions, weight: Float32Array.from(weight), bias: Float32Array.from(bias) };
}

/** Answers on examples that training did not see: k folds in which each class has its share (Kohavi 1995). */
export function crossValidate(
  examples: readonly Example[],
  classes: readonly string[],
  folds = 5,
): Validation {
  const confusion = classes.map(() => classes.map(() => 0));
  const foldOf = assignFolds(examples, folds);
  for (let fold = 0; fold < folds; fold += 1) {
    const head = trainHead(
      examples.filter((_, at) => foldOf[at] !== fold),
      classes,
    );
    for (const [at, { vector, label }] of examples.entries()) {
      if (foldOf[at] !== fold) continue;
      const answer = softmax(head.weight, head.bias, vector);
      const guess = answer.indexOf(answer.reduce((high, share) => Math.max(high, share), 0));
      const row = confusion[label];
      if (row !== undefined) row[guess] = (row[guess] ?? 0) + 1;
    }
  }
  const counts = confusion.map((row) => row.reduce((sum, count) => sum + count, 0));
  const right = confusion.map((row, label) => row[label] ?? 0);
  const total = Math.max(examples.length, 1);
  return {
    folds,
    accuracy: right.reduce((sum, count) => sum + count, 0) / total,
    balancedAccuracy:
      right.reduce((sum, count, label) => sum + count / Math.max(counts[label] ?? 1, 1), 0) / classes.length,
    baseline: Math.max(...counts) / total,
    confusion,
  };
}

/** The groups of each class go round the folds; of a class with fewer groups than folds the single pictures do. */
function assignFolds(examples: readonly Example[], folds: number): number[] {
  const groups = new Map<number, Map<string, number>>();
  const nameOf = ({ group }: Example, at: number): string => group ?? `/${at}`;
  examples.forEach((example, at) => {
    const own = groups.get(example.label) ?? new Map<string, number>();
    const name = nameOf(example, at);
    if (!own.has(name)) own.set(name, own.size);
    groups.set(example.label, own);
  });
  const seen = new Map<number, number>();
  return examples.map((example, at) => {
    const own = groups.get(example.label);
    const turn = seen.get(example.label) ?? 0;
    seen.set(example.label, turn + 1);
    const grouped = own !== undefined && own.size >= folds;
    return (grouped ? (own.get(nameOf(example, at)) ?? 0) : turn) % folds;
  });
}

/** The network with the head as a further output `name` (shares of the classes); the embedding stays the first output. */
export function appendHead(original: Model, head: Head, name: string): Model {
  const model = cloneModel(original);
  const { graph } = model;
  const [output] = graph.outputs;
  if (output === undefined) throw new TypeError('the model has no output');
  const value = (kind: string): string => `${name}/${kind}`;
  graph.initializers
    .set(value('weight'), floatTensor([head.classes.length, head.dimensions], head.weight))
    .set(value('bias'), floatTensor([head.classes.length], head.bias));
  graph.nodes.push(
    makeNode('LpNormalization', {
      inputs: [output.name],
      outputs: [value('unit')],
      attributes: { axis: { kind: 'int', value: 1 }, p: { kind: 'int', value: 2 } },
    }),
    makeNode('Gemm', {
      inputs: [value('unit'), value('weight'), value('bias')],
      outputs: [value('logits')],
      attributes: { transB: { kind: 'int', value: 1 } },
    }),
    makeNode('Softmax', {
      inputs: [value('logits')],
      outputs: [name],
      attributes: { axis: { kind: 'int', value: 1 } },
    }),
  );
  graph.outputs.push({ name, type: 'float32', dims: [output.dims[0] ?? null, head.classes.length] });
  model.metadata.set(`${name}.classes`, JSON.stringify(head.classes));
  return model;
}
