export { foldConstants } from './fold.js';
export { decodeModel, loadModel, loadWithBytes } from './load.js';
export { NEWEST_OPSET, TARGET_OPSET, upgradeOpset } from './opset.js';
export { activations, type Feeds, noiseFeeds, runModel, toTensor, withOutputs } from './run.js';
export { encodeModel } from './save.js';
export { type TracedValue, traceShapes, traceValues } from './shapes.js';
export * from './tensor.js';
export * from './types.js';
export * from './walk.js';
