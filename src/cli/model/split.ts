import { mkdir, mkdtemp, readdir, rename, rm } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { FacedError } from '../../domain/errors.js';
import type { SessionTensor } from '../../inference/raw-session.js';
import { ShardedModel } from '../../inference/sharded.js';
import { type Model, noiseFeeds, runModel } from '../../model-tools/graph/index.js';
import { alignColumns } from '../../model-tools/inspect.js';
import { measureMemory, megabytes } from '../../model-tools/memory.js';
import { cosineDistance, TOLERANCE } from '../../model-tools/optimize.js';
import { type ShardPlan, splitModel } from '../../model-tools/split.js';
import { loadSource, writeFailed, writeOutput } from '../../model-tools/variant.js';
import { type CommandIo, type ExitCode, parse, usage } from '../command.js';
import { resolveModel } from './resolve.js';

/**
 * `faced model split [M] --shards N --out DIR`: files that run one after another, checked before DIR appears: bit for bit
 * at graph optimisation level `extended`, within 1e-6 (1 − cosine) at `all`. The memory of the whole, of the shards one
 * after another and of each alone is measured in processes of their own.
 */
export async function run(argv: readonly string[], io: CommandIo): Promise<ExitCode> {
  const { values, positionals } = parse(argv, { shards: { type: 'string' }, out: { type: 'string' } });
  const shards = Number(values.shards);
  if (!Number.isInteger(shards) || shards < 2 || shards > 100)
    throw usage('split needs --shards from 2 to 100');
  if (values.out === undefined) throw usage('split needs --out DIR');
  const out = resolve(values.out);
  const { path, label } = await resolveModel(positionals[0], io);
  const { model, sha256: derivedFrom } = await loadSource(path);
  const { plan, files } = await splitModel(model, shards);
  const folder = await temporaryBeside(out);
  try {
    for (const [name, bytes] of files) await writeOutput(join(folder, name), bytes);
    await writeOutput(join(folder, 'shards.json'), JSON.stringify(plan));
    const distance = await checkShards(model, folder, plan);
    const memory = await measure(path, folder, plan);
    const made = { by: 'faced model split', bitEqualAt: 'extended', distanceAtAll: distance };
    const note = { ...plan, derivedFrom, made, memory };
    await writeOutput(join(folder, 'shards.json'), `${JSON.stringify(note, null, 2)}\n`);
    await moveInto(out, folder, plan);
    const rows = plan.shards.map(({ file, bytes, crossingBytes }, at) => [
      file,
      megabytes(bytes),
      megabytes(crossingBytes),
      megabytes(memory.each[at] ?? 0),
    ]);
    const share = (100 * memory.shardsPeakBytes) / memory.wholePeakBytes;
    io.print(
      { model: label, out: values.out, bitEqual: true, distanceAtAll: distance, ...plan, memory },
      [
        alignColumns([['shard', 'constants', 'values across', 'peak alone'], ...rows]),
        `bit-equal to the whole at level extended; 1 − cosine ${distance.toExponential(1)} at level all`,
        `peak of a process: whole ${megabytes(memory.wholePeakBytes)}, in shards ${megabytes(memory.shardsPeakBytes)} (${share.toFixed(0)} %), without a model ${megabytes(memory.processBytes)}`,
      ].join('\n'),
    );
    return 0;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** Throws `model.not-equal`; answers 1 − cosine at level `all`. */
async function checkShards(model: Model, folder: string, plan: ShardPlan): Promise<number> {
  const feeds = noiseFeeds(model.graph.inputs, { batch: 1, scale: 1 });
  const input = feeds[plan.input];
  if (input === undefined) throw new FacedError('internal', `no input ${plan.input}`);
  const both = async (optimisation: 'extended' | 'all'): Promise<[SessionTensor, SessionTensor]> => {
    const whole = (await runModel(model, feeds, { optimisation }))[plan.output];
    if (whole === undefined) throw new FacedError('internal', `no output ${plan.output}`);
    return [whole, await (await ShardedModel.open(folder, { optimisation })).run(input)];
  };
  const [whole, cut] = await both('extended');
  const differs =
    whole.data.length !== cut.data.length || whole.data.some((value, at) => value !== cut.data[at]);
  const distance = cosineDistance(...(await both('all')));
  if (!differs && distance <= TOLERANCE) return distance;
  const what = differs
    ? 'bit for bit at level extended'
    : `at level all (1 − cosine ${distance.toExponential(2)})`;
  throw new FacedError('model.not-equal', `the shards do not answer like the whole ${what}`, {
    fix: 'use fewer shards, or keep it whole',
  });
}

async function measure(path: string, folder: string, plan: ShardPlan) {
  const each: number[] = [];
  for (const { file } of plan.shards)
    each.push((await measureMemory({ model: join(folder, file) })).peakBytes);
  return {
    processBytes: (await measureMemory('nothing')).peakBytes,
    wholePeakBytes: (await measureMemory({ model: path })).peakBytes,
    shardsPeakBytes: (await measureMemory({ shards: folder })).peakBytes,
    each,
  };
}

/** New shards take the place of older ones, the plan last; whatever else is in the folder stays. */
async function moveInto(out: string, folder: string, plan: ShardPlan): Promise<void> {
  try {
    await mkdir(out, { recursive: true });
    for (const name of await readdir(out))
      if (/^(shard-\d+\.onnx|shards\.json)$/.test(name)) await rm(join(out, name));
    for (const name of [...plan.shards.map(({ file }) => file), 'shards.json'])
      await rename(join(folder, name), join(out, name));
  } catch (cause) {
    throw writeFailed(out, cause);
  }
}

async function temporaryBeside(out: string): Promise<string> {
  try {
    await mkdir(dirname(out), { recursive: true });
    return await mkdtemp(join(dirname(out), `.${basename(out)}-`));
  } catch (cause) {
    throw writeFailed(out, cause);
  }
}
