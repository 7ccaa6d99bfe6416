import { type TProperties, Type } from '@sinclair/typebox';

/**
 * What stands beside every setting: what it does, what holds when nothing is said, and whether the daemon must be
 * started again for a change to take effect (otherwise SIGHUP is enough).
 */
export interface About<T> {
  readonly description: string;
  readonly default: T;
  readonly restart: boolean;
}

/** A group of settings. It may be left out: each setting inside has a default. */
export function section<P extends TProperties>(description: string, properties: P) {
  return Type.Object(properties, { description, default: {}, additionalProperties: false });
}

export function wholeNumber(range: { minimum: number; maximum: number }, about: About<number>) {
  return Type.Integer({ ...range, ...about });
}

export function decimal(range: { minimum: number; maximum: number }, about: About<number>) {
  return Type.Number({ ...range, ...about });
}

/** A whole number that may be left open: null. */
export function wholeNumberOrNull(range: { minimum: number; maximum: number }, about: About<number | null>) {
  return Type.Unsafe<number | null>({ type: ['integer', 'null'], ...range, ...about });
}

/** A number that may be left open: null. */
export function decimalOrNull(range: { minimum: number; maximum: number }, about: About<number | null>) {
  return Type.Unsafe<number | null>({ type: ['number', 'null'], ...range, ...about });
}

export function yesOrNo(about: About<boolean>) {
  return Type.Boolean({ ...about });
}

export function text(form: { pattern?: string; says?: string; maxLength?: number }, about: About<string>) {
  return Type.String({ minLength: 1, maxLength: 4096, ...form, ...about });
}

/** A string that may be left open: null. */
export function textOrNull(form: { pattern?: string; says?: string }, about: About<string | null>) {
  return Type.Unsafe<string | null>({
    type: ['string', 'null'],
    minLength: 1,
    maxLength: 4096,
    ...form,
    ...about,
  });
}

/** A list of short texts; at most 32. */
export function texts(about: About<string[]>) {
  return Type.Array(Type.String({ minLength: 1, maxLength: 253 }), { maxItems: 32, ...about });
}

/** The path of a file or folder, or null. A relative path starts at the folder of the configuration file. */
export function pathOrNull(about: About<string | null>) {
  return Type.Unsafe<string | null>({
    type: ['string', 'null'],
    minLength: 1,
    maxLength: 4096,
    path: true,
    ...about,
  });
}

export function oneOf<const T extends string | number>(values: readonly T[], about: About<T>) {
  return Type.Unsafe<T>({
    type: typeof values[0] === 'number' ? 'integer' : 'string',
    enum: [...values],
    ...about,
  });
}

/** Words that ajv must know although they check nothing. `says` finishes the sentence "… must be" for a pattern. */
export const ANNOTATIONS = ['restart', 'says', 'path', 'unit'] as const;
