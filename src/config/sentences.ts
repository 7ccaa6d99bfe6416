import type { ErrorObject } from 'ajv';
import { nearest } from './nearest.js';
import type { SchemaNode } from './schema.js';

/** A mistake: where it is (`cameras.door.fps`) and the rest of the sentence. */
export interface Mistake {
  readonly path: string;
  readonly problem: string;
}

/** ajv's errors as sentences, one for each place, in the order of the path. */
export function mistakesOf(errors: readonly ErrorObject[]): Mistake[] {
  const found = new Map<string, Mistake>();
  for (const error of errors) {
    // An unfit name of a map's key is reported by both keywords; the second one says more.
    const mistake = mistakeOf(error);
    if (mistake !== undefined && !found.has(mistake.path)) found.set(mistake.path, mistake);
  }
  return [...found.values()];
}

function mistakeOf(error: ErrorObject): Mistake | undefined {
  const path = pathOf(error.instancePath);
  const schema = (error.parentSchema ?? {}) as SchemaNode;
  switch (error.keyword) {
    case 'additionalProperties':
      return unknownKey(path, String(error.params.additionalProperty), schema);
    case 'required':
      return { path: join(path, String(error.params.missingProperty)), problem: 'is missing' };
    default:
      return { path, problem: `must be ${expected(error, schema)} (is ${shown(error.data)})` };
  }
}

function unknownKey(path: string, key: string, schema: SchemaNode): Mistake {
  if (schema.patternProperties !== undefined)
    return {
      path: join(path, key),
      problem: 'is not a name that can be used: 1 to 32 lower-case letters, digits, - and _',
    };
  const known = Object.keys(schema.properties ?? {});
  const guess = nearest(key, known);
  const hint = guess === undefined ? `known are ${known.join(', ')}` : `did you mean ${guess}?`;
  return { path: join(path, key), problem: `is not a setting; ${hint}` };
}

/**
 * A fraction within the range is refused for its type alone, so the sentence has to say so. Who gave a number where a
 * whole one belongs is told the range; that there may be none does not help them.
 */
function expected({ keyword, data }: ErrorObject, schema: SchemaNode): string {
  const ofWholes = typesOf(schema).includes('integer') && schema.enum === undefined;
  const sentence =
    ofWholes && typeof data === 'number' ? baseExpectation(schema, typesOf(schema)) : expectation(schema);
  return keyword === 'type' && ofWholes && /^\d/.test(sentence)
    ? `a whole number from ${sentence}`
    : sentence;
}

/** What finishes "must be …" for a node of the schema. */
export function expectation(schema: SchemaNode): string {
  const types = typesOf(schema);
  const base = baseExpectation(schema, types);
  return types.includes('null') ? `${base}, or null` : base;
}

function typesOf({ type }: SchemaNode): readonly string[] {
  return typeof type === 'string' ? [type] : (type ?? []);
}

function baseExpectation(schema: SchemaNode, types: readonly string[]): string {
  if (schema.says !== undefined) return schema.says;
  if (schema.enum !== undefined) return listed(schema.enum.map(String));
  if (types.includes('integer') || types.includes('number')) {
    const { minimum, maximum } = schema;
    if (minimum !== undefined && maximum !== undefined) return `${minimum} to ${maximum}`;
    return types.includes('integer') ? 'a whole number' : 'a number';
  }
  if (types.includes('boolean')) return 'true or false';
  if (types.includes('array')) return `a list${counted(schema)}`;
  if (types.includes('object')) return 'a group of settings';
  return schema.minLength === 0 ? 'text' : 'text that is not empty';
}

function counted({ minItems, maxItems }: SchemaNode): string {
  if (minItems !== undefined && minItems === maxItems) return ` of ${minItems}`;
  if (minItems !== undefined && maxItems !== undefined) return ` of ${minItems} to ${maxItems}`;
  return maxItems === undefined ? '' : ` of at most ${maxItems}`;
}

function listed(words: readonly string[]): string {
  return words.length < 2 ? words.join('') : `${words.slice(0, -1).join(', ')} or ${words.at(-1)}`;
}

/** A value as the owner wrote it: short, and without the password of a URL. */
export function shown(value: unknown): string {
  if (value === undefined) return 'missing';
  const plain = JSON.stringify(value) ?? String(value);
  const safe = plain.replace(/:\/\/[^/@\s"]*@/g, '://…@');
  return safe.length > 60 ? `${safe.slice(0, 57)}…` : safe;
}

/** A JSON Pointer as a path for people. */
export function pathOf(pointer: string): string {
  return pointer
    .split('/')
    .slice(1)
    .map((part) => part.replaceAll('~1', '/').replaceAll('~0', '~'))
    .reduce((path, part) => join(path, part), '');
}

function join(path: string, key: string): string {
  if (/^\d+$/.test(key)) return `${path}[${key}]`;
  return path === '' ? key : `${path}.${key}`;
}
