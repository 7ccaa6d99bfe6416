import { type SpawnSyncReturns, spawnSync } from 'node:child_process';
import { mkdtemp, rmdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { monotonicFactory } from 'ulid';
import type { Embedding } from '../../src/domain/embedding.js';
import type { RecognitionEvent } from '../../src/domain/event.js';
import type { FaceQuality } from '../../src/domain/face.js';
import { createStore, type StoreOptions } from '../../src/gallery/index.js';
import type { NewSample, NewUnknownFace, Store } from '../../src/pipeline/ports.js';
import { temporaryDir } from '../helpers/dirs.js';

export const SPACE = 'mobilefacenet/1';

export const QUALITY: FaceQuality = {
  ...{ size: 120, sharpness: 400, yaw: 3, pitch: -2, roll: 1 },
  ...{ brightness: 127, score: 0.9 },
};

/** A started store that is stopped after the test; `directory` is a fresh one unless given. */
export async function openStore(
  t: TestContext,
  options: Partial<StoreOptions> = {},
): Promise<{ store: Store; directory: string }> {
  let store: Store | undefined;
  // Before the folder's own clean-up, which would otherwise run first.
  t.after(() => store?.stop());
  const directory = options.directory ?? (await temporaryDir(t));
  store = createStore({ ...options, directory });
  await store.start(new AbortController().signal);
  return { store, directory };
}

/** mulberry32: the same numbers on every run. */
export function randomNumbers(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

export function unitVector(random: () => number, dimension = 512): Float32Array {
  const values = Array.from({ length: dimension }, () => random() + random() + random() - 1.5);
  const length = Math.hypot(...values);
  return Float32Array.from(values, (value) => value / length);
}

export function embedding(random: () => number, space = SPACE): Embedding {
  return { space, vector: unitVector(random) };
}

export function sample(random: () => number, space = SPACE): NewSample {
  return { embedding: embedding(random, space), quality: QUALITY };
}

export function unknownFace(random: () => number, about: Partial<NewUnknownFace> = {}): NewUnknownFace {
  return {
    ...{ embedding: embedding(random), quality: QUALITY, camera: 'porch', track: ulid() },
    ...{ seenAt: Date.now(), expiresAt: Date.now() + 3_600_000, image: null },
    ...about,
  };
}

const ulid = monotonicFactory();

export function event(name: string, time = Date.now()): RecognitionEvent {
  return {
    ...{ v: 1, id: ulid(time), time: new Date(time).toISOString(), device: 'door', camera: 'porch' },
    ...{ track: ulid(time), decision: 'known', person: { id: ulid(time), name } },
    ...{ similarity: 0.71, runnerUp: 0.22, threshold: 0.42, liveness: null },
    ...{ box: [10, 20, 120, 140], frame: [640, 480], quality: QUALITY },
    ...{ model: 'mobilefacenet', latencyMs: 87 },
  };
}

export function messageOf(one: RecognitionEvent): { topic: string; payload: string } {
  return { topic: 'faced/door/recognition', payload: JSON.stringify(one) };
}

/** Use as `skip`: file systems of a few megabytes need root and mount(8). */
export function withoutMounts(): string | false {
  return process.getuid?.() === 0 ? false : 'needs root to mount a small file system';
}

/** A file system of its own in memory, unmounted after the test. */
export async function smallDisk(t: TestContext, size: string): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'faced-disk-'));
  run('mount', ['-t', 'tmpfs', '-o', `size=${size},mode=700`, 'tmpfs', path]);
  t.after(async () => {
    spawnSync('umount', ['-l', path]);
    await rmdir(path);
  });
  return path;
}

export function remount(path: string, option: 'ro' | 'rw'): void {
  run('mount', ['-o', `remount,${option}`, path]);
}

function run(command: string, args: string[]): SpawnSyncReturns<string> {
  const result = spawnSync(command, args, { encoding: 'utf8' });
  if (result.status !== 0) throw new Error(`${command} ${args.join(' ')}: ${result.stderr}`);
  return result;
}
