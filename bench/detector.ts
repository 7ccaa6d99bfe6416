/**
 * The 8-bit detector beside the float one:
 *
 *   node dist/bench/detector.js --calibration DIR --images DIR [--limit N] [--runs 300] [--float NAME…]
 *
 * Makes the 8-bit file by `faced model quantize ultraface --image` and the optimised float one by `optimize`; then, over
 * the pictures: how many of the faces that float finds 8 bits find too (boxes that overlap by 0.5 and more), how well the
 * boxes match (intersection over union), and what only one of them finds. Times are of runs in turn, in the runner that
 * the pipeline has, of the network alone and with a picture being written to its input: floats, or bytes for the 8-bit
 * file; the file as shipped runs beside the two. Of each the least, which a busy machine disturbs least, and the median.
 */
import { execFileSync } from 'node:child_process';
import { mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { createImage } from '../src/image/index.js';
import { inputSize, type ModelCard } from '../src/inference/card.js';
import { ModelStore, modelsDir } from '../src/inference/index.js';
import { OrtRunner } from '../src/inference/session.js';
import { evenly, openStages, PictureReader, pictureFiles } from '../src/model-tools/faces.js';
import { middle } from '../src/model-tools/in-turns.js';
import { area, iou } from '../src/vision/boxes.js';
import { fillTensor } from '../src/vision/tensor.js';

/** The file as its makers ship it, the optimised one, and the one of 8 bits. */
const FORMS = ['shipped', 'float', 'bytes'] as const;
type Form = (typeof FORMS)[number];

const FACED = join(import.meta.dirname, '..', '..', 'bin', 'faced');
const { values } = parseArgs({
  options: {
    calibration: { type: 'string' },
    images: { type: 'string' },
    limit: { type: 'string', default: '100000' },
    runs: { type: 'string', default: '300' },
    float: { type: 'string', multiple: true, default: [] },
  },
});
const { calibration, images } = values;
if (calibration === undefined || images === undefined)
  throw new Error('name --calibration DIR and --images DIR');

const dir = await mkdtemp(join(tmpdir(), 'faced-detector-'));
try {
  const faced = (...argv: string[]): void => {
    execFileSync(FACED, ['model', ...argv], { stdio: ['ignore', 'ignore', 'inherit'] });
  };
  const [float, bytes] = [join(dir, 'float.onnx'), join(dir, 'int8.onnx')];
  faced('optimize', 'ultraface', '--target', process.arch, '--out', float);
  const kept = values.float.flatMap((name) => ['--float', name]);
  faced('quantize', 'ultraface', '--calibration', calibration, '--image', ...kept, '--out', bytes);
  const store = new ModelStore({ dir: modelsDir() });
  const { card } = await store.card('ultraface');
  const times = await alternate(card, { shipped: join(modelsDir(), card.file), float, bytes });
  const readerOf = async (file: string): Promise<PictureReader> =>
    new PictureReader(
      await openStages(store, { detector: { card, runner: await OrtRunner.open(file, card) } }),
    );
  const [first, second] = [await readerOf(float), await readerOf(bytes)];
  const overlaps: number[] = [];
  let [pictures, wanted, extra, largest, largestFound] = [0, 0, 0, 0, 0];
  for (const file of evenly(await pictureFiles(images), Number(values.limit))) {
    const [a, b] = [(await first.read(file)).faces, (await second.read(file)).faces];
    pictures += 1;
    wanted += a.length;
    const left = new Set(b);
    // The largest face is the person that a door is about; the others stand behind, many of them near the threshold.
    const [main] = [...a].sort((x, y) => area(y.box) - area(x.box));
    if (main !== undefined) largest += 1;
    for (const face of a) {
      const [best] = [...left].sort((x, y) => iou(face.box, y.box) - iou(face.box, x.box));
      if (best === undefined || iou(face.box, best.box) < 0.5) continue;
      left.delete(best);
      if (face === main) largestFound += 1;
      overlaps.push(iou(face.box, best.box));
    }
    extra += left.size;
  }
  await store.releaseAll();
  const mean = overlaps.reduce((sum, one) => sum + one, 0) / Math.max(overlaps.length, 1);
  const below = overlaps.filter((one) => one < 0.9).length;
  const size = [(await stat(float)).size, (await stat(bytes)).size];
  console.log(
    [
      `${pictures} pictures, ${wanted} faces found in float`,
      `found in 8 bits too: ${overlaps.length} (loss ${(100 * (1 - overlaps.length / wanted)).toFixed(3)} %), ${extra} more`,
      `the largest face of a picture: ${largestFound} of ${largest} (loss ${(100 * (1 - largestFound / largest)).toFixed(3)} %)`,
      `intersection over union: mean ${mean.toFixed(4)}, ${below} of ${overlaps.length} below 0.9`,
      `bytes: ${size[0]} and ${size[1]}`,
      ...times,
    ].join('\n'),
  );
} finally {
  await rm(dir, { recursive: true, force: true });
}

/** Milliseconds of the files in turn, one thread, as lines of text. */
async function alternate(card: ModelCard, files: Readonly<Record<Form, string>>): Promise<string[]> {
  const { width, height } = inputSize(card.input);
  const picture = createImage(width, height, 'bgr24');
  picture.data.forEach((_, at, data) => {
    data[at] = (at * 7919) % 256;
  });
  const forms = await Promise.all(
    FORMS.map(async (form) => ({
      runner: await OrtRunner.open(files[form], card),
      alone: [] as number[],
      fed: [] as number[],
    })),
  );
  for (let turn = -5; turn < Number(values.runs); turn += 1) {
    for (const { runner, alone, fed } of forms) {
      const started = performance.now();
      fillTensor(picture, runner.bytes ?? runner.input, card.input);
      const filled = performance.now();
      await runner.run(1);
      if (turn < 0) continue;
      alone.push(performance.now() - filled);
      fed.push(performance.now() - started);
    }
  }
  for (const { runner } of forms) await runner.release();
  const told = (name: string, times: readonly number[][]): string => {
    const all = (of: (ms: readonly number[]) => number): string => {
      const [shipped = Number.NaN, float = Number.NaN, bytes = Number.NaN] = times.map(of);
      const ms = [shipped, float, bytes].map((one) => one.toFixed(2)).join(', ');
      return `${ms} ms: ${(shipped / bytes).toFixed(2)} times as fast as shipped, ${(float / bytes).toFixed(2)} as optimised`;
    };
    for (const ms of times) ms.sort((a, b) => a - b);
    return `${name} (shipped, optimised, 8 bits): least ${all(([ms = Number.NaN]) => ms)}; median ${all(middle)}`;
  };
  return [
    told(
      'network alone',
      forms.map(({ alone }) => alone),
    ),
    told(
      'with the picture written to its input',
      forms.map(({ fed }) => fed),
    ),
  ];
}
