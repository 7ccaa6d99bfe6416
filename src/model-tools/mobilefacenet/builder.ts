import { BATCH } from '../batch.js';
import {
  type Attribute,
  floatTensor,
  type Model,
  makeNode,
  type Node,
  TARGET_OPSET,
} from '../graph/index.js';
import { type Activation, folded, type Unit } from './units.js';

/** Puts a network together layer by layer; each call answers the name of the value it made. */
export class Builder {
  readonly #nodes: Node[] = [];
  readonly #initializers = new Map<string, ReturnType<typeof floatTensor>>();

  /** A convolution with its norm folded in, and its activation. `channels` arrive; fewer in the weight are groups. */
  conv(input: string, unit: Unit, options: { channels: number; stride: number; pad: number }): string {
    const { weight, bias } = folded(unit);
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
          group: { kind: 'int', value: options.channels / (unit.weight.dims[1] ?? 1) },
          kernel_shape: ints(unit.weight.dims.slice(2)),
          pads: ints(new Array<number>(4).fill(options.pad)),
          strides: ints([options.stride, options.stride]),
        },
      }),
    );
    return unit.activation === null ? `${name}/out` : this.#activation(name, unit.activation);
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

  #activation(name: string, activation: Activation): string {
    const [input, output] = [`${name}/out`, `${name}/act`];
    if (activation.kind === 'prelu') {
      const { slopes } = activation;
      this.#initializers.set(`${name}.slope`, floatTensor([slopes.length, 1, 1], slopes));
      this.#nodes.push(
        makeNode('PRelu', { name: `${name}.prelu`, inputs: [input, `${name}.slope`], outputs: [output] }),
      );
    } else if (activation.kind === 'relu') {
      this.#nodes.push(makeNode('Relu', { name: `${name}.relu`, inputs: [input], outputs: [output] }));
    } else {
      this.#initializers.set('zero', floatTensor([], [0])).set('six', floatTensor([], [6]));
      this.#nodes.push(
        makeNode('Clip', { name: `${name}.relu6`, inputs: [input, 'zero', 'six'], outputs: [output] }),
      );
    }
    return output;
  }

  #unique(name: string): string {
    return this.#initializers.has(`${name}.weight`) ? `${name}_${this.#nodes.length}` : name;
  }
}
