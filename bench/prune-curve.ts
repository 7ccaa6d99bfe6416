/**
 * The curve of structured pruning in docs/models.md, made anew:
 *
 *   node dist/bench/prune-curve.js --calibration DIR --images DIR --pairs FILE [--shares 0.32,0.35,…]
 *
 * Each point is made by the commands that a user would call (`prune --macs`, then `optimize`) and judged by one pass
 * over the pictures for all of them, two looks at each face: accuracy over the pairs, and false non-matches at a false
 * match rate of 1e-3 over all pairs of the pictures.
 */
import { execFileSync } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { ModelStore, modelsDir } from '../src/inference/index.js';
import { operatingPoints, pairAccuracy } from '../src/model-tools/accuracy.js';
import { pictureFiles } from '../src/model-tools/faces.js';
import { loadModel } from '../src/model-tools/graph/index.js';
import { inspectModel } from '../src/model-tools/inspect.js';
import { embedSets, parity } from '../src/model-tools/verify-sets.js';
import { parsePairs } from '../src/vision/evaluate.js';

const ROOT = join(import.meta.dirname, '..', '..');
const DOC = join(ROOT, 'docs', 'models.md');
const [BEGIN, END] = ['<!-- prune:curve -->', '<!-- /prune:curve -->'];
const { values } = parseArgs({
  options: {
    calibration: { type: 'string' },
    images: { type: 'string' },
    pairs: { type: 'string' },
    shares: { type: 'string', default: '0.32,0.35,0.38,0.41,0.45,0.5' },
  },
});
const { calibration, images, pairs } = values;
if (calibration === undefined || images === undefined || pairs === undefined)
  throw new Error('name --calibration DIR, --images DIR and --pairs FILE');

const dir = await mkdtemp(join(tmpdir(), 'faced-curve-'));
try {
  const faced = (...argv: string[]): void => {
    execFileSync(join(ROOT, 'bin', 'faced'), ['model', ...argv], { stdio: ['ignore', 'ignore', 'inherit'] });
  };
  const store = new ModelStore({ dir: modelsDir() });
  const { card, path: shipped } = await store.card('mobilefacenet');
  // Multiply-accumulates are counted before PRelu is rewritten, which adds some of its own on x64.
  const points = [
    { name: 'as shipped', file: shipped, counted: shipped },
    ...values.shares.split(',').map((share) => {
      const [counted, file] = [join(dir, `p-${share}.onnx`), join(dir, `o-${share}.onnx`)];
      faced('prune', '--calibration', calibration, '--macs', share, '--out', counted);
      faced('optimize', counted, '--target', 'x64', '--out', file);
      return { name: `\`--macs ${share}\``, file, counted };
    }),
  ];
  const sets = await embedSets({
    ...{ store, card, files: await pictureFiles(images), root: images, looks: 2 },
    models: points.map(({ file }) => file),
    signal: new AbortController().signal,
  });
  const list = parsePairs(await readFile(pairs, 'utf8'));
  const macs: number[] = [];
  for (const { counted } of points) macs.push((await inspectModel(await loadModel(counted))).macs);
  const dead = join(dir, 'dead.onnx');
  faced('prune', '--calibration', calibration, '--budget', '0', '--out', dead);
  const alive = (await inspectModel(await loadModel(dead))).macs;
  const [stock] = sets;
  if (stock === undefined) throw new Error('no model was judged');
  const lfw = sets.map((set) => 100 * pairAccuracy(set, set, list).accuracy);
  const rows = sets.map((set, at) => {
    const mine = macs[at] ?? Number.NaN;
    return [
      points[at]?.name ?? '',
      (mine / 1e6).toFixed(1),
      `${(100 * (1 - mine / (macs[0] ?? 1))).toFixed(1)}`,
      at === 0 ? '–' : `${(100 * (1 - mine / alive)).toFixed(1)}`,
      (lfw[at] ?? Number.NaN).toFixed(2),
      ((lfw[0] ?? 0) - (lfw[at] ?? 0)).toFixed(2),
      (100 * (operatingPoints(set, set, [1e-3]).points[0]?.fnmr ?? Number.NaN)).toFixed(2),
      parity(set, stock).mean.toFixed(5),
    ];
  });
  const head = [
    ...['model', 'M MACs', 'fewer than as shipped, %', 'fewer than without dead channels, %'],
    ...['LFW %', 'loss, points', 'FNMR %', 'cosine'],
  ];
  const lines = [head, head.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |`);
  const note = `${stock.paths.length} faces, ${list.length} pairs; without dead channels, which leave exactly: ${(alive / 1e6).toFixed(1)} M.`;
  const table = `${BEGIN}\n\n${note}\n\n${lines.join('\n')}\n\n${END}`;
  const text = await readFile(DOC, 'utf8');
  const place = new RegExp(`${BEGIN}[\\s\\S]*?${END}`);
  if (!place.test(text)) throw new Error(`${DOC} has no place for the curve: ${BEGIN} … ${END}`);
  await writeFile(
    DOC,
    text.replace(place, () => table),
  );
  console.log(table);
} finally {
  await rm(dir, { recursive: true, force: true });
}
