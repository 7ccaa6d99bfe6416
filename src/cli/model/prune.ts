import { FacedError } from '../../domain/errors.js';
import { removeDeadChannels } from '../../model-tools/dead.js';
import { cloneModel, encodeModel, type Model, traceShapes } from '../../model-tools/graph/index.js';
import { alignColumns, inspectModel, macsOf } from '../../model-tools/inspect.js';
import { layerByKey } from '../../model-tools/layer-key.js';
import { plainForm } from '../../model-tools/plain.js';
import {
  chooseByBudget,
  chooseByLayer,
  chooseByMacs,
  pruneChannels,
  type RankedSpace,
  rankChannels,
} from '../../model-tools/prune.js';
import { gemmToPointwise } from '../../model-tools/quantize/gemm.js';
import { compare } from '../../model-tools/quantize/index.js';
import { pruneWeights, weightedNodes } from '../../model-tools/sparse.js';
import { lineChart } from '../../model-tools/svg.js';
import { loadSource, refuseSource, writeOutput } from '../../model-tools/variant.js';
import { type CommandIo, type ExitCode, parse, usage } from '../command.js';
import { calibrationFor } from './calibration.js';
import { finish } from './quantize.js';
import { type NamedModel, resolveModel } from './resolve.js';

/** Shares of a layer's channels at which the sensitivity table tells the loss. */
const TOLD = [0.1, 0.2, 0.3, 0.4, 0.5, 0.75];

/**
 * `faced model prune [M] --out O.onnx [--calibration DIR] (--layer NAME=SHARE… | --budget LOSS | --macs SHARE) [--svg
 * FILE]`: channels leave the graph, dead ones first, then those that say least; table and picture show what each layer
 * would lose. With `--layer` exactly the share leaves. Without photographs channels are judged by their weights and
 * nothing is refitted. `--unstructured` (with `--layer` or `--share`): single weights become zero instead.
 */
export async function run(argv: readonly string[], io: CommandIo): Promise<ExitCode> {
  const { values, positionals } = parse(argv, {
    calibration: { type: 'string' },
    out: { type: 'string' },
    layer: { type: 'string', multiple: true, default: [] },
    budget: { type: 'string' },
    macs: { type: 'string' },
    svg: { type: 'string' },
    unstructured: { type: 'boolean', default: false },
    share: { type: 'string' },
  });
  const { out } = values;
  if (out === undefined || !out.endsWith('.onnx')) throw usage('prune needs --out O.onnx');
  const budget = shareOf('--budget', values.budget ?? '0');
  const macs = shareOf('--macs', values.macs ?? '0');
  const shares = new Map(
    values.layer.map((text): [string, number] => {
      const cut = text.lastIndexOf('=');
      return [text.slice(0, cut), shareOf(`--layer ${text}`, text.slice(cut + 1))];
    }),
  );
  if ([shares.size > 0, values.budget !== undefined, values.macs !== undefined].filter(Boolean).length > 1)
    throw usage('--layer, --budget and --macs exclude each other');
  const named = await resolveModel(positionals[0], io);
  await refuseSource(out, named.path);
  const { model: original, sha256: derivedFrom } = await loadSource(named.path);
  if (values.unstructured) {
    if (values.budget !== undefined || values.macs !== undefined)
      throw usage('--unstructured takes --layer or --share, since zeros save no multiply-accumulates');
    return zeros(io, {
      named,
      original,
      derivedFrom,
      out,
      shares,
      share: shareOf('--share', values.share ?? '0'),
    });
  }
  if (values.share !== undefined) throw usage('--share is for --unstructured');
  if (values.calibration === undefined && shares.size === 0)
    throw usage('prune needs --calibration DIR, a folder of photographs, unless layers are named');
  const { inputs, faces } = await facesFor(named, values.calibration, io);
  const alive = cloneModel(original);
  await plainForm(alive);
  await gemmToPointwise(alive);
  // A share that somebody names is one of all channels, the dead ones too: those are the first to leave.
  const dead = shares.size > 0 ? 0 : removeDeadChannels(alive);
  const ranked = await rankChannels(alive, inputs);
  const sensitivity = ranked.map(lossCurve);
  if (values.svg !== undefined)
    await writeOutput(
      values.svg,
      lineChart({
        title: `Sensitivity of ${named.label}`,
        x: 'share of channels removed',
        y: 'share of the answer lost',
        series: sensitivity,
      }),
    );
  const before = await inspectModel(original);
  const shapes = await traceShapes(alive);
  const already = before.macs - (await inspectModel(alive)).macs;
  const choose = (list: readonly RankedSpace[]): Map<RankedSpace, number> => {
    if (shares.size > 0) return chooseByLayer(list, shares);
    if (macs === 0) return chooseByBudget(list, budget);
    const options = { macs: before.macs, already, share: macs };
    return chooseByMacs(list, { ...options, macsOf: (node) => macsOf(node, shapes) });
  };
  const { model, layers } = await pruneChannels(alive, { inputs, choose, block: shares.size > 0 ? 1 : 16 });
  const after = await inspectModel(model);
  if (!io.json) io.print({}, sensitivityTable(sensitivity));
  return finish(io, {
    out,
    bytes: encodeModel(model),
    derivedFrom,
    label: named.label,
    made: {
      by:
        inputs.length > 0
          ? 'structured pruning with least squares on the following layer'
          : 'structured pruning by the L1 norm of filters',
      faces,
      dead,
      layers: layers.filter(({ removed }) => removed > 0),
      macs: after.macs,
      macsBefore: before.macs,
      macsWithoutDead: before.macs - already,
      fewerMacs: 1 - after.macs / before.macs,
      sensitivity: sensitivity.map(({ label, points }) => ({
        layer: label,
        lost: Object.fromEntries(TOLD.map((share) => [share, lossAt(points, share)])),
      })),
      ...(inputs.length === 0
        ? {}
        : {
            cosine: await compare(original, model, inputs.slice(0, 48)),
            note: 'the cosine is on calibration faces, to which the least squares were fitted: run faced model verify',
          }),
    },
  });
}

function shareOf(option: string, text: string): number {
  const share = Number(text);
  if (text !== '' && share >= 0 && share < 1) return share;
  throw usage(`${option} is a share from 0 to below 1`);
}

async function facesFor({ path, card }: NamedModel, dir: string | undefined, io: CommandIo) {
  if (dir === undefined) return { inputs: [], faces: 0 };
  if (card === null) throw usage('--calibration needs a model with a card, which says how it is fed');
  return calibrationFor({ path, card }, { dir, limit: 288 }, io);
}

type Curve = { label: string; points: readonly (readonly [number, number])[] };

/** Share of channels gone against share of the answer lost, least important first. */
function lossCurve({ name, importance }: RankedSpace): Curve {
  let lost = 0;
  const sorted = [...importance].sort((a, b) => a - b);
  const points = sorted.map((value, at) => {
    lost += value;
    return [(at + 1) / sorted.length, lost] as const;
  });
  return { label: name, points: [[0, 0], ...points] };
}

function lossAt(points: Curve['points'], share: number): number {
  return points[Math.round(share * (points.length - 1))]?.[1] ?? 0;
}

function sensitivityTable(curves: readonly Curve[]): string {
  const head = ['layer: share of its answer lost without', ...TOLD.map((share) => `${100 * share} %`)];
  const rows = curves.map(({ label, points }) => [
    label,
    ...TOLD.map((share) => lossAt(points, share).toFixed(4)),
  ]);
  return alignColumns([head, ...rows]);
}

async function zeros(
  io: CommandIo,
  work: {
    named: NamedModel;
    original: Model;
    derivedFrom: string;
    out: string;
    shares: ReadonlyMap<string, number>;
    share: number;
  },
): Promise<ExitCode> {
  const { named, original, derivedFrom, out, share } = work;
  const { graph } = original;
  if (work.shares.size === 0 && share === 0)
    throw usage('--unstructured needs --layer NAME=SHARE or --share');
  const shares = new Map(weightedNodes(graph).map(({ name }): [string, number] => [name, share]));
  if (shares.size < weightedNodes(graph).length)
    throw new FacedError('model.unsupported', 'some layers of the model have one name or none', {
      fix: 'give each node of the graph its own name',
    });
  const names = [...shares.keys()];
  // Behind the 1x1 before the head come the global convolution and the embedding.
  for (const [key, one] of work.shares)
    shares.set(names[layerByKey(names, { key, share: one }, names.length - 3)] ?? '', one);
  const { model, layers, sparsity } = pruneWeights(original, shares);
  return finish(io, {
    out,
    bytes: encodeModel(model),
    derivedFrom,
    label: named.label,
    made: {
      by: 'unstructured pruning by L1 magnitude, layer by layer',
      sparsity,
      layers: layers.map((layer) => ({ ...layer, sparsity: layer.zeros / layer.weights })),
      note: 'zeros make a file that packs better; ONNX Runtime computes them all the same',
    },
  });
}
