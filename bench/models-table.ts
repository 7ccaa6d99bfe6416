/**
 * The table of all variants of the recogniser in docs/models.md, made anew:
 *
 *   npm run models:table -- --calibration DIR --images DIR --pairs FILE [--a72] [--runs N] [--keep DIR]
 *
 * Makes each variant by the command that a user would call, then measures: bytes and multiply-accumulates; milliseconds
 * as medians of alternating runs in one process; accuracy over the pairs and false non-matches over all pairs of the
 * pictures, by one pass over them; with `--a72` the instructions of a Cortex-A72 (bench/a72.sh). Without `--images` the
 * accuracy columns, without `--a72` the instructions keep a dash. A figure that was not measured in this run is not told.
 */
import { execFileSync } from 'node:child_process';
import { mkdir, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { ModelStore, modelsDir } from '../src/inference/index.js';
import { createSession } from '../src/inference/raw-session.js';
import { operatingPoints, pairAccuracy } from '../src/model-tools/accuracy.js';
import { pictureFiles } from '../src/model-tools/faces.js';
import { loadModel, noiseFeeds } from '../src/model-tools/graph/index.js';
import { middle, timeInTurns } from '../src/model-tools/in-turns.js';
import { inspectModel } from '../src/model-tools/inspect.js';
import { embedSets, parity } from '../src/model-tools/verify-sets.js';
import { parsePairs } from '../src/vision/evaluate.js';

const ROOT = join(import.meta.dirname, '..', '..');
const DOC = join(ROOT, 'docs', 'models.md');
const [BEGIN, END] = ['<!-- models:table -->', '<!-- /models:table -->'];

const { values } = parseArgs({
  options: {
    calibration: { type: 'string' },
    images: { type: 'string' },
    pairs: { type: 'string' },
    runs: { type: 'string', default: '200' },
    a72: { type: 'boolean', default: false },
    keep: { type: 'string' },
  },
});
if (values.calibration === undefined) throw new Error('name a folder of photographs: --calibration DIR');
const calibration = ['--calibration', values.calibration];

interface Variant {
  readonly name: string;
  readonly file: string;
  /** Runs on this processor as it is meant to: what is for another one, or for a GPU, is not timed. */
  readonly timed: boolean;
  /** Has answers of its own; the others answer as the stock file does. */
  readonly judged: boolean;
  readonly onArm: boolean;
}

const dir = values.keep ?? (await mkdtemp(join(tmpdir(), 'faced-table-')));
await mkdir(dir, { recursive: true });
try {
  const variants = await makeVariants();
  const costs = new Map<string, { bytes: number; macs: number }>();
  for (const { file } of variants)
    costs.set(file, {
      bytes: (await stat(file)).size,
      macs: (await inspectModel(await loadModel(file))).macs,
    });
  const ms = await alternate(variants.filter(({ timed }) => timed));
  const accuracy =
    values.images === undefined ? new Map<string, Accuracy>() : await judge(variants, values.images);
  const instructions = values.a72 ? count(variants.filter(({ onArm }) => onArm)) : new Map<string, number>();
  const stock = ms.get(variants[0]?.file ?? '') ?? Number.NaN;
  const dash = '–';
  const rows = variants.map(({ name, file, judged }) => {
    const [cost, time, right, executed] = [
      costs.get(file),
      ms.get(file),
      accuracy.get(file),
      instructions.get(file),
    ];
    const figure = (value: number | undefined, digits: number): string =>
      value === undefined ? dash : value.toFixed(digits);
    return [
      name,
      (cost?.bytes ?? 0).toLocaleString('en-GB'),
      figure(cost === undefined ? undefined : cost.macs / 1e6, 1),
      figure(time, 2),
      figure(time === undefined ? undefined : stock / time, 2),
      figure(executed === undefined ? undefined : executed / 1e6, 1),
      ...(judged || right !== undefined
        ? [
            figure(right?.lfw, 2),
            figure(right?.tar, 2),
            figure(right?.fnmr, 2),
            figure(right?.mixed, 2),
            figure(right?.cosine, 5),
          ]
        : ['as shipped', 'as shipped', 'as shipped', 'as shipped', '1']),
    ];
  });
  const head = [
    'variant',
    'bytes',
    'M MACs',
    'ms',
    'times',
    'A72, M instructions',
    'LFW %',
    'TAR at 1e-3 %',
    'FNMR %',
    'FNMR mixed %',
    'cosine',
  ];
  const lines = [head, head.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |`);
  const note = `${cpus()[0]?.model ?? 'unknown'} (${process.arch}${await vnni()}), one thread, ${values.runs} alternating runs, medians.`;
  const table = `${BEGIN}\n\n${note}\n\n${lines.join('\n')}\n\n${END}`;
  const text = await readFile(DOC, 'utf8');
  const place = new RegExp(`${BEGIN}[\\s\\S]*?${END}`);
  if (!place.test(text)) throw new Error(`${DOC} has no place for the table: ${BEGIN} … ${END}`);
  await writeFile(
    DOC,
    text.replace(place, () => table),
  );
  console.log(table);
} finally {
  if (values.keep === undefined) await rm(dir, { recursive: true, force: true });
}

async function makeVariants(): Promise<Variant[]> {
  const path = (name: string): string => join(dir, `${name}.onnx`);
  const faced = (...argv: string[]): void => {
    execFileSync(join(ROOT, 'bin', 'faced'), ['model', ...argv], { stdio: ['ignore', 'ignore', 'inherit'] });
  };
  const shipped = (await new ModelStore({ dir: modelsDir() }).card('mobilefacenet')).path;
  faced('optimize', '--target', 'x64', '--out', path('x64'));
  faced('optimize', '--target', 'arm64', '--out', path('arm64'));
  faced('quantize', ...calibration, '--out', path('int8'));
  faced('quantize', ...calibration, '--image', '--out', path('int8-bytes'));
  faced('quantize', '--dynamic', '--out', path('dynamic'));
  for (const budget of ['0.003', '0.01']) {
    faced('prune', ...calibration, '--budget', budget, '--out', path(`pruned-${budget}-float`));
    faced(
      'optimize',
      path(`pruned-${budget}-float`),
      '--target',
      process.arch,
      '--out',
      path(`pruned-${budget}`),
    );
  }
  faced('half', ...calibration, '--out', path('half'));
  const here = process.arch;
  return [
    { name: 'as shipped', file: shipped, timed: true, judged: true, onArm: true },
    { name: 'optimised, x64', file: path('x64'), timed: here === 'x64', judged: false, onArm: true },
    { name: 'optimised, arm64', file: path('arm64'), timed: true, judged: false, onArm: true },
    { name: 'INT8', file: path('int8'), timed: true, judged: true, onArm: true },
    { name: 'INT8 reading bytes', file: path('int8-bytes'), timed: true, judged: true, onArm: true },
    { name: 'INT8, dynamic', file: path('dynamic'), timed: true, judged: true, onArm: false },
    { name: 'pruned, budget 0.003', file: path('pruned-0.003'), timed: true, judged: true, onArm: false },
    { name: 'pruned, budget 0.01', file: path('pruned-0.01'), timed: true, judged: true, onArm: false },
    { name: 'half (for TensorRT)', file: path('half'), timed: false, judged: true, onArm: false },
  ];
}

/** Milliseconds: the variants run in turn, so that a busy moment of the machine falls on all of them alike. */
async function alternate(variants: readonly Variant[]): Promise<Map<string, number>> {
  const entries = await Promise.all(
    variants.map(async ({ file }) => ({
      file,
      session: await createSession(file),
      feeds: noiseFeeds((await loadModel(file)).graph.inputs, { batch: 1, scale: 1 }),
    })),
  );
  const times = await timeInTurns(entries, { runs: Number(values.runs), warmUp: 5 });
  for (const { session } of entries) await session.release();
  return new Map(entries.map(({ file }, at) => [file, middle(times[at] ?? [])]));
}

interface Accuracy {
  readonly lfw: number | undefined;
  readonly tar: number | undefined;
  readonly fnmr: number;
  readonly mixed: number;
  readonly cosine: number;
}

/** Percent, by one pass over the pictures for all variants. */
async function judge(variants: readonly Variant[], images: string): Promise<Map<string, Accuracy>> {
  const store = new ModelStore({ dir: modelsDir() });
  const { card } = await store.card('mobilefacenet');
  const files = await pictureFiles(images);
  const judged = variants.filter((variant) => variant.judged);
  const sets = await embedSets({
    ...{ store, card, files, root: images, looks: 2 },
    models: judged.map(({ file }) => file),
    signal: new AbortController().signal,
  });
  const pairs = values.pairs === undefined ? null : parsePairs(await readFile(values.pairs, 'utf8'));
  const [stock] = sets;
  if (stock === undefined) throw new Error('no variant');
  const at = (a: typeof stock, b: typeof stock): number =>
    100 * (operatingPoints(a, b, [1e-3]).points[0]?.fnmr ?? Number.NaN);
  return new Map(
    judged.map(({ file }, index): [string, Accuracy] => {
      const set = sets[index] ?? stock;
      const right = pairs === null ? null : pairAccuracy(set, set, pairs);
      const tar = right?.tar['1e-3'];
      return [
        file,
        {
          lfw: right === null ? undefined : 100 * right.accuracy,
          tar: tar === undefined || tar === null ? undefined : 100 * tar,
          fnmr: at(set, set),
          mixed: at(set, stock),
          cosine: parity(set, stock).mean,
        },
      ];
    }),
  );
}

/** Instructions for one run, by bench/a72.sh. */
function count(variants: readonly Variant[]): Map<string, number> {
  const output = execFileSync('bash', [join(ROOT, 'bench', 'a72.sh'), ...variants.map(({ file }) => file)], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  return new Map(
    output
      .trim()
      .split('\n')
      .map((line): [string, number] => [line.split('\t')[0] ?? '', Number(line.split('\t')[1])]),
  );
}

/** INT8 is fast where the processor multiplies bytes; which one ran belongs to the figures. */
async function vnni(): Promise<string> {
  const flags = await readFile('/proc/cpuinfo', 'utf8').catch(() => '');
  if (process.arch !== 'x64') return '';
  if (/avx512_vnni/.test(flags)) return ', AVX512-VNNI';
  return /avx_vnni/.test(flags) ? ', AVX-VNNI' : ', no VNNI';
}
