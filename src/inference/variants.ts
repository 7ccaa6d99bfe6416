import { readFile } from 'node:fs/promises';
import { cpus } from 'node:os';
import { join } from 'node:path';
import type { ModelCard } from './card.js';
import { hashFile } from './hash.js';

export type Target = 'x64' | 'arm64';
/** Forms of one model: optimised FP32, 8 bits, half precision. */
export type VariantKind = 'float' | 'int8' | 'half';
/** What the configuration may ask for. */
export type VariantWish = 'auto' | VariantKind;

/**
 * Raised whenever `optimize` or `quantize` makes files of the same model that answer or run otherwise: what an older
 * release made is not used any more, and `faced model fetch` makes it again.
 */
export const WORKSHOP = 3;

/** False match rate, threshold (cosine) and false non-match rate. */
export interface OperatingPoint {
  readonly fmr: number;
  readonly threshold: number;
  readonly fnmr: number;
}

/** What `faced model verify` found. */
export interface Verified {
  /** The kind of processor it was measured on: 8-bit answers differ between kinds. */
  readonly arch: string;
  /** It may stand in for the model that it was made from. */
  readonly accepted: boolean;
  /** False: too few pictures to say so. */
  readonly enough?: boolean;
  /** Of a recogniser, over all pairs: the variant alone, the model alone, and probe by one with gallery by the other. */
  readonly own?: { readonly points: readonly OperatingPoint[] };
  readonly against?: { readonly points: readonly OperatingPoint[] };
  readonly mixed?: { readonly points: readonly OperatingPoint[] };
}

/** Lies beside a variant's file as `.json`. */
export interface VariantNote {
  readonly file: string;
  readonly sha256: string;
  readonly bytes: number;
  readonly target: Target;
  /** SHA-256 of the file it was made from. */
  readonly derivedFrom: string;
  /** The {@link WORKSHOP} that made it. */
  readonly workshop: number;
  /** What was done to it, and how far the answers differ. */
  readonly made?: unknown;
  /** How many times faster than the optimised FP32 form it ran, in turns with it, and on what. */
  readonly speed?: { readonly timesFloat: number; readonly processor: string };
  readonly verified?: Verified;
}

/** Which file of a model is run, and why. */
export interface Choice {
  readonly kind: VariantKind | 'stock';
  /** Null for the stock file. */
  readonly path: string | null;
  readonly why: string;
  /** Files that were not used although they are there: what is wrong with them. */
  readonly problems: readonly string[];
  readonly verified?: Verified;
}

/** `<id>.<target>.onnx`, `<id>.<target>.int8.onnx`, `<id>.<target>.half.onnx`. */
export function variantName(
  id: string,
  target: Target,
  extension: 'onnx' | 'json',
  kind: VariantKind = 'float',
): string {
  return `${id}.${target}.${kind === 'float' ? '' : `${kind}.`}${extension}`;
}

/** `id:float`, `id:int8`, `id:half`: the form of a model that lies in the folder of models. Null for any other name. */
export function formFile(name: string, dir: string): { readonly id: string; readonly path: string } | null {
  const [, id, kind] = /^([^/]+):(float|int8|half)$/.exec(name) ?? [];
  if (id === undefined || kind === undefined) return null;
  const target = targetOf(process.arch) ?? 'x64';
  return { id, path: join(dir, variantName(id, target, 'onnx', kind as VariantKind)) };
}

export function targetOf(arch: string): Target | undefined {
  return arch === 'x64' || arch === 'arm64' ? arch : undefined;
}

/** The processor by its own name, as notes hold it. */
export function processorName(): string {
  return cpus()[0]?.model ?? 'unknown';
}

/**
 * Which file of a model is run here. `auto`: 8 bits where `verify` has accepted them on this kind of processor and they
 * win: always where they come first (memory traffic is what a small board lacks), elsewhere when they were faster on this
 * very processor; else the optimised FP32 form, else the stock file. Half precision is for an engine process: only a wish
 * brings it here. What is asked for and cannot be used is said in `why`.
 */
export async function chooseVariant(options: {
  readonly dir: string;
  readonly card: ModelCard;
  readonly target: Target;
  readonly wish: VariantWish;
  /** What `auto` begins with, by the board's profile. Left out: 8 bits on arm64. */
  readonly first?: 'float' | 'int8';
}): Promise<Choice> {
  const { wish, first = process.arch === 'arm64' ? 'int8' : 'float' } = options;
  const problems: string[] = [];
  const look = async (kind: VariantKind): Promise<Found | null> => {
    const found = await findVariant(options, kind);
    if (found !== null && 'problem' in found) problems.push(found.problem);
    return found !== null && 'path' in found ? found : null;
  };
  const said: string[] = [];
  for (const kind of wish === 'auto' ? (['int8'] as const) : wish === 'float' ? [] : [wish]) {
    const found = await look(kind);
    const against =
      found === null
        ? null
        : reasonAgainst(found.note, { eager: wish === kind || first === kind, role: options.card.role });
    if (found !== null && against === null)
      return {
        kind,
        path: found.path,
        why: wish === kind ? 'asked for by models.variant' : reasonFor(found.note),
        problems,
        ...(found.note.verified === undefined ? {} : { verified: found.note.verified }),
      };
    if (against !== null) said.push(`${kind} is not used: ${against}`);
    else if (wish === kind) said.push(`there is no ${kind} form`);
  }
  const float = await look('float');
  const why = [...said, ...(wish === 'float' ? ['asked for by models.variant'] : [])];
  if (float !== null)
    return {
      kind: 'float',
      path: float.path,
      why: why.join('; ') || 'the only optimised form here',
      problems,
    };
  return { kind: 'stock', path: null, why: why.join('; ') || 'the only form here', problems };
}

interface Found {
  readonly path: string;
  readonly note: VariantNote;
}

/** Null when there is none, or what is wrong with it. */
async function findVariant(
  { dir, card, target }: { dir: string; card: ModelCard; target: Target },
  kind: VariantKind,
): Promise<Found | { problem: string } | null> {
  const text = await readFile(join(dir, variantName(card.id, target, 'json', kind)), 'utf8').catch(
    () => null,
  );
  if (text === null) return null;
  const path = join(dir, variantName(card.id, target, 'onnx', kind));
  const note = noteOf(text);
  const problem = typeof note === 'string' ? note : await problemOf(note, path, card);
  if (problem !== null || typeof note === 'string') return { problem: `${path}: ${problem}` };
  return { path, note };
}

/** The note, or what is wrong with it. By hand: a schema compiler would cost the worker a quarter of its start. */
export function noteOf(text: string): VariantNote | string {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return 'its note is not JSON';
  }
  if (typeof value !== 'object' || value === null) return 'its note lacks fields';
  const note = value as Partial<Record<keyof VariantNote, unknown>>;
  const texts = [note.file, note.sha256, note.derivedFrom].every((one) => typeof one === 'string');
  const whole = texts && Number.isInteger(note.bytes) && (note.target === 'x64' || note.target === 'arm64');
  return whole ? (value as VariantNote) : 'its note lacks fields';
}

async function problemOf(note: VariantNote, path: string, card: ModelCard): Promise<string | null> {
  if (note.derivedFrom !== card.sha256) return 'it was made from another file';
  if (note.workshop !== WORKSHOP) return 'another release of faced made it';
  const there = await hashFile(path).catch(() => null);
  if (there === null) return 'the file is missing';
  return there.sha256 === note.sha256 ? null : 'its hash is not the one in its note';
}

function reasonAgainst(
  { verified, speed }: VariantNote,
  { eager, role }: { eager: boolean; role: ModelCard['role'] },
): string | null {
  if (verified === undefined) return 'faced model verify has not accepted it';
  if (!verified.accepted)
    return verified.enough === false
      ? 'faced model verify had too few pictures to accept it'
      : 'faced model verify found it too far from FP32';
  if (verified.arch !== process.arch) return `it was verified on ${verified.arch}, not on ${process.arch}`;
  // Without it nobody knows which threshold holds for faces enrolled in FP32.
  if (role === 'recogniser' && (verified.mixed?.points ?? []).length === 0)
    return 'its note holds no threshold against a gallery made with FP32';
  if (eager) return null;
  if (speed === undefined || speed.processor !== processorName())
    return 'its speed was not measured on this processor';
  return speed.timesFloat > 1
    ? null
    : `it runs at ${speed.timesFloat.toFixed(2)} times the speed of FP32 here`;
}

function reasonFor({ speed }: VariantNote): string {
  if (speed === undefined || speed.processor !== processorName())
    return 'verified against FP32, and least memory traffic for a small board';
  return `verified against FP32, and ${speed.timesFloat.toFixed(2)} times as fast on this processor`;
}

/**
 * A recogniser's curve where a verified variant embeds the faces, and the gallery may be by either: at each rate the
 * threshold rises by what the worse of "variant alone" and "mixed" needs more than FP32 alone on the same pictures.
 */
export function curveOf(card: ModelCard, verified: Verified | undefined): ModelCard['curve'] {
  const { curve } = card;
  const points = verified?.against?.points;
  if (curve === undefined || verified === undefined || points === undefined) return curve;
  const rise = (fmr: number): number => {
    const more = [verified.own, verified.mixed].flatMap((measured) => {
      const [a, b] = [nearest(measured?.points ?? [], fmr), nearest(points, fmr)];
      return a === undefined || b === undefined ? [] : [a.threshold - b.threshold];
    });
    return Math.max(0, ...more);
  };
  return {
    ...curve,
    procedure: `${curve.procedure}; raised for a verified variant`,
    points: curve.points.map((point) => ({
      ...point,
      threshold: Math.min(1, point.threshold + rise(point.fmr)),
    })),
  };
}

function nearest(points: readonly OperatingPoint[], fmr: number): OperatingPoint | undefined {
  const far = (point: OperatingPoint): number => Math.abs(Math.log(point.fmr / fmr));
  return points.reduce<OperatingPoint | undefined>(
    (best, point) => (best === undefined || far(point) < far(best) ? point : best),
    undefined,
  );
}
