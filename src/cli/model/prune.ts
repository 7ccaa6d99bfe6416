import { hashFile } from '../../inference/hash.js';
import { batchFree } from '../../model-tools/batch.js';
import { removeDeadChannels } from '../../model-tools/dead.js';
import {
  cloneModel,
  encodeModel,
  foldConstants,
  loadModel,
  upgradeOpset,
} from '../../model-tools/graph/index.js';
import { inspectModel } from '../../model-tools/inspect.js';
import { chooseByBudget, chooseByLayer, pruneChannels, rankChannels } from '../../model-tools/prune.js';
import { compare } from '../../model-tools/quantize/index.js';
import { lineChart } from '../../model-tools/svg.js';
import { writeOutput } from '../../model-tools/variant.js';
import { type CommandIo, type ExitCode, parse, usage } from '../command.js';
import { calibrationFor } from './calibration.js';
import { finish } from './quantize.js';
import { resolveModel } from './resolve.js';

/**
 * `faced model prune [M] --calibration DIR --out O.onnx (--layer NAME=SHARE… | --budget SHARE) [--svg FILE]`: channels
 * leave the graph, dead ones first, then those that say least; the picture shows what each layer would lose.
 */
export async function run(argv: readonly string[], io: CommandIo): Promise<ExitCode> {
  const { values, positionals } = parse(argv, {
    calibration: { type: 'string' },
    out: { type: 'string' },
    layer: { type: 'string', multiple: true, default: [] },
    budget: { type: 'string' },
    svg: { type: 'string' },
  });
  if (values.out === undefined || !values.out.endsWith('.onnx')) throw usage('prune needs --out O.onnx');
  if (values.calibration === undefined) throw usage('prune needs --calibration DIR, a folder of photographs');
  const budget = Number(values.budget ?? 0);
  if (!(budget >= 0 && budget < 1)) throw usage('--budget is a share from 0 to below 1');
  const shares = new Map(
    values.layer.map((text): [string, number] => {
      const cut = text.lastIndexOf('=');
      return [text.slice(0, cut), Number(text.slice(cut + 1))];
    }),
  );
  const { path, label, card } = await resolveModel(positionals[0], io);
  if (card === null) throw usage('prune needs a model with a card, since calibration feeds it');
  const { inputs, faces } = await calibrationFor({ path, card }, { dir: values.calibration, limit: 288 }, io);
  const original = await loadModel(path);
  const alive = cloneModel(original);
  upgradeOpset(alive);
  await foldConstants(alive);
  await batchFree(alive);
  const dead = removeDeadChannels(alive);
  if (values.svg !== undefined) {
    const series = (await rankChannels(alive, inputs)).map(({ name, importance, space }) => {
      let lost = 0;
      const sorted = [...importance].sort((a, b) => a - b);
      return {
        label: name,
        points: sorted.map((value, at) => {
          lost += value;
          return [at / space.channels, lost] as const;
        }),
      };
    });
    await writeOutput(
      values.svg,
      lineChart({
        title: `Sensitivity of ${label}`,
        x: 'share of channels removed',
        y: 'share of the answer lost',
        series,
      }),
    );
  }
  const { model, layers } = await pruneChannels(alive, {
    inputs,
    choose: (ranked) => (shares.size > 0 ? chooseByLayer(ranked, shares) : chooseByBudget(ranked, budget)),
  });
  const [before, after] = [await inspectModel(original), await inspectModel(model)];
  return finish(io, {
    out: values.out,
    bytes: encodeModel(model),
    derivedFrom: (await hashFile(path)).sha256,
    label,
    made: {
      by: 'structured pruning with least squares on the following layer',
      faces,
      dead,
      layers: layers.filter(({ removed }) => removed > 0),
      macs: after.macs,
      macsBefore: before.macs,
      fewerMacs: 1 - after.macs / before.macs,
      cosine: await compare(original, model, inputs.slice(0, 48)),
      note: 'the cosine is on calibration faces, to which the least squares were fitted: run faced model verify',
    },
  });
}
