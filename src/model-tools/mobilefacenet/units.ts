import { FacedError } from '../../domain/errors.js';
import type { CheckpointTensor, StateDict } from '../checkpoint/torch.js';
import { type BatchNorm, foldNorm } from '../norm.js';
import { inNetworkOrder, type Rectifier, rectifierOf } from './schemes.js';

/** PyTorch's default for BatchNorm2d and BatchNorm1d, which every known MobileFaceNet keeps. */
const BATCH_NORM_EPSILON = 1e-5;

/** A convolution or linear layer with what follows it before the next one. */
export interface Unit {
  readonly name: string;
  readonly weight: CheckpointTensor;
  readonly bias: Float32Array | null;
  readonly norm: BatchNorm | null;
  readonly activation: Activation | null;
}

/** PReLU with one slope for each channel, or what a naming scheme is known to use where nothing is stored. */
export type Activation = { readonly kind: 'prelu'; readonly slopes: Float32Array } | Rectifier;

interface Vector {
  readonly name: string;
  readonly values: Float32Array;
}

/**
 * Groups tensors that belong together by their order: a weight of two or four dimensions begins a unit. Throws
 * `checkpoint.mismatch` with the tensors that belong to none.
 */
export function unitsOf(state: StateDict): Unit[] {
  const groups: { name: string; weight: CheckpointTensor; vectors: Vector[] }[] = [];
  for (const [name, tensor] of inNetworkOrder(state)) {
    if (/num_batches_tracked$/.test(name) || tensor.dims.length === 0) continue;
    const channels = groups.at(-1)?.weight.dims[0];
    if (tensor.dims.length === 4 || tensor.dims.length === 2) {
      groups.push({ name: name.replace(/\.weight$/, ''), weight: tensor, vectors: [] });
    } else if (tensor.dims.length === 1 && (tensor.dims[0] === channels || tensor.dims[0] === 1)) {
      groups.at(-1)?.vectors.push({ name, values: tensor.values });
    } else {
      throw mismatch([`${name} of shape [${tensor.dims}] where ${channels ?? 'no'} channels are`]);
    }
  }
  return groups.map(({ name, weight, vectors }) => ({
    name,
    weight,
    ...unitOf({ name, channels: weight.dims[0] ?? 0, rectifier: rectifierOf(state, name) }, vectors),
  }));
}

/** After the weight: an own bias, four vectors of a batch norm, one of slopes; told apart by name and count. */
function unitOf(
  { name, channels, rectifier }: { name: string; channels: number; rectifier: Rectifier | null },
  vectors: readonly Vector[],
): Pick<Unit, 'bias' | 'norm' | 'activation'> {
  const left = [...vectors];
  const take = (fits: (vector: Vector) => boolean): Float32Array | undefined => {
    const at = left.findIndex(fits);
    return at === -1 ? undefined : left.splice(at, 1)[0]?.values;
  };
  const bias = take((vector) => vector.name === `${name}.bias`) ?? null;
  const stem = left
    .find((vector) => /(running_mean|moving_mean)$/.test(vector.name))
    ?.name.replace(/(running_mean|moving_mean)$/, '');
  let norm: BatchNorm | null = null;
  if (stem !== undefined) {
    const named = (...names: string[]) => take((vector) => names.some((one) => vector.name === stem + one));
    // A norm without weight and bias (affine=False) is one of weight 1 and bias 0.
    norm = {
      weight: named('weight', 'gamma') ?? new Float32Array(channels).fill(1),
      bias: named('bias', 'beta') ?? new Float32Array(channels),
      mean: named('running_mean', 'moving_mean') ?? new Float32Array(channels),
      variance: named('running_var', 'moving_variance') ?? new Float32Array(channels).fill(1),
      epsilon: BATCH_NORM_EPSILON,
    };
  }
  if (left.length > 1)
    throw mismatch(left.slice(1).map((vector) => `${vector.name} [${vector.values.length}] after ${name}`));
  const slopes = left[0]?.values;
  if (slopes === undefined) return { bias, norm, activation: rectifier };
  const each = slopes.length === 1 ? new Float32Array(channels).fill(slopes[0] ?? 0) : slopes;
  return { bias, norm, activation: { kind: 'prelu', slopes: each } };
}

/** Weight and bias with the batch norm that follows multiplied in. */
export function folded(unit: Unit): { weight: Float32Array; bias: Float32Array } {
  const { weight, norm } = unit;
  const channels = weight.dims[0] ?? 0;
  const own = { weight: weight.values, bias: unit.bias ?? new Float32Array(channels) };
  if (norm === null) return own;
  const each = weight.values.length / channels;
  return foldNorm({ ...own, channelOf: (index) => Math.floor(index / each) }, norm);
}

export function isDepthwise(unit: Unit): boolean {
  const [outputs = 0, inputs = 0] = unit.weight.dims;
  return unit.weight.dims.length === 4 && inputs === 1 && outputs > 1 && kernel(unit) !== '1x1';
}

/** `3x3`; a linear layer is `1x1`. */
export function kernel(unit: Unit): string {
  return unit.weight.dims.length === 2 ? '1x1' : unit.weight.dims.slice(2).join('x');
}

export function shown(unit: Unit): string {
  return `${unit.name} of shape [${unit.weight.dims.join(', ')}]`;
}

export function mismatch(what: readonly string[]): FacedError {
  const list = what.slice(0, 8).join('; ');
  return new FacedError('checkpoint.mismatch', `the checkpoint is no MobileFaceNet: found ${list}`, {
    fix: 'export this network to ONNX with its own code and import the ONNX file',
  });
}
