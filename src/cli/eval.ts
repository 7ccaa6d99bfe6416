import { readFile } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { openVision } from '../assemble.js';
import { FacedError } from '../domain/errors.js';
import type { Vision } from '../pipeline/ports.js';
import { evaluatePairs, parsePairs } from '../vision/evaluate.js';
import { type CommandIo, type ExitCode, parse, usage } from './command.js';
import { readPicture } from './pictures.js';
import { COMMON_OPTIONS, settings } from './settings.js';

/** More workers than this cost memory and find no more pictures to read. */
const MAX_WORKERS = 4;
/** Pictures on their way for each worker: the next one is there when the last is done. */
const AHEAD = 2;

export async function run(argv: readonly string[], io: CommandIo): Promise<ExitCode> {
  const { values, positionals } = parse(argv, {
    ...COMMON_OPTIONS,
    pairs: { type: 'string' },
    images: { type: 'string' },
    model: { type: 'string' },
  });
  const { pairs: pairsFile, images } = values;
  if (pairsFile === undefined || images === undefined || positionals.length > 0)
    throw usage('eval takes --pairs F and --images DIR');
  const pairs = parsePairs(await readText(pairsFile));
  const found = settings(io, values);
  const recogniser = values.model ?? 'mobilefacenet';
  const place = {
    ...found,
    config: {
      ...found.config,
      models: { ...found.config.models, recogniser, variant: 'float' as const },
      liveness: { ...found.config.liveness, passive: 'off' as const },
    },
  };
  const workers = Array.from({ length: Math.min(availableParallelism(), MAX_WORKERS) }, () =>
    openVision(place, { isolation: 'thread', cameras: [], log: io.log }),
  );
  try {
    await Promise.all(workers.map((worker) => worker.start(io.signal)));
    const result = await evaluate({ pairs, images, workers, io });
    const report = { ...result, model: recogniser };
    const percent = (rate: number | null) => (rate === null ? 'n/a' : `${(100 * rate).toFixed(2)} %`);
    io.print(
      report,
      [
        `accuracy ${percent(report.accuracy)} (std ${percent(report.std)}) over ${report.pairs} pairs with ${recogniser}`,
        `true accepts at 1e-2 false accepts ${percent(report.tar['1e-2'])}, at 1e-3 ${percent(report.tar['1e-3'])}`,
        `images without a face: ${report.misses}`,
      ].join('\n'),
    );
    return 0;
  } finally {
    await Promise.all(workers.map((worker) => worker.stop()));
  }
}

interface Evaluating {
  readonly pairs: ReturnType<typeof parsePairs>;
  readonly images: string;
  readonly workers: readonly Vision[];
  readonly io: CommandIo;
}

async function evaluate({ pairs, images, workers, io }: Evaluating) {
  const total = new Set(pairs.flatMap(({ a, b }) => [a, b])).size;
  const bar = io.progress('eval', total);
  let next = 0;
  try {
    return await evaluatePairs({
      pairs,
      concurrency: AHEAD * workers.length,
      onProgress: () => bar.advance(),
      embedImage: async (path) => {
        io.signal.throwIfAborted();
        const worker = workers[next++ % workers.length];
        const { faces } = (await worker?.analyse(await readPicture(join(images, path)), {
          embedPoor: true,
          largestOnly: true,
        })) ?? { faces: [] };
        return faces[0]?.embedding ?? null;
      },
    });
  } finally {
    bar.stop();
  }
}

async function readText(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (cause) {
    throw new FacedError('usage.not-found', `${path} cannot be read`, {
      cause,
      fix: 'check the path and its permissions',
    });
  }
}
