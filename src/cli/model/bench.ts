import { stat } from 'node:fs/promises';
import { availableParallelism, cpus } from 'node:os';
import { createSession, type Session } from '../../inference/raw-session.js';
import { type Feeds, loadModel, noiseFeeds } from '../../model-tools/graph/index.js';
import { middle, timeInTurns } from '../../model-tools/in-turns.js';
import { alignColumns } from '../../model-tools/inspect.js';
import { type OperatorTime, profileOperators } from '../../model-tools/profile.js';
import { type CommandIo, type ExitCode, parse, usage } from '../command.js';
import { resolveModel } from './resolve.js';

/** Runs that are profiled at most. */
const PROFILED = 50;
/** Kinds of operation that the text names; `--json` has all. */
const NAMED = 6;

interface Entry {
  readonly label: string;
  readonly path: string;
  readonly feeds: Feeds;
}

interface Timed {
  readonly medianMs: number;
  readonly leastMs: number;
  /** By its median, how many times as fast as the first model. */
  readonly timesFirst: number;
  /** What loading and the first run added to the process. */
  readonly rssBytes: number;
}

/** A model's answer: its times on one thread (or on N), on each number of threads, and where they go. */
interface Benched extends Timed {
  readonly model: string;
  readonly bytes: number;
  readonly byThreads: readonly (Timed & { readonly threads: number })[];
  readonly operators: readonly OperatorTime[];
}

/**
 * `faced model bench M… [--runs N] [--threads N] [--batch N]`: the models run in turn, so that a busy moment of the
 * machine falls on all of them alike; medians and the ratio to the first, on one thread and on all processors (or on
 * N threads alone), and on one thread the time by kind of operation.
 */
export async function run(argv: readonly string[], io: CommandIo): Promise<ExitCode> {
  const { values, positionals } = parse(argv, {
    runs: { type: 'string', default: '200' },
    threads: { type: 'string' },
    batch: { type: 'string', default: '1' },
  });
  const whole = (text: string, name: string): number => {
    const value = Number(text);
    if (!Number.isInteger(value) || value < 1) throw usage(`--${name} is a whole number above 0`);
    return value;
  };
  const [runs, batch] = [whole(values.runs, 'runs'), whole(values.batch, 'batch')];
  const threads =
    values.threads === undefined
      ? [...new Set([1, availableParallelism()])]
      : [whole(values.threads, 'threads')];
  const entries: Entry[] = [];
  for (const name of positionals.length === 0 ? [undefined] : positionals) {
    const { path, label } = await resolveModel(name, io);
    const feeds = noiseFeeds((await loadModel(path)).graph.inputs, { batch, scale: 1 });
    entries.push({ label, path, feeds });
  }
  const timed: Timed[][] = [];
  const bar = io.progress('runs', runs * threads.length);
  try {
    for (const count of threads) timed.push(await inTurns(entries, { threads: count, runs, io, bar }));
  } finally {
    bar.stop();
  }
  const models: Benched[] = [];
  for (const [at, { label, path, feeds }] of entries.entries()) {
    const byThreads = threads.flatMap((count, index) => {
      const times = timed[index]?.[at];
      return times === undefined ? [] : [{ threads: count, ...times }];
    });
    const [first] = byThreads;
    if (first === undefined) continue;
    const { threads: _, ...onFirst } = first;
    const operators = await profileOperators(path, {
      feeds,
      threads: threads[0] ?? 1,
      runs: Math.min(runs, PROFILED),
    });
    models.push({
      model: label,
      bytes: (await stat(path)).size,
      ...onFirst,
      byThreads,
      operators,
    });
  }
  const processor = cpus()[0]?.model ?? 'unknown';
  const tables = threads.map((count, index) =>
    [
      `${processor}, ${count} thread(s), batch ${batch}, ${runs} alternating runs`,
      alignColumns([
        ['model', 'bytes', 'median ms', 'least ms', 'times', 'MB at load'],
        ...models.map(({ model, bytes, byThreads }) => [model, String(bytes), ...columns(byThreads[index])]),
      ]),
    ].join('\n'),
  );
  const profiles = models.map(({ model, operators }) =>
    [
      `${model}, by operation (with profiling on)`,
      alignColumns([
        ['operation', 'nodes', 'ms', 'share'],
        ...operators
          .slice(0, NAMED)
          .map(({ op, nodes, ms, share }) => [
            op,
            String(nodes),
            ms.toFixed(3),
            `${(100 * share).toFixed(0)} %`,
          ]),
      ]),
    ].join('\n'),
  );
  io.print(
    { processor, arch: process.arch, runs, threads, batch, models },
    [...tables, ...profiles].join('\n\n'),
  );
  return 0;
}

/** The models in turn; their sessions are there together. */
async function inTurns(
  entries: readonly Entry[],
  options: { threads: number; runs: number; io: CommandIo; bar: { advance(): void } },
): Promise<Timed[]> {
  const { threads, runs, io, bar } = options;
  const opened: { session: Session; feeds: Feeds; rssBytes: number }[] = [];
  let times: number[][] = [];
  try {
    for (const { path, feeds } of entries) {
      const before = process.memoryUsage.rss();
      const session = await createSession(path, { threads });
      opened.push({ session, feeds, rssBytes: 0 });
      await session.run(feeds);
      opened.splice(-1, 1, { session, feeds, rssBytes: process.memoryUsage.rss() - before });
    }
    const onTurn = () => {
      io.signal.throwIfAborted();
      bar.advance();
    };
    times = await timeInTurns(opened, { runs, onTurn });
  } finally {
    for (const { session } of opened) await session.release();
  }
  const first = middle(times[0] ?? []);
  return opened.map(({ rssBytes }, at) => {
    const ms = times[at] ?? [];
    const medianMs = middle(ms);
    return { medianMs, leastMs: ms[0] ?? Number.NaN, timesFirst: first / medianMs, rssBytes };
  });
}

function columns(timed: Timed | undefined): string[] {
  if (timed === undefined) return [];
  const { medianMs, leastMs, timesFirst, rssBytes } = timed;
  return [medianMs.toFixed(3), leastMs.toFixed(3), timesFirst.toFixed(2), (rssBytes / 2 ** 20).toFixed(1)];
}
