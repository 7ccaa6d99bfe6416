import { rm } from 'node:fs/promises';
import { hashFile } from '../../inference/hash.js';
import { targetOf } from '../../inference/variants.js';
import { encodeModel, loadModel } from '../../model-tools/graph/index.js';
import { halveModel } from '../../model-tools/half.js';
import { measureMemory } from '../../model-tools/memory.js';
import { compare } from '../../model-tools/quantize/index.js';
import { writeOutput } from '../../model-tools/variant.js';
import { type CommandIo, type ExitCode, parse, usage } from '../command.js';
import { calibrationFor } from './calibration.js';
import { finish, formBeside } from './quantize.js';
import { resolveModel } from './resolve.js';

/**
 * `faced model half [M] --calibration DIR --out O.onnx`: FP16 with float input and output, overflow checked on faces.
 * The memory of both is measured in processes of their own, on this processor, which widens what it computes to float;
 * on a GPU with FP16 it is another matter.
 */
export async function run(argv: readonly string[], io: CommandIo): Promise<ExitCode> {
  const { values, positionals } = parse(argv, { calibration: { type: 'string' }, out: { type: 'string' } });
  if (values.calibration === undefined) throw usage('half needs --calibration DIR, a folder of photographs');
  const { path, label, card } = await resolveModel(positionals[0], io);
  const out = values.out ?? formBeside(card, { io, target: targetOf(process.arch) ?? 'x64', kind: 'half' });
  if (!out.endsWith('.onnx')) throw usage('--out ends with .onnx');
  if (card === null) throw usage('half needs a model with a card, since calibration feeds it');
  const { inputs, faces } = await calibrationFor({ path, card }, { dir: values.calibration, limit: 32 }, io);
  const original = await loadModel(path);
  const { model, greatest } = await halveModel(original, inputs);
  const cosine = await compare(original, model, inputs);
  const bytes = encodeModel(model);
  const made = {
    by: 'half precision',
    faces,
    greatestValue: greatest,
    cosine,
    constants: { before: constantBytes(original), after: constantBytes(model) },
    memory: await memoryOf(path, { out, bytes }),
  };
  return finish(io, { out, bytes, derivedFrom: (await hashFile(path)).sha256, label, made });
}

/** Bytes at most in memory of a process that loads and runs the model before, after, and none. */
async function memoryOf(path: string, half: { out: string; bytes: Uint8Array }) {
  const file = `${half.out}.${process.pid}.tmp`;
  try {
    await writeOutput(file, half.bytes);
    const before = (await measureMemory({ model: path })).peakBytes;
    const after = (await measureMemory({ model: file })).peakBytes;
    const withoutModel = (await measureMemory('nothing')).peakBytes;
    return { processor: process.arch, before, after, withoutModel };
  } finally {
    await rm(file, { force: true });
  }
}

function constantBytes({
  graph,
}: {
  graph: { initializers: ReadonlyMap<string, { data: Uint8Array }> };
}): number {
  return [...graph.initializers.values()].reduce((sum, { data }) => sum + data.byteLength, 0);
}
