import { floatTensor, type Model, makeNode } from '../src/model-tools/graph/index.js';

const BLOCKS = 9;
const CHANNELS = 512;
/** Of the map that the convolutions go over: with it the whole costs what an IResNet-50 costs, about 6 GMAC. */
const SIDE = 12;

/**
 * A recogniser as heavy as an IResNet-50 (170 MB, 6 GMAC) that answers what `small` answers, so that a whole daemon can
 * decide by it: nine residual blocks of two 3x3 convolutions with seeded weights follow `small`, and of each a
 * millionth of its hyperbolic tangent is added to the answer. Between blocks one value crosses, as in a real one.
 */
export function heavy(small: Model): Model {
  const output = small.graph.outputs[0]?.name ?? '';
  const initializers = new Map(small.graph.initializers);
  let state = 1;
  const weights = (count: number, fan: number) =>
    Float32Array.from({ length: count }, () => {
      state = (Math.imul(state, 1664525) + 1013904223) | 0;
      return ((state >>> 0) / 2 ** 31 - 1) * Math.sqrt(2 / fan);
    });
  const ints = (...value: number[]) => ({ kind: 'ints' as const, value });
  initializers.set(
    'heavy/map',
    floatTensor([1, CHANNELS, SIDE, SIDE], new Float32Array(CHANNELS * SIDE ** 2).fill(1)),
  );
  initializers.set('heavy/share', floatTensor([1], Float32Array.of(1e-6)));
  const nodes = small.graph.nodes.map((node) => ({
    ...node,
    outputs: node.outputs.map((name) => (name === output ? 'heavy/0' : name)),
  }));
  const add = (op: string, inputs: string[], to: string, attributes = {}) => {
    nodes.push(makeNode(op, { inputs, outputs: [to], attributes }));
    return to;
  };
  for (let block = 0; block < BLOCKS; block++) {
    const name = (part: string) => `heavy/${block}/${part}`;
    for (const conv of ['w1', 'w2']) {
      const count = CHANNELS * CHANNELS * 9;
      initializers.set(name(conv), floatTensor([CHANNELS, CHANNELS, 3, 3], weights(count, CHANNELS * 9)));
    }
    const pads = { pads: ints(1, 1, 1, 1) };
    const point = add('Unsqueeze', [`heavy/${block}`], name('point'), { axes: ints(2, 3) });
    const map = add('Mul', [point, 'heavy/map'], name('map'));
    const first = add('Relu', [add('Conv', [map, name('w1')], name('c1'), pads)], name('r1'));
    const second = add('Conv', [first, name('w2')], name('c2'), pads);
    const pooled = add('Flatten', [add('GlobalAveragePool', [second], name('pool'))], name('flat'));
    const little = add('Mul', [add('Tanh', [pooled], name('tanh')), 'heavy/share'], name('little'));
    add('Add', [`heavy/${block}`, little], block === BLOCKS - 1 ? output : `heavy/${block + 1}`);
  }
  return { ...small, graph: { ...small.graph, initializers, nodes } };
}
