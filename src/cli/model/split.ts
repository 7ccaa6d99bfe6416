import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { FacedError } from '../../domain/errors.js';
import { ShardedModel } from '../../inference/sharded.js';
import { loadModel, noiseFeeds, runModel } from '../../model-tools/graph/index.js';
import { splitModel } from '../../model-tools/split.js';
import { writeOutput } from '../../model-tools/variant.js';
import { type CommandIo, type ExitCode, parse, usage } from '../command.js';
import { resolveModel } from './resolve.js';

/** `faced model split [M] --shards N --out DIR`: files that run one after another, checked bit for bit. */
export async function run(argv: readonly string[], io: CommandIo): Promise<ExitCode> {
  const { values, positionals } = parse(argv, { shards: { type: 'string' }, out: { type: 'string' } });
  const shards = Number(values.shards);
  if (!Number.isInteger(shards) || shards < 2 || shards > 100)
    throw usage('split needs --shards from 2 to 100');
  const { out } = values;
  if (out === undefined) throw usage('split needs --out DIR');
  const { path, label } = await resolveModel(positionals[0], io);
  const model = await loadModel(path);
  const { plan, files } = await splitModel(model, shards);
  await mkdir(out, { recursive: true });
  for (const [name, bytes] of files) await writeOutput(join(out, name), bytes);
  await writeOutput(join(out, 'shards.json'), `${JSON.stringify(plan, null, 2)}\n`);
  const feeds = noiseFeeds(model.graph.inputs, { batch: 1, scale: 1 });
  const input = feeds[plan.input];
  if (input === undefined) throw new FacedError('internal', `no input ${plan.input}`);
  const whole = (await runModel(model, feeds, { optimisation: 'extended' }))[plan.output];
  const cut = await (await ShardedModel.open(out, { optimisation: 'extended' })).run(input);
  const equal = whole?.data.every((value, at) => value === cut.data[at]) ?? false;
  const lines = plan.shards.map(({ file, bytes }) => `${file}: ${bytes} bytes of constants`);
  io.print(
    { model: label, out, bitEqual: equal, ...plan },
    [...lines, equal ? 'bit-equal to the whole at level extended' : 'not bit-equal to the whole'].join('\n'),
  );
  return equal ? 0 : 1;
}
