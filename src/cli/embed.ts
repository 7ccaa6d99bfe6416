import { relative } from 'node:path';
import { Worker } from 'node:worker_threads';
import { modelsDir } from '../inference/index.js';
import { pictureFiles } from '../model-tools/faces.js';
import { writeOutput } from '../model-tools/variant.js';
import { type CommandIo, type ExitCode, parse, usage } from './command.js';

interface Answer {
  readonly found: readonly { at: number; vector: Float32Array }[];
  readonly failed: readonly { at: number; code: string }[];
}

/**
 * `faced embed DIR --out F.npy [--batch 16] [--workers N]`: the largest face of every picture as a row of a float32
 * array, in the order of the paths; `F.json` beside it names the rows. Each worker decodes, detects, aligns and embeds.
 */
export async function run(argv: readonly string[], io: CommandIo): Promise<ExitCode> {
  const { values, positionals } = parse(argv, {
    out: { type: 'string' },
    batch: { type: 'string', default: '16' },
    workers: { type: 'string', default: '1' },
  });
  const [dir] = positionals;
  const [batch, workers] = [Number(values.batch), Number(values.workers)];
  if (dir === undefined || positionals.length > 1) throw usage('embed takes one folder');
  if (values.out === undefined || !values.out.endsWith('.npy')) throw usage('embed needs --out F.npy');
  if (!(batch >= 1 && batch <= 256 && workers >= 1 && workers <= 64))
    throw usage('--batch is 1 to 256 and --workers 1 to 64');
  const files = await pictureFiles(dir);
  const rows: (Float32Array | undefined)[] = new Array(files.length);
  const failed: { path: string; code: string }[] = [];
  const bar = io.progress('pictures', files.length);
  const started = performance.now();
  let next = 0;
  const work = async (): Promise<void> => {
    const worker = new Worker(new URL('./embed-worker.js', import.meta.url), {
      workerData: { modelsDir: modelsDir(io.env) },
    });
    try {
      while (next < files.length) {
        io.signal.throwIfAborted();
        const first = next;
        next += batch;
        const part = files.slice(first, first + batch);
        const answer = await ask(worker, { first, files: part });
        for (const { at, vector } of answer.found) rows[at] = vector;
        for (const { at, code } of answer.failed) failed.push({ path: relative(dir, files[at] ?? ''), code });
        bar.advance(part.length);
      }
    } finally {
      await worker.terminate();
    }
  };
  await Promise.all(Array.from({ length: workers }, work));
  bar.stop();
  const seconds = (performance.now() - started) / 1000;
  const kept = [...rows.entries()].flatMap(([at, vector]) => (vector === undefined ? [] : [{ at, vector }]));
  const dimensions = kept[0]?.vector.length ?? 0;
  await writeOutput(
    values.out,
    npy(
      kept.map(({ vector }) => vector),
      dimensions,
    ),
  );
  const paths = kept.map(({ at }) => relative(dir, files[at] ?? ''));
  await writeOutput(
    values.out.replace(/\.npy$/, '.json'),
    `${JSON.stringify({ rows: paths, failed }, null, 2)}\n`,
  );
  const summary = {
    out: values.out,
    pictures: files.length,
    rows: kept.length,
    dimensions,
    failed: failed.length,
    workers,
    batch,
    seconds,
    picturesPerSecond: files.length / Math.max(seconds, 1e-9),
  };
  io.print(
    summary,
    `${kept.length} of ${files.length} pictures in ${seconds.toFixed(1)} s (${summary.picturesPerSecond.toFixed(1)} a second)`,
  );
  return 0;
}

function ask(worker: Worker, task: object): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const done = (): void => {
      worker.off('message', settle);
      worker.off('error', fail);
      worker.off('exit', gone);
    };
    const settle = (answer: Answer): void => {
      done();
      resolve(answer);
    };
    const fail = (error: unknown): void => {
      done();
      reject(error);
    };
    const gone = (code: number): void => fail(new Error(`the worker ended with code ${code}`));
    worker.once('message', settle).once('error', fail).once('exit', gone);
    worker.postMessage(task);
  });
}

/** NumPy's format, version 1.0: a header padded to 64 bytes, then the rows. */
export function npy(rows: readonly Float32Array[], dimensions: number): Uint8Array {
  const text = `{'descr': '<f4', 'fortran_order': False, 'shape': (${rows.length}, ${dimensions}), }`;
  const length = Math.ceil((10 + text.length + 1) / 64) * 64 - 10;
  const header = Buffer.alloc(10 + length, 0x20);
  header.write('\x93NUMPY\x01\x00', 0, 'latin1');
  header.writeUInt16LE(length, 8);
  header.write(text, 10, 'latin1');
  header[9 + length] = 0x0a;
  return Buffer.concat([
    header,
    ...rows.map((row) => Buffer.from(row.buffer, row.byteOffset, row.byteLength)),
  ]);
}
