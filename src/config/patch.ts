/** A change of settings as a JSON merge patch (RFC 7396): what it names, and what it may. */
import { FacedError } from '../domain/errors.js';
import { mapValues, SCHEMA, type SchemaNode } from './schema.js';
import { isTree } from './tree.js';

/** Sections that decide who may come in, and what runs on this machine: whoever changes them has the file. */
const FILE_ONLY_SECTIONS = new Set(['device', 'isolation', 'models', 'doors', 'access', 'http']);
/** Of the others: addresses, pipelines and what signs somebody in. */
const FILE_ONLY_KEYS = new Set([
  'source',
  'url',
  'username',
  'clientId',
  'embedded',
  'trusted',
  'engineSocket',
]);

export interface Leaf {
  readonly path: readonly string[];
  readonly value: unknown;
}

/** Whether a setting can be changed in the file only. */
export function isFileOnly(path: readonly string[]): boolean {
  const [section = '', ...rest] = path;
  if (FILE_ONLY_SECTIONS.has(section) || rest.some((key) => FILE_ONLY_KEYS.has(key))) return true;
  return nodeAt(path)?.path === true;
}

/**
 * Every setting that a patch names: sections are gone into, everything else (lists too) is a value.
 * Throws `http.forbidden` for what can be changed in the file only.
 */
export function leavesOf(patch: unknown): Leaf[] {
  return allowed(inside(patch, []));
}

/**
 * Every setting that a file of changes names, as {@link leavesOf}. A section, or a camera, out of which every line was
 * taken is not there.
 */
export function keptLeaves(content: unknown): Leaf[] {
  return allowed(inside(content, []).filter((leaf) => isFileOnly(leaf.path) || !removesWhole(leaf)));
}

function allowed(leaves: Leaf[]): Leaf[] {
  const forbidden = leaves.find((leaf) => isFileOnly(leaf.path) || removesWhole(leaf));
  if (forbidden !== undefined)
    throw new FacedError('http.forbidden', `${forbidden.path.join('.')} can be changed in the file only`);
  return leaves;
}

function inside(value: unknown, path: readonly string[]): Leaf[] {
  if (path.length > 8) throw new FacedError('config.invalid', 'the change is nested too deeply');
  const goesOn = isTree(value) && (path.length === 0 || isWhole(nodeAt(path)));
  if (!goesOn) return [{ path, value }];
  return Object.entries(value).flatMap(([key, child]) => inside(child, [...path, key]));
}

/** Whether the setting goes back to its default: null says so, where it is no value of its own. */
export function bringsDefault({ path, value }: Leaf): boolean {
  const node = nodeAt(path);
  return value === null && node?.type !== undefined && !allowsNull(node);
}

/**
 * Whether a configuration has a place for the setting: this version knows it, and what it is about, a camera, is named
 * there.
 */
export function hasPlace(tree: unknown, path: readonly string[]): boolean {
  if (nodeAt(path) === undefined) return false;
  let at: unknown = tree;
  for (const [depth, key] of path.slice(0, -1).entries()) {
    at = isTree(at) && Object.hasOwn(at, key) ? at[key] : undefined;
    const parent = nodeAt(path.slice(0, depth));
    if (at === undefined && parent !== undefined && mapValues(parent) !== undefined) return false;
  }
  return true;
}

/** With a section, or a camera, would go what is for the file only. */
function removesWhole({ path, value }: Leaf): boolean {
  return value === null && isWhole(nodeAt(path));
}

/** A section, or a camera. */
function isWhole(node: SchemaNode | undefined): boolean {
  return node !== undefined && (node.properties !== undefined || mapValues(node) !== undefined);
}

function nodeAt(path: readonly string[]): SchemaNode | undefined {
  let node: SchemaNode | undefined = SCHEMA;
  for (const key of path) {
    if (node === undefined) return undefined;
    const own: Readonly<Record<string, SchemaNode>> = node.properties ?? {};
    node = Object.hasOwn(own, key) ? own[key] : mapValues(node);
  }
  return node;
}

function allowsNull(node: SchemaNode): boolean {
  return Array.isArray(node.type) && node.type.includes('null');
}
