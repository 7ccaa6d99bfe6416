import { floatTensor, type Model, makeNode, type Node } from '../../src/model-tools/graph/index.js';
import type { NamedTensor } from '../helpers/torch-files.js';
import { noise } from './nets.js';

/** One convolution of a MobileFaceNet by its part in the network, whatever its author calls it. */
export interface Layer {
  readonly role: string;
  readonly dims: readonly number[];
  readonly stride: 1 | 2;
  readonly groups: number;
  readonly activation: 'prelu' | 'relu' | 'relu6' | null;
  /** The value of this layer is added to this one's. */
  readonly residual: string | null;
}

export interface Shape {
  /** Expansion, channels, blocks, stride (Chen et al. 2018, table 1), much narrower than the real one. */
  readonly stages: readonly (readonly [expansion: number, channels: number, blocks: number, stride: 1 | 2])[];
  readonly stem: number;
  readonly stemFilter: 'depthwise' | 'grouped' | 'separable' | 'none';
  readonly rectified?: boolean;
  readonly head: readonly [height: number, width: number];
  readonly dimensions: number;
}

export const SMALL: Shape = {
  stages: [
    [2, 8, 5, 2],
    [4, 16, 1, 2],
    [2, 16, 6, 1],
    [4, 16, 1, 2],
    [2, 16, 2, 1],
  ],
  stem: 8,
  stemFilter: 'depthwise',
  head: [7, 7],
  dimensions: 32,
};

/** The layers of such a network in the order in which it runs. */
export function layersOf(shape: Shape): Layer[] {
  const { stem, rectified = false, head, dimensions } = shape;
  const active = rectified ? ('relu6' as const) : ('prelu' as const);
  const plain = { stride: 1 as const, groups: 1, activation: active, residual: null };
  const layers: Layer[] = [{ ...plain, role: 'stem', dims: [stem, 3, 3, 3], stride: 2 }];
  if (shape.stemFilter !== 'none') {
    const each = shape.stemFilter === 'grouped' ? 2 : 1;
    const activation = rectified ? ('relu' as const) : active;
    layers.push({ ...plain, role: 'filter', dims: [stem, each, 3, 3], groups: stem / each, activation });
    if (shape.stemFilter === 'separable')
      layers.push({ ...plain, role: 'mix', dims: [stem, stem, 1, 1], activation });
  }
  let [channels, before] = [stem, layers.at(-1)?.role ?? ''];
  shape.stages.forEach(([expansion, width, blocks, first], stage) => {
    for (let block = 0; block < blocks; block += 1) {
      const stride = block === 0 ? first : 1;
      const wide = channels * expansion;
      const role = (part: string): string => `${stage}.${block}.${part}`;
      const residual = stride === 1 && channels === width ? before : null;
      layers.push(
        { ...plain, role: role('expand'), dims: [wide, channels, 1, 1] },
        { ...plain, role: role('depthwise'), dims: [wide, 1, 3, 3], stride, groups: wide },
        { ...plain, role: role('project'), dims: [width, wide, 1, 1], activation: null, residual },
      );
      channels = width;
      before = role('project');
    }
  });
  const last = 64;
  layers.push(
    { ...plain, role: 'separate', dims: [last, channels, 1, 1] },
    { ...plain, role: 'global', dims: [last, 1, ...head], groups: last, activation: null },
    { ...plain, role: 'embedding', dims: [dimensions, last, 1, 1], activation: null },
  );
  return layers;
}

/** How an author names the parts of a layer; null leaves them out. */
export interface Names {
  readonly conv: string;
  readonly norm: string;
  readonly slopes: string | null;
}

/** The tensors of a seeded network under an author's names, in the order of `roles` (that of the network if not told). */
export function checkpointOf(
  layers: readonly Layer[],
  names: (layer: Layer) => Names,
  options: { linear?: boolean; affine?: boolean; order?: (tensors: NamedTensor[]) => NamedTensor[] } = {},
): NamedTensor[] {
  const tensors = layers.flatMap((layer): NamedTensor[] => {
    const { conv, norm, slopes } = names(layer);
    const flat = options.linear === true && layer.role === 'embedding';
    const { weight, gamma, beta, mean, variance, slope } = valuesOf(layer);
    const vector = (name: string, values: Float32Array): NamedTensor => ({
      name,
      dims: [values.length],
      values,
    });
    const affine = options.affine !== false || layer.role !== 'embedding';
    return [
      { name: `${conv}.weight`, dims: flat ? layer.dims.slice(0, 2) : layer.dims, values: weight },
      ...(affine ? [vector(`${norm}.weight`, gamma), vector(`${norm}.bias`, beta)] : []),
      vector(`${norm}.running_mean`, mean),
      vector(`${norm}.running_var`, variance),
      ...(layer.activation === 'prelu' && slopes !== null ? [vector(`${slopes}.weight`, slope)] : []),
    ];
  });
  return options.order?.(tensors) ?? tensors;
}

/** The same network written down node by node, norms and all: what an import must answer like. */
export function referenceNet(layers: readonly Layer[], options: { affine?: boolean } = {}): Model {
  const nodes: Node[] = [];
  const initializers = new Map([
    ['zero', floatTensor([], [0])],
    ['six', floatTensor([], [6])],
  ]);
  let at = 'input';
  for (const layer of layers) {
    const { role, dims, activation } = layer;
    const values = valuesOf(layer);
    const channels = dims[0] ?? 0;
    const affine = options.affine !== false || role !== 'embedding';
    const constant = (name: string, shape: readonly number[], data: Float32Array): string => {
      initializers.set(`${role}.${name}`, floatTensor(shape, data));
      return `${role}.${name}`;
    };
    const pad = dims[2] === 3 && role !== 'global' ? 1 : 0;
    nodes.push(
      makeNode('Conv', {
        inputs: [at, constant('weight', dims, values.weight)],
        outputs: [`${role}/conv`],
        attributes: {
          group: { kind: 'int', value: layer.groups },
          pads: { kind: 'ints', value: [pad, pad, pad, pad] },
          strides: { kind: 'ints', value: [layer.stride, layer.stride] },
        },
      }),
      makeNode('BatchNormalization', {
        inputs: [
          `${role}/conv`,
          constant('gamma', [channels], affine ? values.gamma : new Float32Array(channels).fill(1)),
          constant('beta', [channels], affine ? values.beta : new Float32Array(channels)),
          constant('mean', [channels], values.mean),
          constant('variance', [channels], values.variance),
        ],
        outputs: [`${role}/norm`],
        attributes: { epsilon: { kind: 'float', value: 1e-5 } },
      }),
    );
    at = `${role}/norm`;
    const [inputs, output] = [
      { prelu: [at, constant('slope', [channels, 1, 1], values.slope)] },
      `${role}/act`,
    ];
    if (activation === 'prelu') nodes.push(makeNode('PRelu', { inputs: inputs.prelu, outputs: [output] }));
    if (activation === 'relu') nodes.push(makeNode('Relu', { inputs: [at], outputs: [output] }));
    if (activation === 'relu6')
      nodes.push(makeNode('Clip', { inputs: [at, 'zero', 'six'], outputs: [output] }));
    if (activation !== null) at = output;
    if (layer.residual !== null) {
      nodes.push(makeNode('Add', { inputs: [at, `${layer.residual}/value`], outputs: [`${role}/value`] }));
    } else {
      nodes.push(makeNode('Identity', { inputs: [at], outputs: [`${role}/value`] }));
    }
    at = `${role}/value`;
  }
  nodes.push(makeNode('Flatten', { inputs: [at], outputs: ['embedding'] }));
  return {
    irVersion: 7,
    opsets: new Map([['', 13]]),
    metadata: new Map(),
    graph: {
      name: 'reference',
      nodes,
      initializers,
      inputs: [{ name: 'input', type: 'float32', dims: ['batch', 3, 'height', 'width'] }],
      outputs: [{ name: 'embedding', type: 'float32', dims: ['batch', 'dimensions'] }],
    },
  };
}

/** Weights as large as a trained network has them, different for each layer, the same each time. */
function valuesOf({ role, dims }: Layer) {
  const seed = [...role].reduce((sum, letter) => (sum * 31 + letter.charCodeAt(0)) % 9973, 7);
  const [channels = 0, ...rest] = dims;
  const fan = rest.reduce((a, b) => a * b, 1);
  const each = (salt: number, low: number, high: number, count = channels): Float32Array =>
    noise(count, seed + salt).map((value) => low + ((value + 1) / 2) * (high - low));
  const spread = 1.7 / Math.sqrt(fan);
  return {
    weight: each(1, -spread, spread, channels * fan),
    gamma: each(2, 0.6, 1.4),
    beta: each(3, -0.5, 0.5),
    mean: each(4, -0.3, 0.3),
    variance: each(5, 0.3, 1.2),
    slope: each(6, -0.1, 0.4),
  };
}
