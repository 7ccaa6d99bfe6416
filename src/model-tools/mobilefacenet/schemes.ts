import type { CheckpointTensor, StateDict } from '../checkpoint/torch.js';

/** Activations without parameters, which a checkpoint says nothing of. */
export interface Rectifier {
  readonly kind: 'relu' | 'relu6';
}

/**
 * Most authors declare the layers in the order in which they run, so that the order of the file is that of the network
 * whatever the names are. The MobileFaceNet that is written as a MobileNetV2 is not so: its bottlenecks are declared
 * last and both norms of the separable stem after both convolutions; and it uses ReLU in place of PReLU. It is known by
 * these names.
 */
const RECTIFIED_ORDER = [
  'conv1.',
  'dw_conv.depthwise.',
  'dw_conv.bn1.',
  'dw_conv.pointwise.',
  'dw_conv.bn2.',
  'features.',
  'conv2.',
  'gdconv.depthwise.',
  'gdconv.bn.',
  'conv3.',
  'bn.',
];

function isRectified(state: StateDict): boolean {
  return state.has('dw_conv.pointwise.weight') && state.has('gdconv.depthwise.weight');
}

/** Names and tensors as the network runs through them. */
export function inNetworkOrder(state: StateDict): [string, CheckpointTensor][] {
  const entries = [...state];
  if (!isRectified(state)) return entries;
  const place = (name: string): number => {
    const at = RECTIFIED_ORDER.findIndex((prefix) => name.startsWith(prefix));
    return at === -1 ? RECTIFIED_ORDER.length : at;
  };
  return entries.sort(([a], [b]) => place(a) - place(b));
}

/** The activation after a layer of a scheme that stores none; null where there is none or it is stored. */
export function rectifierOf(state: StateDict, layer: string): Rectifier | null {
  if (!isRectified(state)) return null;
  if (/^dw_conv\.(depthwise|pointwise)$/.test(layer)) return { kind: 'relu' };
  return /^(conv1\.0|conv2\.0|features\.\d+\.conv\.[01]\.0)$/.test(layer) ? { kind: 'relu6' } : null;
}

/**
 * Which bottlenecks begin a stage, where the names say so: in `conv_23.conv` and `conv_3.model.0.conv`, or
 * `layers.2.layers.0` and `layers.3.layers.0.layers.0`, those with a number less in their names have a stride of 2.
 * Null where all names are alike.
 */
export function stagesByName(blocks: readonly string[]): boolean[] | null {
  const depths = blocks.map((name) => name.split('.').length);
  const [shallow, deep] = [Math.min(...depths), Math.max(...depths)];
  return shallow === deep ? null : depths.map((depth) => depth === shallow);
}
