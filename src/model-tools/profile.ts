import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createSession } from '../inference/raw-session.js';
import type { Feeds } from './graph/index.js';

/** What one kind of operation costs in a run. */
export interface OperatorTime {
  readonly op: string;
  /** Nodes of this kind that a run computes. */
  readonly nodes: number;
  /** Milliseconds of a run: the medians of its nodes, added. */
  readonly ms: number;
  /** Of all operations. */
  readonly share: number;
}

/** An event of ONNX Runtime's profile (Chrome trace JSON); `dur` in microseconds. */
interface TraceEvent {
  readonly cat?: string;
  readonly dur?: number;
  readonly name?: string;
  readonly args?: { readonly op_name?: string };
}

/**
 * Time by kind of operation, the most first, from ONNX Runtime's own profile of a session apart: profiling itself costs
 * time, so that the sum is more than a run without it. The operations are those that really run, after fusion.
 */
export async function profileOperators(
  path: string,
  options: { readonly feeds: Feeds; readonly threads: number; readonly runs: number },
): Promise<OperatorTime[]> {
  const { feeds, threads, runs } = options;
  const folder = await mkdtemp(join(tmpdir(), 'faced-profile-'));
  try {
    const session = await createSession(path, { threads, profilePrefix: join(folder, 'ort') });
    try {
      for (let turn = 0; turn < runs; turn += 1) await session.run(feeds);
      session.endProfiling();
    } finally {
      await session.release();
    }
    const [file = ''] = await readdir(folder);
    return byOperator(JSON.parse(await readFile(join(folder, file), 'utf8')) as TraceEvent[]);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

function byOperator(events: readonly TraceEvent[]): OperatorTime[] {
  const nodes = new Map<string, { op: string; micros: number[] }>();
  for (const { cat, dur = 0, name = '', args } of events) {
    const op = args?.op_name;
    if (cat !== 'Node' || op === undefined || !name.endsWith('_kernel_time')) continue;
    const node = nodes.get(name) ?? { op, micros: [] };
    nodes.set(name, node);
    node.micros.push(dur);
  }
  const found = new Map<string, { nodes: number; ms: number }>();
  for (const { op, micros } of nodes.values()) {
    const ms = (micros.sort((a, b) => a - b)[micros.length >> 1] ?? 0) / 1000;
    const before = found.get(op) ?? { nodes: 0, ms: 0 };
    found.set(op, { nodes: before.nodes + 1, ms: before.ms + ms });
  }
  const all = [...found.values()].reduce((sum, { ms }) => sum + ms, 0);
  return [...found]
    .map(([op, { nodes, ms }]) => ({ op, nodes, ms, share: all === 0 ? 0 : ms / all }))
    .sort((a, b) => b.ms - a.ms);
}
