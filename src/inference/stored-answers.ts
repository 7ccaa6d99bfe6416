import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { FacedError } from '../domain/errors.js';
import { ALIGNED_SIZE } from '../domain/face.js';
import { dot } from '../vision/similarity.js';
import { fillTensor } from '../vision/tensor.js';
import { inputSize, type ModelCard, SHIPPED_CARDS } from './card.js';

/** How many pictures a backend is tried on. */
export const PROBES = 4;
/** The least cosine between a backend's answer and the one in FP32: FP16 stays above it, an engine of another model far below. */
export const LEAST_COSINE = 0.999;

/** Answers of a stock model in FP32 to the probe pictures, by ONNX Runtime. */
interface StoredAnswers {
  /** SHA-256 of the stock file. */
  readonly model: string;
  /** Little-endian float32, Base64. */
  readonly answers: readonly string[];
}

/**
 * Probe pictures: drawn, so that no face of a person is needed, with an oval, eyes and a mouth, so that the network is
 * excited as by a face. Only whole numbers are used: every platform draws the same bytes.
 * @returns `ALIGNED_SIZE` squared BGR pixels
 */
export function probePicture(index: number): Uint8Array {
  const size = ALIGNED_SIZE;
  const data = new Uint8Array(size * size * 3);
  const inside = (
    x: number,
    y: number,
    [cx, cy, rx, ry]: readonly [number, number, number, number],
  ): boolean => (x - cx) * (x - cx) * ry * ry + (y - cy) * (y - cy) * rx * rx < rx * rx * ry * ry;
  const tilt = index * 3 - 4;
  for (let y = 0; y < size; y++) {
    for (let x = 0; x < size; x++) {
      let tone = 60 + ((x * (index + 1) + y * 2) % 64);
      if (inside(x, y, [56 + tilt, 60, 34 + index * 3, 48]))
        tone = 200 - index * 30 - Math.abs(x - 50 - tilt * 3);
      const hair = y < 24 + index * 5 && inside(x, y, [56, 50, 46, 50]);
      if (hair) tone = 30 + index * 35;
      const eye =
        inside(x, y, [38 + tilt, 51, 6, 3 + (index & 1)]) ||
        inside(x, y, [73 + tilt, 51, 6, 3 + (index & 1)]);
      if (eye) tone = 25;
      if (inside(x, y, [56 + tilt, 70, 4 + index, 7])) tone -= 25;
      if (inside(x, y, [56 + tilt, 90, 15 + index, 3 + index])) tone -= 60;
      const at = (y * size + x) * 3;
      const warm = hair || eye ? 0 : 12 + index * 4;
      data[at] = Math.max(0, tone - warm);
      data[at + 1] = Math.max(0, tone);
      data[at + 2] = Math.min(255, Math.max(0, tone + warm));
    }
  }
  return data;
}

/** Writes the first `count` probe pictures into the input of a recogniser, as its card wants them. */
export function fillProbes(input: Float32Array, card: ModelCard, count = PROBES): void {
  const { width, height, channels } = inputSize(card.input);
  for (let index = 0; index < count; index++) {
    const image = {
      width: ALIGNED_SIZE,
      height: ALIGNED_SIZE,
      format: 'bgr24' as const,
      data: probePicture(index),
    };
    const window = { x: (ALIGNED_SIZE - width) >> 1, y: (ALIGNED_SIZE - height) >> 1, width, height };
    fillTensor(image, input, card.input, { offset: index * width * height * channels, window });
  }
}

/** The stored FP32 answers of this card's file; null when none are shipped for it. */
export async function storedAnswers(
  card: ModelCard,
  shipped = SHIPPED_CARDS,
): Promise<Float32Array[] | null> {
  const text = await readFile(join(shipped, 'answers', `${card.id}.json`), 'utf8').catch(() => null);
  if (text === null) return null;
  const stored = JSON.parse(text) as StoredAnswers;
  if (stored.model !== card.sha256) return null;
  return stored.answers.map((one) => {
    const bytes = Buffer.from(one, 'base64');
    return Float32Array.from({ length: bytes.length / 4 }, (_, at) => bytes.readFloatLE(at * 4));
  });
}

export function encodeAnswers(card: ModelCard, answers: readonly Float32Array[]): StoredAnswers {
  const encode = (one: Float32Array): string => {
    const bytes = Buffer.alloc(one.length * 4);
    for (const [at, value] of one.entries()) bytes.writeFloatLE(value, at * 4);
    return bytes.toString('base64');
  };
  return { model: card.sha256, answers: answers.map(encode) };
}

/** Cuts the answer to a batch into that of each picture. */
export function answersOf(
  card: ModelCard,
  outputs: ReadonlyMap<string, Float32Array>,
  count = PROBES,
): Float32Array[] {
  const { output } = card;
  const whole = output.form === 'embedding' ? outputs.get(output.name) : undefined;
  if (output.form !== 'embedding' || whole === undefined || whole.length !== count * output.size)
    throw new FacedError('model.mismatch', `the backend did not answer ${count} embeddings of ${card.id}`);
  return Array.from({ length: count }, (_, at) => whole.slice(at * output.size, (at + 1) * output.size));
}

/** The least cosine between two lists of answers. */
export function leastCosine(a: readonly Float32Array[], b: readonly Float32Array[]): number {
  return a.reduce((least, one, at) => {
    const other = b[at];
    return other === undefined || other.length !== one.length ? -1 : Math.min(least, cosine(one, other));
  }, 1);
}

/** -1 for vectors without a direction. */
function cosine(a: Float32Array, b: Float32Array): number {
  const value = dot(a, b) / Math.sqrt(dot(a, a) * dot(b, b));
  return Number.isFinite(value) ? value : -1;
}
