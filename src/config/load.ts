import { existsSync } from 'node:fs';
import { hostname } from 'node:os';
import { dirname, resolve } from 'node:path';
import { Ajv, type ErrorObject } from 'ajv';
import { FacedError } from '../domain/errors.js';
import { crossChecks } from './cross-checks.js';
import { readEnvironment } from './env.js';
import { bringsDefault, hasPlace, keptLeaves, type Leaf } from './patch.js';
import { findConfigFile } from './paths.js';
import { readYamlFile } from './read-yaml.js';
import { type Config, type ConfigFile, mapValues, SCHEMA, type SchemaNode } from './schema.js';
import { type Mistake, mistakesOf } from './sentences.js';
import { ANNOTATIONS } from './setting.js';
import { isTree, type Tree } from './tree.js';

export interface LoadOptions {
  /** `--config`; otherwise FACED_CONFIG, the state directory and /etc are searched. */
  readonly path?: string | undefined;
  /** Settings that were changed apart from the file hold in place of what it says (edit.ts); it need not be there. */
  readonly settingsFile?: string | undefined;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Stronger than file and environment: what the command line says, by path (`log.level`). */
  readonly overrides?: Readonly<Record<string, unknown>>;
}

export interface LoadedConfig {
  readonly config: Config;
  /** The file it came from; null when there is none and the defaults hold. */
  readonly source: string | null;
  /** Settings that hold in place of what that file says, by path. */
  readonly apart: readonly string[];
  /** What was passed over, such as an unknown FACED_ variable. */
  readonly warnings: readonly string[];
}

const ajv = new Ajv({ allErrors: true, verbose: true, useDefaults: true, allowUnionTypes: true });
for (const keyword of ANNOTATIONS) ajv.addKeyword(keyword);
const validate = ajv.compile<ConfigFile>(SCHEMA);

/**
 * File, then environment, then overrides; checked as a whole, with defaults filled in.
 * Throws `config.unreadable`, or `config.invalid` with every mistake at once, path first.
 */
export function loadConfig(options: LoadOptions): LoadedConfig {
  const source = options.path ?? findConfigFile(options.env);
  const content = source === null ? {} : readSettings(source);
  const name = source ?? 'the configuration';
  const tree = withoutEmptySections(content, SCHEMA) as Tree;
  const origins = new Map<string, string>();
  const warnings: string[] = [];
  const apart: string[] = [];
  for (const leaf of leavesApart(options.settingsFile)) {
    const path = leaf.path.join('.');
    // A camera that is gone, or a setting of another version, must not keep the door from its daemon.
    if (!hasPlace(tree, leaf.path)) {
      warnings.push(`${options.settingsFile}: ${path} is passed over, nothing has it`);
      continue;
    }
    if (bringsDefault(leaf)) take(tree, leaf.path);
    else assign(tree, leaf.path, leaf.value);
    apart.push(path);
    origins.set(path, 'the settings that were changed apart from the file');
  }
  const environment = readEnvironment(options.env, Object.keys(asTree(tree.cameras)));
  warnings.push(...environment.warnings);
  for (const { path, value, name: variable } of environment.overrides) {
    assign(tree, path, value);
    origins.set(path.join('.'), variable);
  }
  for (const [path, value] of Object.entries(options.overrides ?? {})) {
    assign(tree, path.split('.'), value);
    origins.delete(path);
  }
  const config = checkConfig(tree, { name, origins });
  return { config: settle(config, source), source, apart, warnings };
}

function readSettings(path: string): Tree {
  const content = readYamlFile(path);
  if (!isTree(content))
    throw new FacedError('config.invalid', `${path} must be a map of settings (key: value).`);
  return content;
}

/** What was changed apart from the file; none where there is no such file. */
function leavesApart(settingsFile: string | undefined): readonly Leaf[] {
  if (settingsFile === undefined || !existsSync(settingsFile)) return [];
  const content = readSettings(settingsFile);
  try {
    return keptLeaves(content);
  } catch (thrown) {
    const error = FacedError.from(thrown);
    if (error.code !== 'http.forbidden') throw error;
    // Whoever could write there only is not to say who may come in.
    throw new FacedError('config.invalid', `${settingsFile}: ${error.message}.`, { cause: thrown });
  }
}

/** Check plain data and fill in defaults (in place). Throws `config.invalid`. */
export function checkConfig(
  data: unknown,
  about: { name: string; origins?: ReadonlyMap<string, string> },
): ConfigFile {
  if (!validate(data)) throw invalid(about, mistakesOf(validate.errors as ErrorObject[]));
  const mistakes = crossChecks(data);
  if (mistakes.length > 0) throw invalid(about, mistakes);
  return data;
}

function invalid(
  { name, origins }: { name: string; origins?: ReadonlyMap<string, string> },
  mistakes: readonly Mistake[],
): FacedError {
  const lines = mistakes.map(({ path, problem }) => {
    const origin = origins?.get(path);
    return `  ${path === '' ? 'the whole' : path} ${problem}${origin === undefined ? '' : `, set by ${origin}`}`;
  });
  const count = lines.length === 1 ? '1 mistake' : `${lines.length} mistakes`;
  return new FacedError('config.invalid', `${name} has ${count}:\n${lines.join('\n')}`, {
    fix: 'docs/configuration.md explains every setting.',
  });
}

/** The device's name, and relative paths taken from the folder of the file. */
function settle(file: ConfigFile, source: string | null): Config {
  const config: Config = { ...file, device: file.device ?? deviceName(hostname()) };
  return source === null ? config : (resolvePaths(config, SCHEMA, dirname(resolve(source))) as Config);
}

function resolvePaths(value: unknown, node: SchemaNode | undefined, folder: string): unknown {
  if (node?.path === true && typeof value === 'string') return resolve(folder, value);
  if (!isTree(value) || node === undefined) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, child]) => [
      key,
      resolvePaths(child, node.properties?.[key] ?? mapValues(node), folder),
    ]),
  );
}

/** A host name as a topic level: `Front Door.local` becomes `front-door`. */
export function deviceName(host: string): string {
  const safe = (host.split('.')[0] ?? '')
    .toLowerCase()
    .replace(/[^a-z0-9_-]+/g, '-')
    .replace(/^[-_]+|-+$/g, '')
    .slice(0, 64);
  return safe === '' ? 'faced' : safe;
}

/** `mqtt:` with nothing behind it is null in YAML; it means the defaults, not a mistake. */
function withoutEmptySections(value: unknown, node: SchemaNode | undefined): unknown {
  if (!isTree(value) || node === undefined) return value;
  const entries = Object.entries(value)
    .map(([key, child]) => ({ key, child, schema: node.properties?.[key] ?? mapValues(node) }))
    .filter(
      ({ key, child, schema }) =>
        !(child === null && schema?.type === 'object' && Object.hasOwn(node.properties ?? {}, key)),
    )
    .map(({ key, child, schema }): [string, unknown] => [key, withoutEmptySections(child, schema)]);
  return Object.fromEntries(entries);
}

function assign(tree: Tree, path: readonly string[], value: unknown): void {
  const [key, ...rest] = path;
  if (key === undefined) return;
  if (rest.length === 0) {
    tree[key] = value;
    return;
  }
  // A camera may be called `constructor`.
  const child = Object.hasOwn(tree, key) ? tree[key] : undefined;
  // A section that is something else (a mistake in the file) stays, so that it is reported.
  if (child !== undefined && child !== null && !isTree(child)) return;
  const next = isTree(child) ? child : {};
  tree[key] = next;
  assign(next, rest, value);
}

/** Takes a setting out, so that its default holds. */
function take(tree: Tree, path: readonly string[]): void {
  const [key, ...rest] = path;
  if (key === undefined || !Object.hasOwn(tree, key)) return;
  if (rest.length === 0) delete tree[key];
  else if (isTree(tree[key])) take(tree[key], rest);
}

function asTree(value: unknown): Tree {
  return isTree(value) ? value : {};
}
