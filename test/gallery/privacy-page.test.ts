import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { ROOT } from '../helpers/data.js';

/** How rows come into the audit, each with the kind in its first group. */
const WRITERS: readonly [RegExp, (kind: string) => string][] = [
  [/kind: '([a-z.-]+)',\s*actor/g, (kind) => kind],
  [/#audit\('([a-z-]+)',/g, (kind) => kind],
  [/kind: 'audit',\s*what: '([a-z-]+)'/g, (kind) => `door.${kind}`],
  [/#note\('([a-z-]+)',/g, (kind) => `door.${kind}`],
  [/#row\('([a-z-]+)',/g, (kind) => `door.${kind}`],
  [/what: ok \? '([a-z-]+)'/g, (kind) => `door.${kind}`],
  [/what: ok \? '[a-z-]+' : '([a-z-]+)'/g, (kind) => `door.${kind}`],
  [/kind = paused \? '([a-z-]+)'/g, (kind) => kind],
  [/kind = paused \? '[a-z-]+' : '([a-z-]+)'/g, (kind) => kind],
];

test('docs/privacy.md names every kind of row in the audit, and no other', () => {
  const kinds = new Set<string>();
  const sources = join(ROOT, 'src');
  for (const path of readdirSync(sources, { recursive: true, encoding: 'utf8' })) {
    if (!path.endsWith('.ts')) continue;
    const text = readFileSync(join(sources, path), 'utf8');
    for (const [pattern, named] of WRITERS)
      for (const [, kind = ''] of text.matchAll(pattern)) kinds.add(named(kind));
  }
  assert.ok(kinds.size > 30, `the sources name ${kinds.size} kinds`);
  const page = readFileSync(join(ROOT, 'docs', 'privacy.md'), 'utf8');
  const [, table = ''] = page.split('| kinds | what they say |');
  const rows = (table.split('\n\n')[0] ?? '').split('\n').filter((line) => line.startsWith('| `'));
  const told = rows.flatMap((line) =>
    [...(line.split('|')[1] ?? '').matchAll(/`([^`]+)`/g)].map(([, kind = '']) => kind),
  );
  assert.deepEqual(told.sort(), [...kinds].sort());
});
