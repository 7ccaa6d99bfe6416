import { floatTensor, type Model, makeNode } from '../src/model-tools/graph/index.js';

/** Channels of the stem, and of each stage with its number of blocks; the picture's side; floats of the answer. */
export interface IresnetShape {
  readonly stem: number;
  readonly stages: readonly (readonly [channels: number, blocks: number])[];
  readonly side: number;
  readonly dimensions: number;
}

/** Deng et al. 2019: about 174 MB, of which the product of 25088 by 512 at the end is 51. */
export const IRESNET50: IresnetShape = {
  stem: 64,
  stages: [
    [64, 3],
    [128, 4],
    [256, 14],
    [512, 3],
  ],
  side: 112,
  dimensions: 512,
};

/** A residual network of this shape with seeded weights: the same bytes each time. */
export function iresnet(shape: IresnetShape): Model {
  const initializers = new Map<string, ReturnType<typeof floatTensor>>();
  const nodes: ReturnType<typeof makeNode>[] = [];
  let state = 1;
  const weights = (count: number, fan: number): Float32Array =>
    Float32Array.from({ length: count }, () => {
      state = (Math.imul(state, 1664525) + 1013904223) | 0;
      return ((state >>> 0) / 2 ** 31 - 1) * Math.sqrt(2 / fan);
    });
  let count = 0;
  const conv = (input: string, from: number, to: number, how: { kernel: number; stride: number }): string => {
    const output = `v${count++}`;
    const { kernel, stride } = how;
    initializers.set(
      `${output}/w`,
      floatTensor([to, from, kernel, kernel], weights(to * from * kernel ** 2, from * kernel ** 2)),
    );
    const pad = kernel >> 1;
    nodes.push(
      makeNode('Conv', {
        inputs: [input, `${output}/w`],
        outputs: [output],
        attributes: {
          pads: { kind: 'ints', value: [pad, pad, pad, pad] },
          strides: { kind: 'ints', value: [stride, stride] },
        },
      }),
    );
    return output;
  };
  const prelu = (input: string, channels: number): string => {
    const output = `v${count++}`;
    initializers.set(`${output}/a`, floatTensor([channels, 1, 1], new Float32Array(channels).fill(0.25)));
    nodes.push(makeNode('PRelu', { inputs: [input, `${output}/a`], outputs: [output] }));
    return output;
  };
  let at = prelu(conv('input', 3, shape.stem, { kernel: 3, stride: 1 }), shape.stem);
  let channels = shape.stem;
  for (const [width, blocks] of shape.stages) {
    for (let block = 0; block < blocks; block += 1) {
      const stride = block === 0 ? 2 : 1;
      const inner = prelu(conv(at, channels, width, { kernel: 3, stride: 1 }), width);
      const deep = conv(inner, width, width, { kernel: 3, stride });
      const side = block === 0 ? conv(at, channels, width, { kernel: 1, stride }) : at;
      const output = `v${count++}`;
      nodes.push(makeNode('Add', { inputs: [deep, side], outputs: [output] }));
      [at, channels] = [output, width];
    }
  }
  const flat = channels * (shape.side / 2 ** shape.stages.length) ** 2;
  const { dimensions } = shape;
  initializers.set('wg', floatTensor([dimensions, flat], weights(dimensions * flat, flat)));
  nodes.push(
    makeNode('Flatten', { inputs: [at], outputs: ['flat'] }),
    makeNode('Gemm', {
      inputs: ['flat', 'wg'],
      outputs: ['embedding'],
      attributes: { transB: { kind: 'int', value: 1 } },
    }),
  );
  return {
    irVersion: 7,
    opsets: new Map([['', 13]]),
    metadata: new Map(),
    graph: {
      name: 'iresnet50',
      nodes,
      initializers,
      inputs: [{ name: 'input', type: 'float32', dims: ['batch', 3, shape.side, shape.side] }],
      outputs: [{ name: 'embedding', type: 'float32', dims: ['batch', dimensions] }],
    },
  };
}
