import { FacedError } from '../domain/errors.js';
import { BATCH } from './batch.js';
import type { CheckpointTensor, StateDict } from './checkpoint/torch.js';
import { type Attribute, floatTensor, type Model, makeNode, type Node, TARGET_OPSET } from './graph/index.js';

/** PyTorch's default for BatchNorm2d and BatchNorm1d, which every known MobileFaceNet keeps. */
const BATCH_NORM_EPSILON = 1e-5;

/** A convolution or linear layer with what follows it before the next one. */
interface Unit {
  readonly name: string;
  readonly weight: CheckpointTensor;
  readonly bias: Float32Array | null;
  readonly norm: BatchNorm | null;
  /** One slope for each channel. */
  readonly slopes: Float32Array | null;
}

interface BatchNorm {
  readonly weight: Float32Array;
  readonly bias: Float32Array;
  readonly mean: Float32Array;
  readonly variance: Float32Array;
}

/** Expand 1x1, depthwise 3x3, project 1x1 (Sandler et al. 2018; Chen et al. 2018, table 1). */
interface Bottleneck {
  readonly expand: Unit;
  readonly depthwise: Unit;
  readonly project: Unit;
}

interface Network {
  readonly stem: Unit;
  readonly stemDepthwise: Unit;
  readonly blocks: readonly Bottleneck[];
  readonly separate: Unit;
  /** The global depthwise convolution that replaces average pooling. */
  readonly global: Unit;
  readonly embedding: Unit;
}

export interface Imported {
  readonly model: Model;
  readonly input: { readonly width: number; readonly height: number };
  readonly dimensions: number;
  readonly blocks: number;
}

/**
 * Builds the network of a MobileFaceNet checkpoint (Chen et al. 2018), of whatever naming scheme: tensors are taken in
 * the order of the file and told apart by their shapes. Batch norm is folded. Throws `checkpoint.mismatch` with the
 * tensors that did not fit.
 */
export function buildMobileFaceNet(state: StateDict): Imported {
  const network = recognise(unitsOf(state));
  const strides = blockStrides(network.blocks);
  const [kernelHeight = 0, kernelWidth = 0] = network.global.weight.dims.slice(2);
  const scale = 2 ** (1 + strides.filter((stride) => stride === 2).length);
  const input = { width: kernelWidth * scale, height: kernelHeight * scale };

  const builder = new Builder();
  let at = builder.conv('input', network.stem, { stride: 2, pad: 1 });
  at = builder.conv(at, network.stemDepthwise, { stride: 1, pad: 1 });
  network.blocks.forEach((block, index) => {
    const stride = strides[index] ?? 1;
    const expanded = builder.conv(at, block.expand, { stride: 1, pad: 0 });
    const filtered = builder.conv(expanded, block.depthwise, { stride, pad: 1 });
    const projected = builder.conv(filtered, block.project, { stride: 1, pad: 0 });
    const residual = stride === 1 && block.expand.weight.dims[1] === block.project.weight.dims[0];
    at = residual ? builder.add(at, projected, `${block.project.name}/residual`) : projected;
  });
  at = builder.conv(at, network.separate, { stride: 1, pad: 0 });
  at = builder.conv(at, network.global, { stride: 1, pad: 0 });
  const dimensions = network.embedding.weight.dims[0] ?? 0;
  builder.embedding(at, network.embedding);
  return { model: builder.model(input, dimensions), input, dimensions, blocks: network.blocks.length };
}

/** Groups tensors that belong together by their order: a weight of two or four dimensions begins a unit. */
function unitsOf(state: StateDict): Unit[] {
  const units: {
    name: string;
    weight: CheckpointTensor;
    vectors: { name: string; values: Float32Array }[];
  }[] = [];
  for (const [name, tensor] of state) {
    if (/num_batches_tracked$/.test(name) || tensor.dims.length === 0) continue;
    const channels = units.at(-1)?.weight.dims[0];
    if (tensor.dims.length === 4 || tensor.dims.length === 2) {
      units.push({ name: name.replace(/\.weight$/, ''), weight: tensor, vectors: [] });
    } else if (tensor.dims.length === 1 && (tensor.dims[0] === channels || tensor.dims[0] === 1)) {
      units.at(-1)?.vectors.push({ name, values: tensor.values });
    } else {
      throw mismatch([`${name} of shape [${tensor.dims}] where ${channels ?? 'no'} channels are`]);
    }
  }
  return units.map(({ name, weight, vectors }) => unitOf(name, weight, vectors));
}

/** After the weight: an own bias, four vectors of a batch norm, one of slopes; told apart by name and count. */
function unitOf(
  name: string,
  weight: CheckpointTensor,
  vectors: readonly { name: string; values: Float32Array }[],
): Unit {
  const left = [...vectors];
  const channels = weight.dims[0] ?? 0;
  const bias = left[0]?.name === `${name}.bias` ? (left.shift()?.values ?? null) : null;
  const mean = left.findIndex((vector) => /(running_mean|moving_mean)$/.test(vector.name));
  let norm: BatchNorm | null = null;
  if (mean !== -1) {
    const ending = (pattern: RegExp): number =>
      left.findIndex((vector, at) => pattern.test(vector.name) && at < mean);
    const variance = left.findIndex((vector) => /(running_var|moving_variance)$/.test(vector.name));
    const stem = left[mean]?.name.replace(/(running_mean|moving_mean)$/, '') ?? '';
    const gamma = left.findIndex(
      (vector) => vector.name === `${stem}weight` || vector.name === `${stem}gamma`,
    );
    const beta = ending(new RegExp(`^${stem.replaceAll('.', '\\.')}(bias|beta)$`));
    const values = (index: number, otherwise: number): Float32Array =>
      left[index]?.values ?? new Float32Array(channels).fill(otherwise);
    norm = {
      weight: values(gamma, 1),
      bias: values(beta, 0),
      mean: values(mean, 0),
      variance: values(variance, 1),
    };
    const used = new Set([gamma, beta, mean, variance]);
    left.splice(0, left.length, ...left.filter((_, index) => !used.has(index)));
  }
  if (left.length > 1)
    throw mismatch(left.slice(1).map((vector) => `${vector.name} [${vector.values.length}]`));
  const raw = left[0]?.values;
  const slopes =
    raw === undefined ? null : raw.length === 1 ? new Float32Array(channels).fill(raw[0] ?? 0) : raw;
  return { name, weight, bias, norm, slopes };
}

function recognise(units: readonly Unit[]): Network {
  const queue = [...units];
  const take = (what: string, fits: (unit: Unit) => boolean): Unit => {
    const unit = queue.shift();
    if (unit !== undefined && fits(unit)) return unit;
    throw mismatch([`${unit === undefined ? 'nothing' : shown(unit)} where ${what} is expected`]);
  };
  const stem = take(
    'a 3x3 convolution of three channels',
    (unit) => unit.weight.dims[1] === 3 && kernel(unit) === '3x3',
  );
  const stemDepthwise = take(
    'a depthwise 3x3 convolution',
    (unit) => isDepthwise(unit) && kernel(unit) === '3x3',
  );
  const blocks: Bottleneck[] = [];
  while (isBottleneck(queue)) {
    const [expand, depthwise, project] = queue.splice(0, 3);
    if (expand !== undefined && depthwise !== undefined && project !== undefined)
      blocks.push({ expand, depthwise, project });
  }
  if (blocks.length === 0)
    throw mismatch([
      `${queue[0] === undefined ? 'nothing' : shown(queue[0])} where the first bottleneck is expected`,
    ]);
  const separate = take('the 1x1 convolution before the head', (unit) => kernel(unit) === '1x1');
  const global = take('a global depthwise convolution', (unit) => isDepthwise(unit) && unit.slopes === null);
  const embedding = take(
    'the layer of the embedding',
    (unit) => kernel(unit) === '1x1' && unit.slopes === null,
  );
  if (queue.length > 0) throw mismatch(queue.map((unit) => `${shown(unit)} after the embedding`));
  const network = { stem, stemDepthwise, blocks, separate, global, embedding };
  checkChannels(network);
  return network;
}

function isBottleneck(queue: readonly Unit[]): boolean {
  const [expand, depthwise, project] = queue;
  if (expand === undefined || depthwise === undefined || project === undefined) return false;
  return (
    kernel(expand) === '1x1' &&
    isDepthwise(depthwise) &&
    depthwise.slopes !== null &&
    kernel(project) === '1x1' &&
    project.weight.dims.length === 4
  );
}

function checkChannels(network: Network): void {
  const chain = [
    network.stem,
    network.stemDepthwise,
    ...network.blocks.flatMap((block) => [block.expand, block.depthwise, block.project]),
    network.separate,
    network.global,
    network.embedding,
  ];
  let channels = 3;
  const wrong: string[] = [];
  for (const unit of chain) {
    const wanted = isDepthwise(unit) ? unit.weight.dims[0] : unit.weight.dims[1];
    if (wanted !== channels) wrong.push(`${shown(unit)} where ${channels} channels arrive`);
    channels = unit.weight.dims[0] ?? 0;
  }
  if (wrong.length > 0) throw mismatch(wrong);
}

/**
 * Strides are not in a checkpoint. In every MobileFaceNet a stage begins with a block of stride 2, which is the first
 * one, one that changes the number of channels, or one that expands further than both its neighbours.
 */
function blockStrides(blocks: readonly Bottleneck[]): (1 | 2)[] {
  const width = (index: number): number => blocks[index]?.expand.weight.dims[0] ?? 0;
  return blocks.map((block, index) => {
    if (index === 0 || block.expand.weight.dims[1] !== block.project.weight.dims[0]) return 2;
    return width(index) > width(index - 1) && width(index) > width(index + 1) ? 2 : 1;
  });
}

class Builder {
  readonly #nodes: Node[] = [];
  readonly #initializers = new Map<string, ReturnType<typeof floatTensor>>();

  conv(input: string, unit: Unit, options: { stride: number; pad: number }): string {
    const { weight, bias } = folded(unit);
    const kernelShape = unit.weight.dims.slice(2);
    const name = this.#unique(unit.name);
    this.#initializers.set(`${name}.weight`, floatTensor(unit.weight.dims, weight));
    this.#initializers.set(`${name}.bias`, floatTensor([bias.length], bias));
    const ints = (value: readonly number[]): Attribute => ({ kind: 'ints', value });
    this.#nodes.push(
      makeNode('Conv', {
        name,
        inputs: [input, `${name}.weight`, `${name}.bias`],
        outputs: [`${name}/out`],
        attributes: {
          group: { kind: 'int', value: isDepthwise(unit) ? bias.length : 1 },
          kernel_shape: ints(kernelShape),
          pads: ints(new Array<number>(4).fill(options.pad)),
          strides: ints([options.stride, options.stride]),
        },
      }),
    );
    if (unit.slopes === null) return `${name}/out`;
    this.#initializers.set(`${name}.slope`, floatTensor([unit.slopes.length, 1, 1], unit.slopes));
    this.#nodes.push(
      makeNode('PRelu', {
        name: `${name}.prelu`,
        inputs: [`${name}/out`, `${name}.slope`],
        outputs: [`${name}/act`],
      }),
    );
    return `${name}/act`;
  }

  add(a: string, b: string, name: string): string {
    this.#nodes.push(makeNode('Add', { name, inputs: [a, b], outputs: [`${name}/out`] }));
    return `${name}/out`;
  }

  embedding(input: string, unit: Unit): void {
    const { weight, bias } = folded(unit);
    this.#initializers.set(
      'embedding.weight',
      floatTensor([unit.weight.dims[0] ?? 0, unit.weight.dims[1] ?? 0], weight),
    );
    this.#initializers.set('embedding.bias', floatTensor([bias.length], bias));
    this.#nodes.push(
      makeNode('Flatten', { name: 'flatten', inputs: [input], outputs: ['flatten/out'] }),
      makeNode('Gemm', {
        name: 'embedding',
        inputs: ['flatten/out', 'embedding.weight', 'embedding.bias'],
        outputs: ['embedding'],
        attributes: { transB: { kind: 'int', value: 1 } },
      }),
    );
  }

  model(input: { width: number; height: number }, dimensions: number): Model {
    return {
      irVersion: 7,
      opsets: new Map([['', TARGET_OPSET]]),
      metadata: new Map(),
      graph: {
        name: 'mobilefacenet',
        nodes: this.#nodes,
        initializers: this.#initializers,
        inputs: [{ name: 'input', type: 'float32', dims: [BATCH, 3, input.height, input.width] }],
        outputs: [{ name: 'embedding', type: 'float32', dims: [BATCH, dimensions] }],
      },
    };
  }

  #unique(name: string): string {
    return this.#initializers.has(`${name}.weight`) ? `${name}_${this.#nodes.length}` : name;
  }
}

/** Weight and bias with the batch norm that follows multiplied in (Jacob et al. 2018, section 3.2), in double precision. */
function folded(unit: Unit): { weight: Float32Array; bias: Float32Array } {
  const { weight, norm } = unit;
  const channels = weight.dims[0] ?? 0;
  const own = unit.bias ?? new Float32Array(channels);
  if (norm === null) return { weight: weight.values, bias: own };
  const scale = Float64Array.from(
    norm.variance,
    (variance, channel) => (norm.weight[channel] ?? 1) / Math.sqrt(variance + BATCH_NORM_EPSILON),
  );
  const each = weight.values.length / channels;
  return {
    weight: weight.values.map((value, index) => value * (scale[Math.floor(index / each)] ?? 1)),
    bias: own.map(
      (value, channel) =>
        (value - (norm.mean[channel] ?? 0)) * (scale[channel] ?? 1) + (norm.bias[channel] ?? 0),
    ),
  };
}

function isDepthwise(unit: Unit): boolean {
  const [outputs = 0, inputs = 0] = unit.weight.dims;
  return unit.weight.dims.length === 4 && inputs === 1 && outputs > 1 && kernel(unit) !== '1x1';
}

function kernel(unit: Unit): string {
  return unit.weight.dims.length === 2 ? '1x1' : unit.weight.dims.slice(2).join('x');
}

function shown(unit: Unit): string {
  return `${unit.name} of shape [${unit.weight.dims.join(', ')}]`;
}

function mismatch(what: readonly string[]): FacedError {
  const list = what.slice(0, 8).join('; ');
  return new FacedError('checkpoint.mismatch', `the checkpoint is no MobileFaceNet: found ${list}`, {
    fix: 'export this network to ONNX with its own code and import the ONNX file',
  });
}
