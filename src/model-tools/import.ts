import { readFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { FacedError } from '../domain/errors.js';
import { hashBytes } from '../inference/hash.js';
import { batchFree } from './batch.js';
import { isCheckpoint, readCheckpoint } from './checkpoint/torch.js';
import {
  cloneModel,
  decodeModel,
  foldConstants,
  type Model,
  makeNode,
  noiseFeeds,
  renameValue,
  runModel,
  traceShapes,
  upgradeOpset,
} from './graph/index.js';
import { buildMobileFaceNet } from './mobilefacenet/index.js';
import { foldBatchNorms } from './norm.js';
import { assertClose } from './optimize.js';
import { productsToGemm } from './plain.js';

export interface ImportedModel {
  readonly model: Model;
  /** `pytorch` or `onnx`. */
  readonly form: 'pytorch' | 'onnx';
  readonly input: { readonly width: number; readonly height: number };
  readonly dimensions: number;
  /** 1 − cosine between the answers of the ONNX file and of what was made of it; null for a checkpoint, which has none. */
  readonly distance: number | null;
}

/**
 * A recogniser from a PyTorch checkpoint of the MobileFaceNet family, or from an ONNX file of opset 9 to 21. The model
 * reads `input` and gives `embedding`, any number of faces at a time. `sourceSha256` is of the very bytes that were read.
 */
export async function importModel(path: string): Promise<ImportedModel & { readonly sourceSha256: string }> {
  let bytes: Uint8Array;
  try {
    bytes = await readFile(path);
  } catch (cause) {
    throw new FacedError('usage.not-found', `${path} cannot be read`, { cause });
  }
  const sourceSha256 = hashBytes(bytes);
  if (!isCheckpoint(bytes, path)) {
    const imported = await importOnnx(decodeModel(bytes, { folder: dirname(path), label: path }));
    return { ...imported, sourceSha256 };
  }
  const { model, input, dimensions } = buildMobileFaceNet(readCheckpoint(bytes));
  return { model, form: 'pytorch', input, dimensions, distance: null, sourceSha256 };
}

/**
 * Any recogniser with one image in and one vector out, of opset 9 to 21, batch norms folded; what comes out is checked against what went in.
 * Throws `model.unsupported` when opset or shapes are others, `model.not-equal` when it answers something else.
 */
export async function importOnnx(original: Model): Promise<ImportedModel> {
  const model = cloneModel(original);
  upgradeOpset(model);
  const { graph } = model;
  const [input] = graph.inputs;
  const [output] = graph.outputs;
  if (graph.inputs.length !== 1 || input === undefined || output === undefined)
    throw unsuitable(`it has ${graph.inputs.length} inputs; a recogniser has one`);
  const [, channels, height, width] = input.dims;
  const sized = typeof height === 'number' && typeof width === 'number';
  if (input.dims.length !== 4 || channels !== 3 || !sized || input.type !== 'float32')
    throw unsuitable(`its input is ${input.type} [${input.dims}], not float32 [N, 3, height, width]`);
  graph.outputs = [output];
  await foldConstants(model);
  await productsToGemm(model);
  foldBatchNorms(graph);
  const shape = (await traceShapes(model)).get(output.name) ?? [];
  const dimensions = shape[1] ?? 0;
  const vector = (shape.length === 2 || shape.length === 4) && shape.slice(2).every((dim) => dim === 1);
  if (!vector || dimensions < 8) throw unsuitable(`its output has the shape [${shape}], not [N, dimensions]`);
  const feeds = noiseFeeds(original.graph.inputs, { batch: 1, scale: 1 });
  const before = (await runModel(original, feeds))[output.name];
  renameTo(model, input.name, 'input');
  renameTo(model, output.name, 'embedding');
  if (shape.length === 4) flattenOutput(model, dimensions);
  await freeBatchWhereRight(model);
  const fed = feeds[input.name];
  const after = fed === undefined ? undefined : (await runModel(model, { input: fed })).embedding;
  const distance =
    before === undefined || after === undefined
      ? null
      : assertClose({ embedding: before }, { embedding: after });
  return { model, form: 'onnx', input: { width, height }, dimensions, distance };
}

/** Gives a value its standard name, and whatever had that name another one. */
function renameTo(model: Model, from: string, to: string): void {
  if (from === to) return;
  renameValue(model.graph, to, `${to}/was`);
  renameValue(model.graph, from, to);
}

function flattenOutput(model: Model, dimensions: number): void {
  renameValue(model.graph, 'embedding', 'embedding/map');
  model.graph.nodes.push(makeNode('Flatten', { inputs: ['embedding/map'], outputs: ['embedding'] }));
  model.graph.outputs = [{ name: 'embedding', type: 'float32', dims: [1, dimensions] }];
}

/** The batch becomes free only when two pictures at once answer like one after the other. */
async function freeBatchWhereRight(model: Model): Promise<void> {
  const free = cloneModel(model);
  try {
    await batchFree(free);
    const feeds = noiseFeeds(free.graph.inputs, { batch: 2, scale: 1 });
    const both = await runModel(free, feeds);
    const halves = [];
    for (const half of [0, 1]) {
      const single = Object.fromEntries(
        Object.entries(feeds).map(([name, { dims, data }]) => {
          const size = data.length / 2;
          const part = Float32Array.from({ length: size }, (_, at) => Number(data[half * size + at]));
          return [name, { type: 'float32' as const, dims: [1, ...dims.slice(1)], data: part }];
        }),
      );
      halves.push(await runModel(model, single));
    }
    const joined = halves.flatMap((half) => [...(half.embedding?.data ?? [])].map(Number));
    const dims = both.embedding?.dims ?? [];
    assertClose({ embedding: { type: 'float32', dims, data: Float32Array.from(joined) } }, both);
  } catch (error) {
    if (error instanceof FacedError && ['model.run-failed', 'model.not-equal'].includes(error.code)) return;
    throw error;
  }
  model.graph = free.graph;
}

function unsuitable(what: string): FacedError {
  return new FacedError('model.unsupported', `the file is no recogniser that faced can use: ${what}`, {
    fix: 'export the network with one image input [N, 3, height, width] in float and one embedding output',
  });
}
