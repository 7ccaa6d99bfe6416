import { resolve } from 'node:path';
import { CAMERA_NAME } from './camera.js';
import { nearest } from './nearest.js';
import { isSection, mapValues, SCHEMA, type SchemaNode } from './schema.js';

/** Variables that begin with FACED_ and are no settings. */
export const RESERVED: ReadonlySet<string> = new Set([
  'FACED_CONFIG',
  'FACED_STATE_DIR',
  'FACED_TEST_DATA',
  'FACED_NODE',
  'FACED_NPM_REGISTRY',
]);

/** One variable and where its value goes. */
export interface Override {
  readonly name: string;
  readonly path: readonly string[];
  readonly value: unknown;
}

/** `strangersPerThousand` as STRANGERS_PER_THOUSAND. */
export function screaming(key: string): string {
  return key
    .replace(/([a-z0-9])([A-Z])/g, '$1_$2')
    .replace(/[^A-Za-z0-9]/g, '_')
    .toUpperCase();
}

export function variableFor(path: readonly string[]): string {
  return `FACED_${path.map(screaming).join('_')}`;
}

/** Every setting of a section with its path; a map counts as one leaf. */
export function leaves(node: SchemaNode = SCHEMA, path: readonly string[] = []): Leaf[] {
  return Object.entries(node.properties ?? {}).flatMap(([key, child]) =>
    isSection(child) ? leaves(child, [...path, key]) : [{ path: [...path, key], node: child }],
  );
}

export interface Leaf {
  readonly path: readonly string[];
  readonly node: SchemaNode;
}

export interface EnvironmentReading {
  readonly overrides: readonly Override[];
  readonly warnings: readonly string[];
}

/**
 * The settings among the environment's variables.
 * @param cameras names that the file has, so that FACED_CAMERAS_FRONT_DOOR_FPS finds `front-door`
 */
export function readEnvironment(
  env: Readonly<Record<string, string | undefined>>,
  cameras: readonly string[] = [],
): EnvironmentReading {
  const settings = leaves();
  const plain = new Map(settings.map((leaf) => [variableFor(leaf.path), leaf]));
  const overrides: Override[] = [];
  const warnings: string[] = [];
  for (const name of Object.keys(env).sort()) {
    const raw = env[name];
    if (raw === undefined || !name.startsWith('FACED_') || RESERVED.has(name)) continue;
    const leaf = plain.get(name) ?? inMap(name, settings, cameras);
    if (leaf === undefined) {
      const guess = nearest(name, [...plain.keys(), ...RESERVED]);
      warnings.push(`${name} is not a setting${guess === undefined ? '' : `; did you mean ${guess}?`}`);
      continue;
    }
    overrides.push({ name, path: leaf.path, value: parse(raw, leaf.node) });
  }
  return { overrides, warnings };
}

/** FACED_CAMERAS_DOOR_MIN_FACE: the longest setting that fits is taken off the end, the rest is the camera's name. */
function inMap(name: string, settings: readonly Leaf[], cameras: readonly string[]): Leaf | undefined {
  for (const map of settings) {
    const values = mapValues(map.node);
    const prefix = `${variableFor(map.path)}_`;
    if (values === undefined || !name.startsWith(prefix)) continue;
    const rest = name.slice(prefix.length);
    const fits = leaves(values)
      .map((leaf) => ({ leaf, suffix: `_${leaf.path.map(screaming).join('_')}` }))
      .filter(({ suffix }) => rest.endsWith(suffix))
      .sort((a, b) => b.suffix.length - a.suffix.length)[0];
    if (fits === undefined) continue;
    const written = rest.slice(0, -fits.suffix.length);
    const key = cameras.find((one) => screaming(one) === written) ?? written.toLowerCase();
    if (!new RegExp(CAMERA_NAME).test(key)) continue;
    return { path: [...map.path, key, ...fits.leaf.path], node: fits.leaf.node };
  }
  return undefined;
}

/** What does not parse stays text, and the schema says what was expected. */
function parse(raw: string, node: SchemaNode): unknown {
  const types = typeof node.type === 'string' ? [node.type] : (node.type ?? []);
  const value = raw.trim();
  if (types.includes('null') && (value === '' || value === 'null')) return null;
  if (node.path === true) return resolve(value);
  if (types.includes('boolean')) return parseBoolean(value);
  if (types.includes('integer') || types.includes('number')) {
    const number = Number(value);
    return value === '' || Number.isNaN(number) ? raw : number;
  }
  if (types.includes('array') || types.includes('object')) return parseJson(raw);
  return value;
}

function parseBoolean(value: string): boolean | string {
  if (/^(true|yes|on|1)$/i.test(value)) return true;
  if (/^(false|no|off|0)$/i.test(value)) return false;
  return value;
}

function parseJson(raw: string): unknown {
  try {
    return JSON.parse(raw);
  } catch {
    return raw;
  }
}
