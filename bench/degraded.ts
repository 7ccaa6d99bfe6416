/**
 * Pairs of LFW's form with the second picture made worse: how much of a door camera's bad nights the recogniser bears.
 * `node dist/bench/degraded.js PAIRS IMAGES [LIMIT]` prints one JSON line for each kind of damage.
 */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Embedding } from '../src/domain/embedding.js';
import { channels, type Image } from '../src/domain/frame.js';
import { decode } from '../src/image/index.js';
import { FOR_PICTURES, ModelStore, modelsDir, openModels } from '../src/inference/index.js';
import { ImageAnalyser } from '../src/pipeline/analyse.js';
import { thresholdFor } from '../src/pipeline/threshold.js';
import { evaluateScores, type PairScore, parsePairs } from '../src/vision/evaluate.js';
import { similarity } from '../src/vision/similarity.js';

type Damage = (image: Image, random: () => number) => Image;

/** A door camera at night: infrared light gives no colour. */
const grey: Damage = (image) =>
  change(image, (at) => {
    const [blue = 0, green = 0, red = 0] = image.data.subarray(at - (at % 3), at - (at % 3) + 3);
    return 0.114 * blue + 0.587 * green + 0.299 * red;
  });

/** A sixth of the light and a sensor's noise: normal, 6 grey levels. */
const dark: Damage = (image, random) => change(image, (at) => (image.data[at] ?? 0) / 6 + 6 * normal(random));

/** Somebody who walks by: the mean over 9 pixels in a row, of a face of about 100. */
const motion: Damage = (image) => {
  const step = channels(image.format);
  const row = image.width * step;
  return change(image, (at) => {
    let [sum, count] = [0, 0];
    for (let shift = -4; shift <= 4; shift++) {
      const other = at + shift * step;
      if (other < 0 || Math.floor(other / row) !== Math.floor(at / row)) continue;
      sum += image.data[other] ?? 0;
      count++;
    }
    return sum / count;
  });
};

/** The remedy that was tried for darkness: the grey levels from 2 to 98 % of the pixels stretched over the range. */
const stretched =
  (damage: Damage): Damage =>
  (image, random) => {
    const poor = damage(image, random);
    const counts = new Uint32Array(256);
    for (const value of poor.data) counts[value] = (counts[value] ?? 0) + 1;
    const at = (share: number) => {
      let left = share * poor.data.length;
      return counts.findIndex((count) => {
        left -= count;
        return left < 0;
      });
    };
    const [low, high] = [at(0.02), at(0.98)];
    return change(poor, (index) => (((poor.data[index] ?? 0) - low) * 235) / Math.max(1, high - low) + 10);
  };

const KINDS: Readonly<Record<string, Damage>> = {
  none: (image) => image,
  grey,
  motion,
  dark,
  'dark, stretched': stretched(dark),
};

const [pairsFile = '', images = '', limit = '3000', only] = process.argv.slice(2);
const pairs = parsePairs(await readFile(pairsFile, 'utf8')).slice(0, Number(limit));
const store = new ModelStore({ dir: modelsDir() });
const { detector, embedder, recogniser } = await openModels({ store, detector: FOR_PICTURES });
const analyser = new ImageAnalyser({ detector, embedder });
const bars = {
  'one sample': thresholdFor(recogniser.curve, { people: 1, samples: 1, strangersPerThousand: 1 }).threshold,
  'eight people, two samples each': thresholdFor(recogniser.curve, {
    people: 8,
    samples: 16,
    strangersPerThousand: 1,
  }).threshold,
};

const clean = new Map<string, Embedding | null>();
for (const { a } of pairs) if (!clean.has(a)) clean.set(a, (await look(a, (image) => image)).embedding);
for (const [kind, damage] of Object.entries(KINDS)) {
  if (only !== undefined && kind !== only) continue;
  const poorly = new Map<string, { embedding: Embedding | null; poor: boolean }>();
  const scores: PairScore[] = [];
  for (const { a, b, same } of pairs) {
    const probe = poorly.get(b) ?? (await look(b, damage));
    poorly.set(b, probe);
    const first = clean.get(a) ?? null;
    const cosine = first && probe.embedding ? similarity(first, probe.embedding) : null;
    scores.push({ same, similarity: cosine });
  }
  const genuine = scores.filter(({ same }) => same);
  const missed = Object.entries(bars).map(([name, bar]) => [
    name,
    genuine.filter((one) => (one.similarity ?? -1) < bar).length / genuine.length,
  ]);
  const probes = [...poorly.values()];
  const report = {
    kind,
    pairs: scores.length,
    accuracy: evaluateScores(scores).accuracy,
    fnmr: Object.fromEntries(missed),
    withoutFace: probes.filter(({ embedding }) => embedding === null).length / probes.length,
    tooPoor: probes.filter(({ poor }) => poor).length / probes.length,
  };
  process.stdout.write(`${JSON.stringify(report)}\n`);
}
await store.releaseAll();

async function look(path: string, damage: Damage): Promise<{ embedding: Embedding | null; poor: boolean }> {
  const image = damage(decode(await readFile(join(images, path))), seeded(path));
  const { faces } = await analyser.analyse(image, { largestOnly: true, embedPoor: true });
  return { embedding: faces[0]?.embedding ?? null, poor: faces[0]?.poor != null };
}

function change(image: Image, value: (at: number) => number): Image {
  return { ...image, data: clampedBytes(image.data.length, value) };
}

function clampedBytes(length: number, value: (at: number) => number): Uint8Array {
  const clamped = new Uint8ClampedArray(length);
  for (let at = 0; at < length; at++) clamped[at] = value(at);
  return new Uint8Array(clamped.buffer);
}

/** The same noise for the same picture each time (mulberry32 over a hash of its name). */
function seeded(text: string): () => number {
  let state = 0;
  for (const letter of text) state = (Math.imul(state, 31) + letter.charCodeAt(0)) | 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Box and Muller. */
function normal(random: () => number): number {
  return Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
}
