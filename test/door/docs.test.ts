import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { ROOT } from '../helpers/data.js';

test('docs/door.md: every test that it names is there', () => {
  const page = readFileSync(join(ROOT, 'docs', 'door.md'), 'utf8');
  const [, table = ''] = page.split('| what goes wrong | shown by |');
  const named = (table.split('\n\n')[0] ?? '').split('\n').flatMap((line) => {
    const cell = line.split('|')[2] ?? '';
    return [...cell.matchAll(/`([\w-]+\.test\.ts)`: ([^;]+)/g)].map(([, file = '', title = '']) => ({
      file,
      title,
    }));
  });
  assert.ok(named.length >= 11);
  for (const { file, title } of named) {
    const source = readFileSync(join(ROOT, 'test', 'door', file), 'utf8').replaceAll('’', "'");
    for (const part of title.split('…').map((one) => one.trim().replaceAll('’', "'")))
      assert.ok(source.includes(part), `${file}: ${part}`);
  }
});
