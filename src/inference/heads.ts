import { readFile } from 'node:fs/promises';
import { isAbsolute, join } from 'node:path';
import { type ErrorCode, FacedError } from '../domain/errors.js';
import type { NamedHead } from '../vision/head.js';

/** A head as `faced model head train` writes it. */
export interface HeadFile {
  readonly faced: 'head';
  readonly v: 1;
  readonly name: string;
  /** The embedding space that it was trained in. */
  readonly space: string;
  readonly classes: readonly string[];
  readonly dimensions: number;
  /** Classes by dimensions, float32, little-endian, base64. */
  readonly weight: string;
  readonly bias: readonly number[];
  /** How it was made and what was measured. */
  readonly made: unknown;
}

export const HEAD_NAME = /^[a-z][a-z0-9_]{0,31}$/;
const MAX_CLASSES = 64;

/** The file of a head that was appended to a model: it lies beside the model. */
export function headFileOf(path: string): string {
  return path.replace(/\.onnx$/, '.head.json');
}

/**
 * The heads of a configuration, for the recogniser whose space is `space`: files of `head train`, or models to which
 * one was appended; relative paths start at `dir`. Throws `model.missing`, `model.unreadable` or `space.mismatch`.
 */
export async function loadHeads(
  files: readonly string[],
  { dir, space }: { dir: string; space: string },
): Promise<NamedHead[]> {
  const heads: NamedHead[] = [];
  for (const file of files) {
    const path = headFileOf(isAbsolute(file) ? file : join(dir, file));
    const head = parseHead(await read(path), path);
    if (head.space !== space)
      throw wrong(
        'space.mismatch',
        `the head ${path} was trained in ${head.space}, and the recogniser's space is ${space}`,
      );
    if (heads.some(({ name }) => name === head.name))
      throw wrong('model.unreadable', `two heads have the name ${head.name}`);
    heads.push(head);
  }
  return heads;
}

export function writeHead(head: NamedHead, made: unknown): HeadFile {
  const { name, space, classes, dimensions, weight, bias } = head;
  return {
    faced: 'head',
    v: 1,
    name,
    space,
    classes,
    dimensions,
    weight: Buffer.from(weight.buffer, weight.byteOffset, weight.byteLength).toString('base64'),
    bias: [...bias],
    made,
  };
}

export function parseHead(text: string, path: string): NamedHead {
  let file: Partial<Record<keyof HeadFile, unknown>>;
  try {
    const parsed: unknown = JSON.parse(text);
    file = parsed instanceof Object ? parsed : {};
  } catch (cause) {
    throw wrong('model.unreadable', `${path} is not JSON`, cause);
  }
  const { name, space, classes, dimensions, weight, bias } = file;
  const texts = Array.isArray(classes) && classes.every((one) => typeof one === 'string' && one !== '');
  const count = texts ? classes.length : 0;
  const known =
    file.faced === 'head' && file.v === 1 && typeof space === 'string' && typeof name === 'string';
  const sized = typeof dimensions === 'number' && Number.isInteger(dimensions) && dimensions > 0;
  if (!known || !sized || !HEAD_NAME.test(name) || count < 2 || count > MAX_CLASSES)
    throw wrong('model.unreadable', `${path} is no head that \`faced model head train\` wrote`);
  const bytes = new Uint8Array(Buffer.from(typeof weight === 'string' ? weight : '', 'base64'));
  const numbers = Array.isArray(bias) && bias.length === count && bias.every(Number.isFinite);
  const values = bytes.length === count * dimensions * 4 ? new Float32Array(bytes.buffer) : null;
  if (!numbers || values === null || !values.every(Number.isFinite))
    throw wrong(
      'model.unreadable',
      `the weights of the head ${path} are not of ${count} classes by ${dimensions}`,
    );
  return {
    name,
    space,
    classes: classes as string[],
    dimensions,
    weight: values,
    bias: Float32Array.from(bias),
  };
}

async function read(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (cause) {
    throw wrong('model.missing', `the head ${path} cannot be read`, cause);
  }
}

function wrong(code: ErrorCode, message: string, cause?: unknown): FacedError {
  return new FacedError(code, message, {
    fix: 'train it with `faced model head train` and this recogniser, and name its file in models.heads',
    cause,
  });
}
