import type { StateDict } from '../checkpoint/torch.js';
import type { Model } from '../graph/index.js';
import { Builder } from './builder.js';
import { stagesByName } from './schemes.js';
import { isDepthwise, kernel, mismatch, shown, type Unit, unitsOf } from './units.js';

/** Expand 1x1, depthwise 3x3, project 1x1 (Sandler et al. 2018; Chen et al. 2018, table 1). */
interface Bottleneck {
  readonly expand: Unit;
  readonly depthwise: Unit;
  readonly project: Unit;
}

interface Network {
  readonly stem: Unit;
  /** What stands between the first convolution and the bottlenecks: a depthwise or grouped 3x3, a 1x1, or nothing. */
  readonly afterStem: readonly Unit[];
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
 * the order of the network and told apart by their shapes. Batch norm is folded. Throws `checkpoint.mismatch` with the
 * tensors that did not fit.
 */
export function buildMobileFaceNet(state: StateDict): Imported {
  const network = recognise(unitsOf(state));
  const strides = blockStrides(network.blocks);
  const [kernelHeight = 0, kernelWidth = 0] = network.global.weight.dims.slice(2);
  const scale = 2 ** (1 + strides.filter((stride) => stride === 2).length);
  const input = { width: kernelWidth * scale, height: kernelHeight * scale };

  const builder = new Builder();
  let [at, channels] = ['input', 3];
  const conv = (unit: Unit, stride: 1 | 2, pad: 0 | 1): string => {
    at = builder.conv(at, unit, { channels, stride, pad });
    channels = unit.weight.dims[0] ?? 0;
    return at;
  };
  conv(network.stem, 2, 1);
  for (const unit of network.afterStem) conv(unit, 1, kernel(unit) === '3x3' ? 1 : 0);
  network.blocks.forEach((block, index) => {
    const stride = strides[index] ?? 1;
    const before = at;
    conv(block.expand, 1, 0);
    conv(block.depthwise, stride, 1);
    conv(block.project, 1, 0);
    if (stride === 1 && keepsChannels(block)) at = builder.add(before, at, `${block.project.name}/residual`);
  });
  conv(network.separate, 1, 0);
  conv(network.global, 1, 0);
  const dimensions = network.embedding.weight.dims[0] ?? 0;
  builder.embedding(at, network.embedding);
  return { model: builder.model(input, dimensions), input, dimensions, blocks: network.blocks.length };
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
  const afterStem: Unit[] = [];
  if (queue[0] !== undefined && kernel(queue[0]) !== '1x1')
    afterStem.push(take('a depthwise 3x3 convolution', (unit) => isStemFilter(unit, stem)));
  // A separable stem has a 1x1 convolution that begins no bottleneck.
  const [next, second] = queue;
  const separable = afterStem.length > 0 && next !== undefined && kernel(next) === '1x1';
  if (separable && second !== undefined && kernel(second) === '1x1') afterStem.push(...queue.splice(0, 1));
  const blocks = takeBottlenecks(queue);
  const separate = take('the 1x1 convolution before the head', (unit) => kernel(unit) === '1x1');
  const global = take(
    'a global depthwise convolution',
    (unit) => isDepthwise(unit) && unit.activation === null,
  );
  const embedding = take(
    'the layer of the embedding',
    (unit) => kernel(unit) === '1x1' && unit.activation === null,
  );
  if (queue.length > 0) throw mismatch(queue.map((unit) => `${shown(unit)} after the embedding`));
  const network = { stem, afterStem, blocks, separate, global, embedding };
  checkChannels(network);
  return network;
}

/** Filters each channel of the stem, or small groups of them, on its own. */
function isStemFilter(unit: Unit, stem: Unit): boolean {
  const [outputs = 0, inputs = 0] = unit.weight.dims;
  return kernel(unit) === '3x3' && outputs === stem.weight.dims[0] && inputs <= 4 && outputs % inputs === 0;
}

function takeBottlenecks(queue: Unit[]): Bottleneck[] {
  const blocks: Bottleneck[] = [];
  for (;;) {
    const [expand, depthwise, project] = queue;
    if (expand === undefined || depthwise === undefined || project === undefined) break;
    const shapes = kernel(expand) === '1x1' && isDepthwise(depthwise) && project.weight.dims.length === 4;
    if (!shapes || kernel(depthwise) !== '3x3' || kernel(project) !== '1x1') break;
    if (expand.activation === null)
      throw mismatch([
        `no PReLU slopes beside ${shown(expand)}: which activation follows is not in the file`,
      ]);
    // A head of kernel 3x3 has the same shapes and no activation after its depthwise convolution.
    if (depthwise.activation === null) break;
    blocks.push({ expand, depthwise, project });
    queue.splice(0, 3);
  }
  if (blocks.length > 0) return blocks;
  throw mismatch([
    `${queue[0] === undefined ? 'nothing' : shown(queue[0])} where the first bottleneck is expected`,
  ]);
}

function checkChannels(network: Network): void {
  const chain = [
    network.stem,
    ...network.afterStem,
    ...network.blocks.flatMap((block) => [block.expand, block.depthwise, block.project]),
    network.separate,
    network.global,
    network.embedding,
  ];
  let channels = 3;
  const wrong: string[] = [];
  for (const unit of chain) {
    const [outputs = 0, inputs = 0] = unit.weight.dims;
    const filters = isDepthwise(unit) || network.afterStem.includes(unit);
    const fits = filters && kernel(unit) !== '1x1' ? outputs === channels : inputs === channels;
    if (!fits) wrong.push(`${shown(unit)} where ${channels} channels arrive`);
    channels = outputs;
  }
  if (wrong.length > 0) throw mismatch(wrong);
}

/**
 * Strides are not in a checkpoint. In every MobileFaceNet a stage begins with a block of stride 2. Where the names do
 * not show which these are, it is the first one, one that changes the number of channels, or one that expands further
 * than both its neighbours.
 */
function blockStrides(blocks: readonly Bottleneck[]): (1 | 2)[] {
  const named = stagesByName(blocks.map(({ expand }) => expand.name));
  if (named !== null) return blocks.map((block, at) => (named[at] || !keepsChannels(block) ? 2 : 1));
  const width = (index: number): number => blocks[index]?.expand.weight.dims[0] ?? 0;
  return blocks.map((block, index) => {
    if (index === 0 || !keepsChannels(block)) return 2;
    return width(index) > width(index - 1) && width(index) > width(index + 1) ? 2 : 1;
  });
}

function keepsChannels(block: Bottleneck): boolean {
  return block.expand.weight.dims[1] === block.project.weight.dims[0];
}
