import { targetOf } from '../../inference/variants.js';
import { optimizeModel } from '../../model-tools/optimize.js';
import { loadSource, refuseSource } from '../../model-tools/variant.js';
import { type CommandIo, type ExitCode, parse, usage } from '../command.js';
import { finish } from './quantize.js';
import { resolveModel } from './resolve.js';

/** `faced model optimize [M] --target x64|arm64 --out O.onnx`: exact rewrites, checked before the file is written. */
export async function run(argv: readonly string[], io: CommandIo): Promise<ExitCode> {
  const { values, positionals } = parse(argv, {
    target: { type: 'string', default: process.arch },
    out: { type: 'string' },
  });
  const target = targetOf(values.target);
  if (target === undefined) throw usage(`--target is x64 or arm64, not ${values.target}`);
  if (values.out === undefined || !values.out.endsWith('.onnx')) throw usage('optimize needs --out O.onnx');
  const { path, label } = await resolveModel(positionals[0], io);
  await refuseSource(values.out, path);
  const { model, sha256: derivedFrom } = await loadSource(path);
  const { bytes, distance } = await optimizeModel(model, { target });
  return finish(io, {
    out: values.out,
    bytes,
    target,
    derivedFrom,
    label,
    made: { by: 'faced model optimize', target, checked: '1 - cosine < 1e-6', distance },
  });
}
