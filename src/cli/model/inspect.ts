import { loadModel } from '../../model-tools/graph/index.js';
import { inspectionChart, inspectionTable, inspectModel } from '../../model-tools/inspect.js';
import { writeOutput } from '../../model-tools/variant.js';
import { type CommandIo, type ExitCode, parse, usage } from '../command.js';
import { resolveModel } from './resolve.js';

/** `faced model inspect [M] [--svg FILE]`: layers, parameters, bytes, MACs, and the depthwise gain. */
export async function run(argv: readonly string[], io: CommandIo): Promise<ExitCode> {
  const { values, positionals } = parse(argv, { svg: { type: 'string' } });
  if (positionals.length > 1) throw usage('inspect takes one model');
  const { path, label } = await resolveModel(positionals[0], io);
  const inspection = await inspectModel(await loadModel(path));
  if (values.svg !== undefined) await writeOutput(values.svg, inspectionChart(inspection, label));
  io.print({ model: label, ...inspection }, inspectionTable(inspection));
  return 0;
}
