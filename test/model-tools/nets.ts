import { floatTensor, type Model, makeNode } from '../../src/model-tools/graph/index.js';

/** Numbers between -1 and 1, the same for the same seed. */
export function noise(count: number, seed = 1): Float32Array {
  let state = seed * 2654435761;
  return Float32Array.from({ length: count }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) | 0;
    return (state >>> 0) / 2 ** 31 - 1;
  });
}

/** A network of opset 13 with one input and one output. */
export function netOf({
  initializers,
  nodes,
  output,
  input = ['batch', 3, 8, 8],
}: {
  initializers: Model['graph']['initializers'];
  nodes: Model['graph']['nodes'];
  output: (string | number)[];
  input?: (string | number)[];
}): Model {
  return {
    irVersion: 7,
    opsets: new Map([['', 13]]),
    metadata: new Map(),
    graph: {
      name: 'net',
      inputs: [{ name: 'input', type: 'float32', dims: input }],
      outputs: [{ name: 'output', type: 'float32', dims: output }],
      initializers,
      nodes,
    },
  };
}

/** The smallest network with what the recogniser has: a 3x3 convolution, a PRelu with a slope above 1, a 1x1 one. */
export function preluNet(): Model {
  return netOf({
    output: ['batch', 1, 8, 8],
    initializers: new Map([
      ['w1', floatTensor([8, 3, 3, 3], noise(216))],
      ['b1', floatTensor([8], noise(8, 2))],
      ['slope', floatTensor([8, 1, 1], [0.25, 0.1, -0.2, 1.5, 0, 1, 0.5, 0.9])],
      ['w2', floatTensor([1, 8, 1, 1], new Float32Array(8).fill(1))],
    ]),
    nodes: [
      makeNode('Conv', {
        inputs: ['input', 'w1', 'b1'],
        outputs: ['conv1'],
        attributes: { pads: { kind: 'ints', value: [1, 1, 1, 1] } },
      }),
      makeNode('PRelu', { inputs: ['conv1', 'slope'], outputs: ['act1'] }),
      makeNode('Conv', { inputs: ['act1', 'w2'], outputs: ['output'] }),
    ],
  });
}
