/**
 * Cost of one exact search over a gallery in memory, and through the store's thread with 20,000 samples on disk:
 * `node dist/bench/search.js [samples…]`. Prints one JSON line for each measurement.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createStore } from '../src/gallery/index.js';
import { VectorIndex } from '../src/gallery/vector-index.js';

const DIMENSION = 512;
const SAMPLES_A_PERSON = 5;
const QUERIES = 101;

let seed = 1;
/** mulberry32: the same vectors on every machine. */
function random(): number {
  seed = (seed + 0x6d2b79f5) | 0;
  let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
  t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
  return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
}

function unitVector(): Float32Array {
  const values = Float32Array.from({ length: DIMENSION }, () => random() + random() + random() - 1.5);
  const length = Math.hypot(...values);
  return values.map((value) => value / length);
}

function measure(samples: number): object {
  const before = process.memoryUsage();
  const index = new VectorIndex(DIMENSION);
  for (let i = 0; i < samples; i++) index.add(`s${i}`, `p${Math.floor(i / SAMPLES_A_PERSON)}`, unitVector());
  const after = process.memoryUsage();
  const times: number[] = [];
  for (let i = 0; i < QUERIES; i++) {
    const query = unitVector();
    const start = performance.now();
    index.nearest(query);
    times.push(performance.now() - start);
  }
  times.sort((a, b) => a - b);
  const at = (share: number) => Number((times[Math.floor(share * (times.length - 1))] ?? 0).toFixed(3));
  const megabytes = (after.rss - before.rss) / 1e6;
  return {
    samples,
    form: 'INT8 and exact re-scoring',
    medianMs: at(0.5),
    p95Ms: at(0.95),
    rssMegabytes: Math.round(megabytes),
  };
}

function plainLoop(samples: number): object {
  const rows = new Float32Array(samples * DIMENSION).map(() => random() - 0.5);
  const query = unitVector();
  const times: number[] = [];
  for (let run = 0; run < 11; run++) {
    const start = performance.now();
    let best = Number.NEGATIVE_INFINITY;
    for (let row = 0; row < samples; row++) {
      let sum = 0;
      for (let i = 0; i < DIMENSION; i++) sum += (rows[row * DIMENSION + i] as number) * (query[i] as number);
      if (sum > best) best = sum;
    }
    if (Number.isNaN(best)) throw new Error('not a number');
    times.push(performance.now() - start);
  }
  times.sort((a, b) => a - b);
  return { samples, form: 'plain Float32 loop', medianMs: Number((times[5] ?? 0).toFixed(3)) };
}

/** The whole way: a call to the thread, the search, the answer; and how long the gallery takes to open. */
async function throughStore(): Promise<object> {
  const directory = await mkdtemp(join(tmpdir(), 'faced-bench-'));
  const signal = new AbortController().signal;
  const quality = { size: 1, sharpness: 1, yaw: 0, pitch: 0, roll: 0, brightness: 1, score: 1 };
  const embedding = () => ({ space: 'bench', vector: unitVector() });
  try {
    const made = createStore({ directory });
    await made.start(signal);
    for (let i = 0; i < 200; i++) {
      const { id } = await made.ensurePerson(`Person ${i}`);
      await made.addSamples(
        id,
        Array.from({ length: 100 }, () => ({ embedding: embedding(), quality })),
      );
    }
    await made.stop();
    const store = createStore({ directory });
    const opening = performance.now();
    await store.start(signal);
    const openMs = performance.now() - opening;
    const times: number[] = [];
    for (let i = 0; i < QUERIES; i++) {
      const query = embedding();
      const start = performance.now();
      await store.search([query]);
      times.push(performance.now() - start);
    }
    await store.stop();
    times.sort((a, b) => a - b);
    const median = times[Math.floor(times.length / 2)] ?? 0;
    return {
      samples: 20_000,
      form: 'store',
      openMs: Math.round(openMs),
      medianMs: Number(median.toFixed(3)),
    };
  } finally {
    await rm(directory, { recursive: true });
  }
}

const sizes = process.argv.slice(2).map(Number);
console.log(JSON.stringify({ arch: process.arch, node: process.version }));
console.log(JSON.stringify(plainLoop(20_000)));
for (const samples of sizes.length > 0 ? sizes : [1_000, 20_000, 100_000])
  console.log(JSON.stringify(measure(samples)));
console.log(JSON.stringify(await throughStore()));
