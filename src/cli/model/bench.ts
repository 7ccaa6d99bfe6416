import { stat } from 'node:fs/promises';
import { cpus } from 'node:os';
import { createSession, type Session, type SessionTensor } from '../../inference/raw-session.js';
import { loadModel, noiseFeeds } from '../../model-tools/graph/index.js';
import { alignColumns } from '../../model-tools/inspect.js';
import { type CommandIo, type ExitCode, parse, usage } from '../command.js';
import { resolveModel } from './resolve.js';

/**
 * `faced model bench M… [--runs N] [--threads N] [--batch N]`: the models run in turn, so that a busy moment of the
 * machine falls on all of them alike; medians and the ratio to the first.
 */
export async function run(argv: readonly string[], io: CommandIo): Promise<ExitCode> {
  const { values, positionals } = parse(argv, {
    runs: { type: 'string', default: '200' },
    threads: { type: 'string', default: '1' },
    batch: { type: 'string', default: '1' },
  });
  const [runs, threads, batch] = [values.runs, values.threads, values.batch].map(Number);
  if (![runs, threads, batch].every((value) => Number.isInteger(value) && (value ?? 0) > 0))
    throw usage('--runs, --threads and --batch are whole numbers above 0');
  const entries: {
    label: string;
    path: string;
    session: Session;
    feeds: Record<string, SessionTensor>;
    rss: number;
    ms: number[];
  }[] = [];
  for (const name of positionals.length === 0 ? [undefined] : positionals) {
    const { path, label } = await resolveModel(name, io);
    const feeds = noiseFeeds((await loadModel(path)).graph.inputs, { batch: batch ?? 1, scale: 1 });
    const before = process.memoryUsage.rss();
    const session = await createSession(path, { threads: threads ?? 1 });
    await session.run(feeds);
    entries.push({ label, path, session, feeds, rss: process.memoryUsage.rss() - before, ms: [] });
  }
  const bar = io.progress('runs', runs ?? 0);
  for (let turn = 0; turn < (runs ?? 0); turn += 1) {
    io.signal.throwIfAborted();
    for (const { session, feeds, ms } of entries) {
      const started = performance.now();
      await session.run(feeds);
      ms.push(performance.now() - started);
    }
    bar.advance();
  }
  bar.stop();
  const first = median(entries[0]?.ms ?? []);
  const models = [];
  for (const { label, path, session, rss, ms } of entries) {
    await session.release();
    const medianMs = median(ms);
    models.push({
      model: label,
      bytes: (await stat(path)).size,
      medianMs,
      leastMs: Math.min(...ms),
      timesFirst: first / medianMs,
      rssBytes: rss,
    });
  }
  const processor = cpus()[0]?.model ?? 'unknown';
  const rows = models.map((one) => [
    one.model,
    String(one.bytes),
    one.medianMs.toFixed(3),
    one.leastMs.toFixed(3),
    one.timesFirst.toFixed(2),
    (one.rssBytes / 2 ** 20).toFixed(1),
  ]);
  io.print(
    { processor, arch: process.arch, runs, threads, batch, models },
    `${processor}, ${threads} thread(s), batch ${batch}, ${runs} alternating runs\n${alignColumns([['model', 'bytes', 'median ms', 'least ms', 'times', 'MB at load'], ...rows])}`,
  );
  return 0;
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[values.length >> 1] ?? Number.NaN;
}
