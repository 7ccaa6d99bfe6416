import { randomBytes } from 'node:crypto';
import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { type Document, isMap, parseDocument } from 'yaml';
import { FacedError } from '../domain/errors.js';
import { writeFileAtomic } from '../lib/atomic-file.js';
import { type LoadedConfig, loadConfig } from './load.js';
import { type Config, mapValues, SCHEMA, type SchemaNode } from './schema.js';

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

/** Whether a setting can be changed in the file only. */
export function isFileOnly(path: readonly string[]): boolean {
  const [section = '', ...rest] = path;
  if (FILE_ONLY_SECTIONS.has(section) || rest.some((key) => FILE_ONLY_KEYS.has(key))) return true;
  return nodeAt(path)?.path === true;
}

/** The configuration as it may be shown: without what signs somebody in at a camera or broker. */
export function shownConfig(config: Config): Record<string, unknown> {
  return JSON.parse(
    JSON.stringify(config, (_key, value: unknown) =>
      typeof value === 'string' ? value.replace(/\/\/[^/@\s]*@/g, '//…@') : value,
    ),
  ) as Record<string, unknown>;
}

export interface ConfigEdit {
  /** The file; made when there is none. */
  readonly file: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** A JSON merge patch (RFC 7396): null takes a setting out of the file, so that its default holds. */
  readonly patch: Readonly<Record<string, unknown>>;
}

/**
 * Changes settings in the configuration file, keeping its comments; nothing is written unless the whole is right.
 * Answers the configuration that holds then. Throws `config.invalid` with every mistake, and `http.forbidden` for what
 * can be changed in the file only.
 */
export async function editConfig({ file, env, patch }: ConfigEdit): Promise<LoadedConfig> {
  const changes = leavesOf(patch, []);
  const [forbidden] = changes.filter(
    ({ path, value }) => isFileOnly(path) || (value === null && isWhole(path)),
  );
  if (forbidden !== undefined)
    throw new FacedError('http.forbidden', `${forbidden.path.join('.')} can be changed in the file only`);
  const document: Document = parseDocument(await readFile(file, 'utf8').catch(nothing));
  if (document.errors.length > 0)
    throw new FacedError('config.unreadable', 'the configuration file is not YAML; mend it first');
  // An empty file, or one of comments alone.
  if (!isMap(document.contents)) {
    if (document.toJS() !== null)
      throw new FacedError(
        'config.unreadable',
        'the configuration file is not a map of settings; mend it first',
      );
    document.contents = document.createNode({});
  }
  for (const { path, value } of changes) {
    if (value === null && nodeAt(path)?.type !== undefined && !allowsNull(nodeAt(path)))
      document.deleteIn(path);
    else setIn(document, path, value);
  }
  const text = document.toString({ lineWidth: 0 });
  // Beside the file, so that relative paths mean the same.
  const trial = join(file, '..', `.faced-${randomBytes(6).toString('hex')}.yaml`);
  try {
    await writeFileAtomic(trial, text, 0o600);
    const loaded = loadConfig({ path: trial, env });
    await writeFileAtomic(file, text, 0o600);
    return { ...loaded, source: file };
  } catch (thrown) {
    const error = FacedError.from(thrown);
    if (error.code !== 'config.invalid') throw error;
    const lines = error.message
      .split('\n')
      .slice(1)
      .map((line) => line.trim());
    throw new FacedError('config.invalid', lines.join('; '), { cause: thrown });
  } finally {
    await rm(trial, { force: true });
  }
}

function nothing(error: NodeJS.ErrnoException): string {
  if (error.code === 'ENOENT') return '';
  throw new FacedError('config.unreadable', 'the configuration file cannot be read', { cause: error });
}

/** A section, or a camera: with it would go what is for the file only. */
function isWhole(path: readonly string[]): boolean {
  const node = nodeAt(path);
  return node?.properties !== undefined || node?.patternProperties !== undefined;
}

interface Leaf {
  readonly path: readonly string[];
  readonly value: unknown;
}

/** Sections are gone into, everything else (lists too) is a value. */
function leavesOf(value: unknown, path: readonly string[]): Leaf[] {
  if (path.length > 8) throw new FacedError('config.invalid', 'the change is nested too deeply');
  const node = nodeAt(path);
  const goesOn =
    isTree(value) &&
    (path.length === 0 || node?.properties !== undefined || mapValues(node ?? {}) !== undefined);
  if (!goesOn) return [{ path, value }];
  return Object.entries(value).flatMap(([key, child]) => leavesOf(child, [...path, key]));
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

function allowsNull(node: SchemaNode | undefined): boolean {
  return Array.isArray(node?.type) && node.type.includes('null');
}

function setIn(document: Document, path: readonly string[], value: unknown): void {
  // `mqtt:` with nothing behind it is null: a map takes its place.
  for (let length = 1; length < path.length; length++) {
    const part = path.slice(0, length);
    if (!isMap(document.getIn(part, true))) document.setIn(part, document.createNode({}));
  }
  document.setIn(path, document.createNode(value));
}

function isTree(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
