import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { FacedError } from '../domain/errors.js';
import { hashBytes } from '../inference/hash.js';
import { createSession } from '../inference/raw-session.js';
import { type VariantNote, variantName, WORKSHOP } from '../inference/variants.js';
import { writeFileAtomic, writeFilesAtomic } from '../lib/atomic-file.js';
import { loadWithBytes, type Model } from './graph/index.js';
import { optimizeModel, type Target } from './optimize.js';

/**
 * Makes the form of a stock model that is fastest on one kind of processor, beside it: `<id>.<target>.onnx`, and last
 * its note `<id>.<target>.json`, without which the model store does not use it.
 */
export async function makeVariant(options: {
  readonly id: string;
  readonly stockFile: string;
  readonly dir: string;
  readonly target: Target;
}): Promise<VariantNote> {
  const { id, dir, target } = options;
  const { model, sha256: derivedFrom } = await loadSource(options.stockFile);
  const { bytes, distance } = await optimizeModel(model, { target });
  const file = variantName(id, target, 'onnx');
  const note: VariantNote = {
    file,
    sha256: hashBytes(bytes),
    bytes: bytes.byteLength,
    target,
    derivedFrom,
    workshop: WORKSHOP,
    made: { by: 'faced model optimize', checked: '1 - cosine < 1e-6', distance },
  };
  await writeWithNote(join(dir, file), bytes, {
    path: join(dir, variantName(id, target, 'json')),
    content: note,
  });
  return note;
}

/** Throws `model.run-failed` unless ONNX Runtime takes the model: nothing is written that cannot be loaded. */
export async function assertLoads(bytes: Uint8Array): Promise<void> {
  await (await createSession(bytes)).release();
}

/** A model that something is made from, and the SHA-256 of the very bytes that were read. */
export async function loadSource(path: string): Promise<{ model: Model; sha256: string }> {
  const { model, bytes } = await loadWithBytes(path);
  return { model, sha256: hashBytes(bytes) };
}

/**
 * Throws `usage.invalid` when `out` is the file that was read: it and its card would be gone, and with them what notes
 * lead back to.
 */
export async function refuseSource(out: string, source: string): Promise<void> {
  const [there, read] = await Promise.all([out, source].map((path) => stat(path).catch(() => null)));
  if (there?.ino === undefined || there.ino !== read?.ino || there.dev !== read.dev) return;
  throw new FacedError('usage.invalid', `${out} is the file that it would be made from`, {
    fix: 'choose another name with --out',
  });
}

/** Writes a model and what stands beside it (JSON), all or nothing; throws `model.write-failed` with the reason. */
export async function writeWithNote(
  path: string,
  data: Uint8Array,
  ...notes: readonly { readonly path: string; readonly content: object }[]
): Promise<void> {
  const texts = notes.map((note) => ({
    path: note.path,
    data: `${JSON.stringify(note.content, null, 2)}\n`,
  }));
  try {
    await writeFilesAtomic([{ path, data }, ...texts]);
  } catch (cause) {
    throw writeFailed(path, cause);
  }
}

/** Writes a whole file or none; throws `model.write-failed` with the reason (a full disk, a missing folder). */
export async function writeOutput(path: string, data: string | Uint8Array): Promise<void> {
  try {
    await writeFileAtomic(path, data);
  } catch (cause) {
    throw writeFailed(path, cause);
  }
}

export function writeFailed(path: string, cause: unknown): FacedError {
  if (cause instanceof FacedError) return cause;
  const reason = cause instanceof Error ? cause.message : String(cause);
  return new FacedError('model.write-failed', `${path} could not be written: ${reason}`, {
    fix:
      (cause as NodeJS.ErrnoException | null)?.code === 'ENOENT'
        ? 'make the folder first, or choose another place with --out'
        : 'free space on the disk, or choose another place with --out',
    cause,
  });
}
