/**
 * The whole daemon on a clip at its own pace: from start to the first decision, from frame to event, how long the main
 * thread is held up, and memory, once with the vision worker as a thread and once as a process.
 * `node dist/bench/daemon.js FOLDER`: a folder of folders of pictures, one a person with at least two (LFW's form).
 */
import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { processMemory } from '../src/system/memory.js';
import { peopleOf, writeClip } from './people-clip.js';

const ROOT = join(import.meta.dirname, '..', '..');
const PEOPLE = 40;

/** Prints, when the main process ends, the longest time in which its event loop did nothing else. */
const MONITOR = `
import { isMainThread } from 'node:worker_threads';
import { monitorEventLoopDelay } from 'node:perf_hooks';
if (isMainThread && process.send === undefined) {
  const delay = monitorEventLoopDelay({ resolution: 1 });
  setTimeout(() => { delay.enable(); }, 3000).unref();
  process.on('exit', () => process.stderr.write('LOOP ' + JSON.stringify({ p99: delay.percentile(99) / 1e6, max: delay.max / 1e6 }) + '\\n'));
}`;

async function measure(isolation: 'thread' | 'process', dir: string) {
  const env = {
    ...process.env,
    FACED_STATE_DIR: join(dir, 'state'),
    FACED_ISOLATION: isolation,
    FACED_MQTT_EMBEDDED_PORT: '0',
    NODE_OPTIONS: `--import=${join(dir, 'monitor.mjs')}`,
  };
  const startedAt = performance.now();
  const child = spawn(
    join(ROOT, 'bin', 'faced'),
    ['run', '--source', `file:${join(dir, 'clip.avi')}?pace=real`, '--once', '--json'],
    {
      env,
      stdio: ['ignore', 'pipe', 'pipe'],
    },
  );
  const latencies: number[] = [];
  let firstMs: number | null = null;
  let stderr = '';
  child.stderr.on('data', (chunk) => (stderr += String(chunk)));
  createInterface({ input: child.stdout }).on('line', (line) => {
    firstMs ??= performance.now() - startedAt;
    const event = JSON.parse(line) as { decision: string; latencyMs: number };
    if (event.decision === 'known') latencies.push(event.latencyMs);
  });
  const memory: { rss: number; anonymous: number }[] = [];
  const watch = setInterval(() => {
    const { rss, anonymous } = processMemory(child.pid);
    if (rss !== null && anonymous !== null) memory.push({ rss, anonymous });
  }, 500);
  await new Promise((resolve) => child.once('close', resolve));
  clearInterval(watch);
  latencies.sort((a, b) => a - b);
  const loop = JSON.parse(/^LOOP (.*)$/m.exec(stderr)?.[1] ?? '{}') as { p99?: number; max?: number };
  const at = (share: number) =>
    latencies[Math.min(latencies.length - 1, Math.floor(share * latencies.length))] ?? null;
  return {
    isolation,
    known: latencies.length,
    startToFirstEventMs: Math.round(firstMs ?? Number.NaN),
    frameToEventMedianMs: at(0.5),
    frameToEventP99Ms: at(0.99),
    frameToEventWorstMs: at(1),
    mainHeldUpMaxMs: Number(loop.max?.toFixed(1)),
    rssMB: megabytes(mean(memory.map(({ rss }) => rss))),
    rssPeakMB: megabytes(Math.max(...memory.map(({ rss }) => rss))),
    anonymousMB: megabytes(mean(memory.map(({ anonymous }) => anonymous))),
  };
}

const megabytes = (bytes: number) => Math.round(bytes / 2 ** 20);

const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;

const folder = process.argv[2];
if (folder === undefined) throw new Error('which folder of people? (node dist/bench/daemon.js FOLDER)');
const dir = mkdtempSync(join(tmpdir(), 'faced-bench-'));
try {
  const people = peopleOf(folder, PEOPLE);
  writeFileSync(join(dir, 'monitor.mjs'), MONITOR);
  writeClip(
    join(dir, 'clip.avi'),
    people.map(({ photos }) => ({ photo: photos[1] ?? '', frames: 20, gap: 10 })),
  );
  for (const { name, photos } of people) {
    spawnSync(join(ROOT, 'bin', 'faced'), ['enroll', name, photos[0] ?? ''], {
      env: { ...process.env, FACED_STATE_DIR: join(dir, 'state') },
    });
  }
  // One after the other: they would hold each other up.
  console.table([await measure('thread', dir), await measure('process', dir)]);
} finally {
  rmSync(dir, { recursive: true, force: true });
}
