import { isDeepStrictEqual } from 'node:util';
import { type Config, mapValues, SCHEMA, type SchemaNode } from './schema.js';
import { isTree } from './tree.js';

export interface Change {
  readonly path: string;
  readonly restart: boolean;
}

/** Every setting that differs, by path, and whether the daemon must be started again for it. */
export function changes(before: Config, after: Config): Change[] {
  return compare({ before, after, node: SCHEMA, path: [] });
}

export function changesNeedingRestart(before: Config, after: Config): string[] {
  return changes(before, after)
    .filter((change) => change.restart)
    .map((change) => change.path);
}

interface Comparison {
  readonly before: unknown;
  readonly after: unknown;
  readonly node: SchemaNode;
  readonly path: readonly string[];
}

function compare({ before, after, node, path }: Comparison): Change[] {
  if (isDeepStrictEqual(before, after)) return [];
  if (!isTree(before) || !isTree(after)) return [{ path: path.join('.'), restart: node.restart ?? true }];
  const keys = new Set([...Object.keys(before), ...Object.keys(after)]);
  return [...keys].flatMap((key) => {
    const child = node.properties?.[key] ?? mapValues(node);
    return child === undefined
      ? []
      : compare({ before: before[key], after: after[key], node: child, path: [...path, key] });
  });
}
