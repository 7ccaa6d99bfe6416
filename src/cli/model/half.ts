import { hashFile } from '../../inference/hash.js';
import { encodeModel, loadModel } from '../../model-tools/graph/index.js';
import { halveModel } from '../../model-tools/half.js';
import { compare } from '../../model-tools/quantize/index.js';
import { type CommandIo, type ExitCode, parse, usage } from '../command.js';
import { calibrationFor } from './calibration.js';
import { finish } from './quantize.js';
import { resolveModel } from './resolve.js';

/** `faced model half [M] --calibration DIR --out O.onnx`: FP16 with float input and output, overflow checked on faces. */
export async function run(argv: readonly string[], io: CommandIo): Promise<ExitCode> {
  const { values, positionals } = parse(argv, { calibration: { type: 'string' }, out: { type: 'string' } });
  if (values.out === undefined || !values.out.endsWith('.onnx')) throw usage('half needs --out O.onnx');
  if (values.calibration === undefined) throw usage('half needs --calibration DIR, a folder of photographs');
  const { path, label, card } = await resolveModel(positionals[0], io);
  if (card === null) throw usage('half needs a model with a card, since calibration feeds it');
  const { inputs, faces } = await calibrationFor({ path, card }, { dir: values.calibration, limit: 32 }, io);
  const original = await loadModel(path);
  const { model, greatest } = await halveModel(original, inputs);
  const cosine = await compare(original, model, inputs);
  return finish(io, {
    out: values.out,
    bytes: encodeModel(model),
    derivedFrom: (await hashFile(path)).sha256,
    label,
    made: { by: 'half precision', faces, greatestValue: greatest, cosine },
  });
}
