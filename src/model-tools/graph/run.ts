import { FacedError } from '../../domain/errors.js';
import { createSession, type SessionOptions, type SessionTensor } from '../../inference/raw-session.js';
import { encodeModel } from './save.js';
import { bytesOf, elementCount } from './tensor.js';
import type { DataType, Model, Tensor, ValueInfo } from './types.js';
import { cloneModel, removeDead } from './walk.js';

/** Inputs by name. */
export type Feeds = Readonly<Record<string, SessionTensor>>;

/** Runs the model once on the CPU and gives its outputs. */
export async function runModel(
  model: Model,
  feeds: Feeds,
  options: SessionOptions = {},
): Promise<Record<string, SessionTensor>> {
  const session = await createSession(encodeModel(model), options);
  try {
    return await session.run(feeds);
  } finally {
    await session.release();
  }
}

/** The model with other values of its graph as outputs; what they do not need is left out. */
export function withOutputs(model: Model, names: readonly string[]): Model {
  const cut = cloneModel(model);
  cut.graph.outputs = names.map((name) => ({ name, type: null, dims: [] }));
  removeDead(cut.graph);
  return cut;
}

/** Chosen values inside the graph for one set of inputs, with graph optimisation off so that each of them exists. */
export async function activations(
  model: Model,
  names: readonly string[],
  feeds: Feeds,
): Promise<Record<string, SessionTensor>> {
  return runModel(withOutputs(model, names), feeds, { optimisation: 'disabled' });
}

export function toTensor(value: SessionTensor): Tensor {
  return { type: value.type as DataType, dims: [...value.dims], data: bytesOf(value.data) };
}

/** Elements of an input at most: 512 pictures of 1024x1024 in three channels would be more. */
const MOST_ELEMENTS = 2 ** 28;

/**
 * Inputs of noise, the same for the same seed: for comparing two forms of one network where no pictures are needed.
 * Free dimensions other than the first become 1. Throws `model.unsupported` where an input claims a size that no picture has.
 */
export function noiseFeeds(inputs: readonly ValueInfo[], options: { batch: number; scale: number }): Feeds {
  let state = 0x2545f491;
  const next = (): number => {
    // xorshift32, Marsaglia 2003
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) / 2 ** 32;
  };
  return Object.fromEntries(
    inputs.map((input): [string, SessionTensor] => {
      const dims = input.dims.map((dim, index) => {
        if (index === 0) return options.batch;
        return typeof dim === 'number' ? dim : 1;
      });
      const count = elementCount(dims);
      if (count > MOST_ELEMENTS)
        throw new FacedError('model.unsupported', `the input ${input.name} claims the shape [${dims}]`, {
          fix: 'export the network with the size of one picture',
        });
      if (input.type === 'uint8')
        return [
          input.name,
          { type: 'uint8', dims, data: Uint8Array.from({ length: count }, () => next() * 256) },
        ];
      const data = Float32Array.from({ length: count }, () => (2 * next() - 1) * options.scale);
      return [input.name, { type: 'float32', dims, data }];
    }),
  );
}
