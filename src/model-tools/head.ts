import { cloneModel, floatTensor, type Model, makeNode } from './graph/index.js';

/** One embedding (unit length) and the number of its class. */
export interface Example {
  readonly vector: Float32Array;
  readonly label: number;
}

/** A softmax layer on an embedding. */
export interface Head {
  readonly classes: readonly string[];
  readonly dimensions: number;
  /** Classes by dimensions, row-major. */
  readonly weight: Float32Array;
  readonly bias: Float32Array;
}

const STEPS = 400;
const RATE = 4;
const DECAY = 1e-3;

/** Multinomial logistic regression (Bishop 2006, section 4.3.4) by gradient descent from zero: no chance is involved. */
export function trainHead(examples: readonly Example[], classes: readonly string[]): Head {
  const dimensions = examples[0]?.vector.length ?? 0;
  const weight = new Float64Array(classes.length * dimensions);
  const bias = new Float64Array(classes.length);
  for (let step = 0; step < STEPS; step += 1) {
    const slope = new Float64Array(weight.length);
    const lean = new Float64Array(classes.length);
    for (const { vector, label } of examples) {
      const answer = softmaxOf(weight, bias, vector);
      answer.forEach((share, index) => {
        const error = share - (index === label ? 1 : 0);
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

/** The share of each class, which sum to 1. */
export function classify(head: Head, vector: Float32Array): Float64Array {
  return softmaxOf(head.weight, head.bias, vector);
}

/** Right answers on examples that training did not see: every `folds`th is left out in turn. */
export function crossValidate(
  examples: readonly Example[],
  classes: readonly string[],
  folds = 5,
): { accuracy: number; confusion: number[][] } {
  const confusion = classes.map(() => classes.map(() => 0));
  let right = 0;
  for (let fold = 0; fold < folds; fold += 1) {
    const head = trainHead(
      examples.filter((_, at) => at % folds !== fold),
      classes,
    );
    for (const [at, example] of examples.entries()) {
      if (at % folds !== fold) continue;
      const answer = classify(head, example.vector);
      const guess = answer.indexOf(Math.max(...answer));
      if (guess === example.label) right += 1;
      const row = confusion[example.label];
      if (row !== undefined) row[guess] = (row[guess] ?? 0) + 1;
    }
  }
  return { accuracy: right / Math.max(examples.length, 1), confusion };
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

function softmaxOf(weight: ArrayLike<number>, bias: ArrayLike<number>, vector: Float32Array): Float64Array {
  const logits = Float64Array.from(bias);
  const dimensions = vector.length;
  for (let index = 0; index < logits.length; index += 1) {
    let sum = logits[index] ?? 0;
    for (let k = 0; k < dimensions; k += 1)
      sum += (weight[index * dimensions + k] as number) * (vector[k] as number);
    logits[index] = sum;
  }
  const most = logits.reduce((high, value) => Math.max(high, value), Number.NEGATIVE_INFINITY);
  const powers = logits.map((value) => Math.exp(value - most));
  const total = powers.reduce((sum, value) => sum + value, 0);
  return powers.map((value) => value / total);
}
