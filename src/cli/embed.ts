import { createHash } from 'node:crypto';
import { stat } from 'node:fs/promises';
import { relative } from 'node:path';
import { FacedError } from '../domain/errors.js';
import { deviceName } from '../inference/device.js';
import { hashFile } from '../inference/hash.js';
import { type ModelChoice, ModelStore } from '../inference/index.js';
import { embedAll } from '../model-tools/bulk/embed-all.js';
import { NpyFile } from '../model-tools/bulk/npy-file.js';
import { pictureFiles } from '../model-tools/faces.js';
import { BULK_OPTIONS, bulkOptions } from './bulk-options.js';
import { type CommandIo, type ExitCode, parse, usage } from './command.js';
import { COMMON_OPTIONS, settings } from './settings.js';

/**
 * `faced embed DIR --out F.npy [--batch 16] [--workers N] [--devices cpu,cuda:0,…]`: the main face of every picture as a
 * row of a float32 array, in the order of the paths; `F.json` beside it names the rows. Goes on where it was interrupted.
 */
export async function run(argv: readonly string[], io: CommandIo): Promise<ExitCode> {
  const { values, positionals } = parse(argv, {
    ...COMMON_OPTIONS,
    ...BULK_OPTIONS,
    out: { type: 'string' },
  });
  const [dir] = positionals;
  if (dir === undefined || positionals.length > 1) throw usage('embed takes one folder');
  const { out } = values;
  if (out === undefined || !out.endsWith('.npy')) throw usage('embed needs --out F.npy');
  const { batch, workers, devices } = await bulkOptions(values);
  const { config, modelsDir } = settings(io, values);
  const models = config.models;
  const files = await pictureFiles(dir);
  const store = new ModelStore({ dir: modelsDir, logger: io.log });
  const { card } = await store.card(models.recogniser);
  if (card.output.form !== 'embedding')
    throw new FacedError('model.mismatch', `${card.id} is no recogniser`, { fix: 'set models.recogniser' });
  const dimensions = card.output.size;
  const key = await workKey({ dir, files, batch, store, models });
  const array = await NpyFile.open(out, { key, dimensions });
  const firstBatch = array.batches;
  const resumed = array.codes.length;
  if (resumed > 0) io.log.info({ pictures: resumed }, 'an interrupted run is continued');
  const bar = io.progress('pictures', files.length);
  bar.advance(resumed);
  const started = performance.now();
  const before = process.cpuUsage();
  try {
    const load = await embedAll(
      { files, batch, workers, devices, modelsDir, models, rule: 'main', firstBatch, signal: io.signal },
      async (_batch, outcomes) => {
        await array.append(outcomes);
        bar.advance(outcomes.length);
      },
    );
    const seconds = (performance.now() - started) / 1000;
    const { user, system } = process.cpuUsage(before);
    const paths = files.map((file) => relative(dir, file).replaceAll('\\', '/'));
    const failed = array.codes.flatMap((code, at) =>
      code === null ? [] : [{ path: paths[at] ?? '', code }],
    );
    const rows = paths.filter((_, at) => array.codes[at] === null);
    await array.finish({ space: card.space ?? card.id, dimensions, rows, failed });
    const picturesPerSecond = (files.length - resumed) / Math.max(seconds, 1e-9);
    io.print(
      {
        out,
        pictures: files.length,
        rows: rows.length,
        dimensions,
        failed: failed.length,
        resumed,
        workers,
        devices: devices.map(deviceName),
        batch,
        seconds,
        picturesPerSecond,
        cpuSeconds: (user + system) / 1e6,
        load,
      },
      `${rows.length} of ${files.length} pictures in ${seconds.toFixed(1)} s (${picturesPerSecond.toFixed(1)} a second)`,
    );
    return 0;
  } finally {
    bar.stop();
    await array.close();
  }
}

/** What the rows depend on: networks, pictures and how they are put together. */
async function workKey(work: {
  dir: string;
  files: readonly string[];
  batch: number;
  store: ModelStore;
  models: Partial<ModelChoice>;
}): Promise<string> {
  const { dir, files, batch, store, models } = work;
  const hash = createHash('sha256').update(JSON.stringify({ batch }));
  const used = new Set([models.detector, models.landmarks, models.recogniser]);
  for (const { card, path, variant } of await store.list())
    if (used.has(card.id)) hash.update(`${card.id} ${(await hashFile(variant ?? path)).sha256}\n`);
  for (const file of files) {
    const found = await stat(file).catch(() => null);
    hash.update(`${relative(dir, file)} ${found?.size} ${found?.mtimeMs}\n`);
  }
  return hash.digest('hex');
}
