import { readFile } from 'node:fs/promises';
import { FacedError } from '../domain/errors.js';
import type { RecognitionEvent } from '../domain/event.js';
import type { PersonKey } from '../pipeline/keeping.js';
import type { AuditRow, Consent, PersonExport } from '../pipeline/ports.js';
import { usage } from './command.js';

export interface PersonFile {
  id: string;
  name: string;
  createdAt: number;
  updatedAt: number;
  samples: {
    id: string;
    space: string;
    createdAt: number;
    quality: PersonExport['embeddings'][number]['quality'];
    embedding: string;
    /** The aligned crop, JPEG. */
    image?: string;
  }[];
  consents?: readonly Consent[];
  /** These only of people who were exported by name: for them, not for another device. */
  keys?: readonly PersonKey[];
  events?: readonly RecognitionEvent[];
  audit?: readonly AuditRow[];
}

/** Vectors as base64 of little-endian float32, pictures as base64. */
export function toFile({ id, name, createdAt, updatedAt, embeddings, consents }: PersonExport): PersonFile {
  return {
    id,
    name,
    createdAt,
    updatedAt,
    samples: embeddings.map(({ vector, image, ...rest }) => ({
      ...rest,
      embedding: Buffer.from(vector.buffer, vector.byteOffset, vector.byteLength).toString('base64'),
      ...(image === undefined ? {} : { image: Buffer.from(image).toString('base64') }),
    })),
    ...(consents === undefined ? {} : { consents }),
  };
}

export async function readImport(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (cause) {
    throw new FacedError('usage.not-found', `${path} cannot be read`, { cause });
  }
}

export function fromFile(text: string): PersonExport[] {
  const wrong = (detail: string) =>
    usage(
      `this is not a file of faced people export (${detail})`,
      'make it with: faced people export --out FILE',
    );
  let document: unknown;
  try {
    document = JSON.parse(text);
  } catch {
    throw wrong('not JSON');
  }
  if (typeof document !== 'object' || document === null || !('faced' in document) || document.faced !== 1)
    throw wrong('no version 1');
  if (!('people' in document) || !Array.isArray(document.people)) throw wrong('no people');
  return document.people.map((entry: PersonFile, index) => {
    const whole =
      typeof entry?.id === 'string' && typeof entry.name === 'string' && Array.isArray(entry.samples);
    if (!whole || !Number.isFinite(entry.createdAt) || !Number.isFinite(entry.updatedAt))
      throw wrong(`person ${index}`);
    return {
      id: entry.id,
      name: entry.name,
      createdAt: entry.createdAt,
      updatedAt: entry.updatedAt,
      samples: entry.samples.length,
      ...consentsOf(entry),
      embeddings: entry.samples.map(({ embedding, image, ...rest }) => {
        const bytes = typeof embedding === 'string' ? Buffer.from(embedding, 'base64') : Buffer.alloc(0);
        if (bytes.length === 0 || bytes.length % 4 !== 0) throw wrong(`a sample of person ${index}`);
        return {
          ...rest,
          vector: new Float32Array(new Uint8Array(bytes).buffer),
          ...(typeof image === 'string' ? { image: new Uint8Array(Buffer.from(image, 'base64')) } : {}),
        };
      }),
    };
  });
}

function consentsOf({ id, consents }: PersonFile): { consents?: readonly Consent[] } {
  if (!Array.isArray(consents)) return {};
  return { consents: consents.map((consent: Consent) => ({ ...consent, person: id })) };
}
