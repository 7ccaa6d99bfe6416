import {
  addInitializer,
  constantInput,
  consumers,
  floats,
  floatTensor,
  freshName,
  type Graph,
  int64Tensor,
  intAttribute,
  intsAttribute,
  type Model,
  makeNode,
  type Node,
  type Tensor,
  traceShapes,
} from '../graph/index.js';

/** Pixels of a row that are taken as one. */
const TOGETHER = 4;

/** The convolution that reads the picture, and its sizes. */
export interface Stem {
  readonly conv: Node;
  readonly channels: number;
  readonly height: number;
  readonly width: number;
  readonly outputs: number;
  readonly outHeight: number;
  readonly outWidth: number;
}

/** What {@link widenStem} put into the graph. */
export interface WideStem {
  readonly nodes: readonly Node[];
  /** New values, and the ones whose range they have. */
  readonly alike: ReadonlyMap<string, string>;
}

/** Null where the picture is read by something else, or its width does not divide. */
export async function findStem(model: Model): Promise<Stem | null> {
  const { graph } = model;
  const [conv, ...others] = consumers(graph).get(graph.inputs[0]?.name ?? '') ?? [];
  if (conv === undefined || others.length > 0 || conv.op !== 'Conv') return null;
  const shapes = await traceShapes(model);
  const [, channels = 0, height = 0, width = 0] = shapes.get(conv.inputs[0] ?? '') ?? [];
  const [, outputs = 0, outHeight = 0, outWidth = 0] = shapes.get(conv.outputs[0] ?? '') ?? [];
  const [stride = 0] = strides(conv);
  const dilated = intsAttribute(conv, 'dilations', []).some((step) => step !== 1);
  const plain = intAttribute(conv, 'group', 1) === 1 && !dilated && !conv.attributes.has('auto_pad');
  const divides = TOGETHER % stride === 0 && width % TOGETHER === 0 && outWidth * stride === width;
  const few = channels < TOGETHER && constantInput(graph, conv, 1)?.type === 'float32';
  return plain && divides && few ? { conv, channels, height, width, outputs, outHeight, outWidth } : null;
}

/**
 * ONNX Runtime's 8-bit convolutions take four channels at a time; one over the three of a picture is copied out pixel
 * by pixel first and costs a fifth of a small network. Four pixels of a row lie in memory like one of twelve
 * channels: read so, with zeros where the kernel does not reach, each output stands for the several that these four
 * pixels had, and lies in memory like them. The same sums; in place.
 */
export function widenStem(graph: Graph, stem: Stem): WideStem {
  const { conv, channels, height, width, outputs, outHeight, outWidth } = stem;
  const [input = '', weightName = '', biasName] = conv.inputs;
  const [output = ''] = conv.outputs;
  const weight = constantInput(graph, conv, 1);
  if (weight === undefined) throw new TypeError(`${conv.name} has computed weights`);
  const [down = 1, stride = 1] = strides(conv);
  const [top = 0, left = 0, bottom = 0] = intsAttribute(conv, 'pads', [0, 0, 0, 0]);
  const each = TOGETHER / stride;
  const kernelWidth = weight.dims[3] ?? 1;
  const before = Math.ceil(left / TOGETHER);
  const after = Math.floor(((each - 1) * stride - left + kernelWidth - 1) / TOGETHER);
  const wide = wideWeight(weight, { each, stride, left, before, taken: before + 1 + after });
  const inputs = ['', addInitializer(graph, `${weightName}/wide`, wide)];
  const bias = constantInput(graph, conv, 2);
  if (bias !== undefined)
    inputs.push(addInitializer(graph, `${biasName}/wide`, floatTensor([each * outputs], repeat(bias, each))));
  const alike = new Map<string, string>();
  const value = (kind: string, like: string): string => {
    const name = freshName(graph, `${output}/${kind}`);
    alike.set(name, like);
    return name;
  };
  const move = (op: 'toPixels' | 'toPlanes', from: string, to: string): Node =>
    makeNode('Transpose', {
      inputs: [from],
      outputs: [to],
      attributes: { perm: { kind: 'ints', value: op === 'toPixels' ? [0, 2, 3, 1] : [0, 3, 1, 2] } },
    });
  const reshape = (dims: readonly number[], from: string, to: string): Node =>
    makeNode('Reshape', {
      inputs: [from, addInitializer(graph, `${to}/shape`, int64Tensor([4], dims))],
      outputs: [to],
    });
  const [pixels, fours, planes] = ['pixels', 'fours', 'planes'].map((kind) => value(kind, input)) as [
    string,
    string,
    string,
  ];
  const [sums, back, apart] = ['sums', 'back', 'apart'].map((kind) => value(kind, output)) as [
    string,
    string,
    string,
  ];
  const nodes = [
    move('toPixels', input, pixels),
    reshape([0, height, width / TOGETHER, channels * TOGETHER], pixels, fours),
    move('toPlanes', fours, planes),
    makeNode('Conv', {
      name: conv.name,
      inputs: [planes, ...inputs.slice(1)],
      outputs: [sums],
      attributes: {
        kernel_shape: { kind: 'ints', value: [weight.dims[2] ?? 1, before + 1 + after] },
        strides: { kind: 'ints', value: [down, 1] },
        pads: { kind: 'ints', value: [top, before, bottom, after] },
      },
    }),
    move('toPixels', sums, back),
    reshape([0, outHeight, outWidth, outputs], back, apart),
    move('toPlanes', apart, output),
  ];
  graph.nodes.splice(graph.nodes.indexOf(conv), 1, ...nodes);
  return { nodes, alike };
}

/** [outputs, channels, h, w] to [each · outputs, 4 · channels, h, taken]. */
function wideWeight(
  weight: Tensor,
  form: { each: number; stride: number; left: number; before: number; taken: number },
): Tensor {
  const { each, stride, left, before, taken } = form;
  const [outputs = 1, channels = 1, high = 1, wide = 1] = weight.dims;
  const values = floats(weight);
  const result = new Float32Array(each * outputs * TOGETHER * channels * high * taken);
  for (let at = 0; at < values.length; at += 1) {
    const [x, y] = [at % wide, Math.floor(at / wide) % high];
    const channel = Math.floor(at / (wide * high)) % channels;
    const output = Math.floor(at / (wide * high * channels));
    for (let one = 0; one < each; one += 1) {
      const pixel = before * TOGETHER + one * stride - left + x;
      const wideOutput = one * outputs + output;
      const wideChannel = (pixel % TOGETHER) * channels + channel;
      const column = Math.floor(pixel / TOGETHER);
      result[((wideOutput * TOGETHER * channels + wideChannel) * high + y) * taken + column] =
        values[at] ?? 0;
    }
  }
  return floatTensor([each * outputs, TOGETHER * channels, high, taken], result);
}

function repeat(bias: Tensor, times: number): Float32Array {
  const values = floats(bias);
  return Float32Array.from({ length: times * values.length }, (_, at) => values[at % values.length] ?? 0);
}

function strides(conv: Node): readonly number[] {
  return intsAttribute(conv, 'strides', [1, 1]);
}
