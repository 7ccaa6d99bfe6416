import { FacedError } from '../domain/errors.js';
import { bytesOf, cloneModel, floats, type Model, makeNode, type Tensor } from './graph/index.js';
import { visitActivations } from './quantize/observe.js';

/** The greatest finite number of IEEE 754 binary16. */
const HALF_MAX = 65504;

/**
 * The network in half precision with float input and output, for TensorRT on processors that have FP16. Throws
 * `model.unsupported` when a value of the calibration inputs would overflow: on such a network half precision is wrong.
 */
export async function halveModel(
  original: Model,
  inputs: readonly Float32Array[],
): Promise<{ model: Model; greatest: number }> {
  refuseNarrow(original);
  const greatest = await greatestValue(original, inputs);
  if (greatest > HALF_MAX) {
    throw new FacedError(
      'model.unsupported',
      `a value of ${greatest.toFixed(0)} does not fit half precision`,
      {
        fix: 'keep this model in float, or quantise it',
      },
    );
  }
  const model = cloneModel(original);
  const { graph } = model;
  for (const [name, tensor] of graph.initializers)
    if (tensor.type === 'float32') graph.initializers.set(name, toHalf(name, tensor));
  for (const node of graph.nodes) {
    const value = node.attributes.get('value');
    if (value?.kind === 'tensor' && value.value.type === 'float32')
      node.attributes.set('value', { kind: 'tensor', value: toHalf(node.name, value.value) });
    const to = node.attributes.get('to');
    if (node.op === 'Cast' && to?.value === 1) node.attributes.set('to', { kind: 'int', value: 10 });
  }
  for (const input of graph.inputs) {
    if (input.type !== 'float32') continue;
    const half = `${input.name}/half`;
    for (const node of graph.nodes)
      node.inputs = node.inputs.map((name) => (name === input.name ? half : name));
    graph.nodes.unshift(
      makeNode('Cast', {
        inputs: [input.name],
        outputs: [half],
        attributes: { to: { kind: 'int', value: 10 } },
      }),
    );
  }
  for (const output of graph.outputs) {
    if (output.type !== 'float32') continue;
    const half = `${output.name}/half`;
    const swap = (name: string): string => (name === output.name ? half : name);
    for (const node of graph.nodes) {
      node.inputs = node.inputs.map(swap);
      node.outputs = node.outputs.map(swap);
    }
    graph.nodes.push(
      makeNode('Cast', {
        inputs: [half],
        outputs: [output.name],
        attributes: { to: { kind: 'int', value: 1 } },
      }),
    );
  }
  return { model, greatest };
}

/** A file in half precision already, or in 8 bits: a GPU's FP16 wants the float model. */
function refuseNarrow({ graph }: Model): void {
  const half = [...graph.initializers.values()].some(({ type }) => type === 'float16');
  const quantised = graph.nodes.some(({ op }) => /^(De)?[Qq]uantize|QLinear|Integer$/.test(op));
  if (!half && !quantised) return;
  throw new FacedError('model.unsupported', `the model is in ${half ? 'half precision' : '8 bits'} already`, {
    fix: 'name the float model that it was made from',
  });
}

async function greatestValue(model: Model, inputs: readonly Float32Array[]): Promise<number> {
  let greatest = 0;
  await visitActivations({
    model,
    names: [...new Set(model.graph.nodes.flatMap((node) => node.outputs))],
    inputs,
    visit: (_name, value) => {
      if (value.type !== 'float32') return;
      for (let at = 0; at < value.data.length; at += 1) {
        const size = Math.abs(value.data[at] as number);
        if (!(size <= greatest)) greatest = size;
      }
    },
  });
  return greatest;
}

function toHalf(name: string, tensor: Tensor): Tensor {
  const halves = Uint16Array.from(floats(tensor), floatToHalf);
  if (halves.some((bits) => (bits & 0x7c00) === 0x7c00)) {
    throw new FacedError('model.unsupported', `the constant ${name} does not fit half precision`, {
      fix: 'keep this model in float',
    });
  }
  return { type: 'float16', dims: tensor.dims, data: bytesOf(halves) };
}

const word = new DataView(new ArrayBuffer(4));

/** IEEE 754 binary16, rounded to nearest, ties to even. */
export function floatToHalf(value: number): number {
  word.setFloat32(0, value);
  const bits = word.getUint32(0);
  const sign = (bits >>> 16) & 0x8000;
  const exponent = ((bits >>> 23) & 0xff) - 127;
  const fraction = bits & 0x7fffff;
  if (exponent === 128) return sign | 0x7c00 | (fraction === 0 ? 0 : 0x200);
  if (exponent < -25) return sign;
  const significand = fraction | 0x800000;
  const shift = exponent < -14 ? -1 - exponent : 13;
  const kept = significand >>> shift;
  const rest = significand & ((1 << shift) - 1);
  const tie = 1 << (shift - 1);
  const rounded = kept + (rest > tie || (rest === tie && (kept & 1) === 1) ? 1 : 0);
  // A carry out of the fraction raises the exponent, as it should; beyond 15 it becomes infinity.
  const result = exponent < -14 ? rounded : ((exponent + 14) << 10) + rounded;
  return sign | Math.min(result, 0x7c00);
}
