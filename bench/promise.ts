/**
 * Does the promise hold? `node dist/bench/promise.js IMAGES --int8 FILE [--splits 10] [--seed 1] [--docs docs] [--cache DIR]`.
 * IMAGES: photographs in the form of LFW (`Name/Name_0001.jpg`). FILE: an INT8 variant of the recogniser (`faced model
 * quantize --calibration OTHERS --out FILE`, made from pictures of other people than these). Every picture is embedded
 * once by both networks as at run time and kept below `--cache` (the system's temporary folder).
 *
 * The people are cut into two halves at random. The curve of one half, FP32, gives thresholds by the daemon's own rule
 * (src/pipeline/threshold.ts); the other half is what it is tried on: all pairs of its pictures, and galleries drawn from
 * it, before which everybody else of that half comes as a stranger. Then the halves change places, and all that again
 * for each seed. Prints one JSON line a row; `--docs` writes the tables of docs/performance.md.
 */
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { FacedError } from '../src/domain/errors.js';
import { hashFile } from '../src/inference/hash.js';
import { ModelStore, modelsDir } from '../src/inference/index.js';
import { createLogger } from '../src/lib/log.js';
import { pictureFiles } from '../src/model-tools/faces.js';
import { embedSets } from '../src/model-tools/verify-sets.js';
import { bestPromise, type FalseMatchCurve, similarityAt, thresholdFor } from '../src/pipeline/threshold.js';
import { Random } from '../test/helpers/liveness/random.js';
import {
  curveOf,
  ErrorTally,
  falseMatches,
  household,
  type People,
  type Scores,
  scoresOf,
  search,
  shuffled,
} from './promise-figures.js';
import { type PairRow, type PromiseRow, tables } from './promise-report.js';

const KINDS = ['FP32', 'INT8', 'mixed'] as const;
type Kind = (typeof KINDS)[number];
/** Strangers in a thousand. */
const PROMISES = [1, 10] as const;
const RATES = [1e-3, 1e-4, 1e-5] as const;
/** People enrolled, and how many galleries of that size are drawn from each half. 250 is about the most that half the pairs support at 1 in 1,000. */
const GALLERIES = [
  [10, 40],
  [100, 8],
  [250, 4],
  [500, 2],
] as const;
const SAMPLES = [1, 3] as const;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    int8: { type: 'string' },
    splits: { type: 'string', default: '10' },
    seed: { type: 'string', default: '1' },
    docs: { type: 'string' },
    cache: { type: 'string', default: join(tmpdir(), 'faced-bench-promise') },
  },
});
const [images] = positionals;
if (images === undefined || values.int8 === undefined)
  throw new Error('needs the folder of photographs and --int8 FILE');

const { people, vectors } = await embedded(images, values.int8, values.cache);
const dimensions = 512;
const scores: Record<Kind, Scores> = {
  FP32: scoresOf(vectors.fp32, vectors.fp32, dimensions),
  INT8: scoresOf(vectors.int8, vectors.int8, dimensions),
  mixed: scoresOf(vectors.int8, vectors.fp32, dimensions),
};

interface Cell {
  readonly strangers: ErrorTally;
  readonly mates: ErrorTally;
  refused: number;
  galleries: number;
  least: number;
}
const cells = new Map<string, Cell>();
const pairCells = new Map<string, ErrorTally>();
const seed = Number(values.seed);
for (let split = 0; split < Number(values.splits); split++) {
  const random = new Random(seed * 1009 + split);
  const ids = shuffled([...people.keys()], random);
  const middle = ids.length >> 1;
  const halves = [ids.slice(0, middle), ids.slice(middle)] as const;
  for (const [fit, test] of [halves, [halves[1], halves[0]]] as const) {
    const curve = curveOf(scores.FP32, fit.map(picturesOf));
    tryPairs(curve, test);
    for (const [size, draws] of GALLERIES)
      for (let draw = 0; draw < draws; draw++)
        for (const perPerson of SAMPLES) tryGallery(curve, test, { size, perPerson, random });
  }
}
const interval = new Random(seed);
const pairRows = [...pairCells].map(([key, tally]): PairRow => {
  const [kind = '', rate = ''] = key.split(' ');
  return {
    kind,
    rate: Number(rate),
    pairs: tally.presentations,
    measured: tally.rate,
    interval: tally.interval(interval),
  };
});
const rows = [...cells].map(([key, cell]): PromiseRow => {
  const [kind = '', size = '', perPerson = '', promise = ''] = key.split(' ');
  return {
    kind,
    ...{ people: Number(size), perPerson: Number(perPerson), promise: Number(promise) },
    ...{ galleries: cell.galleries, refused: cell.refused, least: cell.least / cell.galleries },
    presentations: cell.strangers.presentations,
    errors: cell.strangers.errors,
    fpir: cell.strangers.rate,
    fpirInterval: cell.strangers.interval(interval),
    fnir: cell.mates.rate,
    fnirInterval: cell.mates.interval(interval),
  };
});
for (const row of [...pairRows, ...rows]) console.log(JSON.stringify(row));
if (values.docs !== undefined) {
  const page = join(values.docs, 'performance.md');
  const marks = /(<!-- promise -->\n)[\s\S]*?(<!-- \/promise -->)/;
  const text = readFileSync(page, 'utf8');
  if (!marks.test(text)) throw new Error(`${page} has no place for the table`);
  writeFileSync(
    page,
    text.replace(marks, (_, open: string, close: string) => `${open}${tables(pairRows, rows)}\n${close}`),
  );
}

function picturesOf(person: number): readonly number[] {
  return people[person] ?? [];
}

/** How often two pictures of two people match, at thresholds for one comparison. */
function tryPairs(curve: FalseMatchCurve, test: readonly number[]): void {
  for (const kind of KINDS) {
    for (const rate of RATES) {
      const { events, pairs } = falseMatches(scores[kind], test.map(picturesOf), similarityAt(curve, rate));
      const tally = pairCells.get(`${kind} ${rate}`) ?? new ErrorTally(people.length);
      pairCells.set(`${kind} ${rate}`, tally);
      tally.addPairs(
        test.map((person) => ({ person, pictures: picturesOf(person).length })),
        pairs,
        events.map(({ probe, match }) => ({ probe: test[probe] ?? 0, match: test[match] ?? 0 })),
      );
    }
  }
}

function tryGallery(
  curve: FalseMatchCurve,
  test: readonly number[],
  options: { size: number; perPerson: number; random: Random },
): void {
  const { enrolled, samples, mates, strangers } = household(people, test, options);
  const size = { people: enrolled.length, samples: samples.length };
  for (const kind of KINDS) {
    const found = {
      strangers: search(scores[kind], samples, strangers),
      mates: search(scores[kind], samples, mates),
    };
    for (const promise of PROMISES) {
      const cell = cellOf(`${kind} ${options.size} ${options.perPerson} ${promise}`);
      cell.galleries++;
      cell.least += bestPromise(curve, size);
      const threshold = promised(curve, { ...size, strangersPerThousand: promise });
      if (threshold === null) {
        cell.refused++;
        continue;
      }
      const of = (list: typeof found.mates) => list.map(({ person }) => person);
      cell.strangers.add(
        enrolled,
        of(found.strangers),
        found.strangers
          .filter(({ similarity }) => similarity >= threshold)
          .map(({ person, match }) => ({ probe: person, match })),
      );
      // Who is not found, or found as somebody else. The error is the mate's own.
      cell.mates.add(
        [],
        of(found.mates),
        found.mates
          .filter(({ person, match, similarity }) => similarity < threshold || match !== person)
          .map(({ person }) => ({ probe: person, match: null })),
      );
    }
  }
}

function promised(curve: FalseMatchCurve, gallery: Parameters<typeof thresholdFor>[1]): number | null {
  try {
    return thresholdFor(curve, gallery).threshold;
  } catch (error) {
    if (error instanceof FacedError && error.code === 'promise.unmeasured') return null;
    throw error;
  }
}

function cellOf(key: string): Cell {
  const known = cells.get(key);
  if (known !== undefined) return known;
  const cell = {
    strangers: new ErrorTally(people.length),
    mates: new ErrorTally(people.length),
    ...{ refused: 0, galleries: 0, least: 0 },
  };
  cells.set(key, cell);
  return cell;
}

/** Both networks' embeddings of every picture, from the cache when pictures and networks are the same. */
async function embedded(
  root: string,
  int8: string,
  cache: string,
): Promise<{ people: People; vectors: { fp32: Float32Array; int8: Float32Array } }> {
  const store = new ModelStore({ dir: modelsDir(), logger: createLogger('error') });
  const { card } = await store.card('mobilefacenet');
  const fp32 = join(modelsDir(), card.file);
  const files = await pictureFiles(root);
  const key = createHash('sha256').update(files.join('\n'));
  for (const file of [fp32, int8]) key.update((await hashFile(file)).sha256);
  const dir = join(cache, key.digest('hex').slice(0, 16));
  const [list, first, second] = ['rows.json', 'fp32.f32', 'int8.f32'].map((name) => join(dir, name)) as [
    string,
    string,
    string,
  ];
  if (!existsSync(list)) {
    mkdirSync(dir, { recursive: true });
    let done = 0;
    const [a, b] = await embedSets({
      ...{ store, card, files, root, models: [fp32, int8], looks: 2, signal: new AbortController().signal },
      onPicture: () => {
        if (++done % 500 === 0) console.error(`${done} of ${files.length} pictures`);
      },
    });
    if (a === undefined || b === undefined) throw new Error('two models, two sets');
    writeFileSync(first, a.vectors);
    writeFileSync(second, b.vectors);
    // Last, since its being there says that all is.
    writeFileSync(`${list}.new`, JSON.stringify(a.people));
    renameSync(`${list}.new`, list);
  }
  const byName = new Map<string, number[]>();
  for (const [row, name] of (JSON.parse(readFileSync(list, 'utf8')) as string[]).entries())
    byName.set(name, [...(byName.get(name) ?? []), row]);
  const floats = (path: string): Float32Array => new Float32Array(Uint8Array.from(readFileSync(path)).buffer);
  return { people: [...byName.values()], vectors: { fp32: floats(first), int8: floats(second) } };
}
