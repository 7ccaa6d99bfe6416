import { rm } from 'node:fs/promises';
import type { ModelCard } from '../../inference/card.js';
import { targetOf } from '../../inference/variants.js';
import { encodeModel } from '../../model-tools/graph/index.js';
import { halveModel } from '../../model-tools/half.js';
import { measureMemory } from '../../model-tools/memory.js';
import { compare } from '../../model-tools/quantize/index.js';
import { loadSource, refuseSource, writeOutput } from '../../model-tools/variant.js';
import { type CommandIo, type ExitCode, parse, usage } from '../command.js';
import { calibrationFor, demoPhotographs } from './calibration.js';
import { finish, formBeside } from './quantize.js';
import { resolveModel } from './resolve.js';

/**
 * `faced model half [M] [--calibration DIR] --out O.onnx`: FP16 with float input and output, overflow checked on the
 * faces of DIR, else on those of the demo's photographs; where there are none either, the note says that nothing was checked.
 * The memory of both is measured in processes of their own, on this processor, which widens what it computes to float;
 * on a GPU with FP16 it is another matter.
 */
export async function run(argv: readonly string[], io: CommandIo): Promise<ExitCode> {
  const { values, positionals } = parse(argv, { calibration: { type: 'string' }, out: { type: 'string' } });
  const { path, label, card } = await resolveModel(positionals[0], io);
  const out = values.out ?? formBeside(card, { io, target: targetOf(process.arch) ?? 'x64', kind: 'half' });
  if (!out.endsWith('.onnx')) throw usage('--out ends with .onnx');
  await refuseSource(out, path);
  const { model: original, sha256: derivedFrom } = await loadSource(path);
  const { inputs, faces, photographs } = await facesFor({ path, card }, values.calibration, io);
  const { model, greatest } = await halveModel(original, inputs);
  const checked = inputs.length > 0;
  if (!checked) io.log.warn({ fix: UNCHECKED }, 'overflow was not checked');
  const bytes = encodeModel(model);
  const made = {
    by: 'half precision',
    overflow: checked ? `checked on ${faces} faces of ${photographs}` : `not checked: ${UNCHECKED}`,
    faces,
    ...(checked ? { greatestValue: greatest, cosine: await compare(original, model, inputs) } : {}),
    constants: { before: constantBytes(original), after: constantBytes(model) },
    memory: await memoryOf(path, { out, bytes }),
  };
  return finish(io, { out, bytes, derivedFrom, label, made });
}

const UNCHECKED = 'name --calibration DIR, a folder of photographs';
const FACES = 32;

async function facesFor(
  { path, card }: { path: string; card: ModelCard | null },
  dir: string | undefined,
  io: CommandIo,
) {
  const demo = demoPhotographs(io);
  if (card === null && dir !== undefined)
    throw usage('--calibration needs a model with a card, which says how it is fed');
  if (card === null || (dir === undefined && demo === null)) return { inputs: [], faces: 0, photographs: '' };
  if (dir !== undefined)
    return {
      ...(await calibrationFor({ path, card }, { dir, limit: FACES }, io)),
      photographs: '--calibration',
    };
  const wanted = { dir: demo?.dir ?? '', limit: FACES, everyFace: true };
  return { ...(await calibrationFor({ path, card }, wanted, io)), photographs: "the demo's photographs" };
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
