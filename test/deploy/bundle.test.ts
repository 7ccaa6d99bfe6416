import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';

const ROOT = join(import.meta.dirname, '..', '..', '..');
const BUNDLE = join(ROOT, 'dist', 'bundle');

/** What the sources start by `entry('…')`: threads and processes with a file of their own. */
function entries(): string[] {
  const files = readdirSync(join(ROOT, 'src'), { recursive: true, encoding: 'utf8' });
  return files
    .filter((file) => file.endsWith('.ts'))
    .flatMap((file) => [
      ...readFileSync(join(ROOT, 'src', file), 'utf8').matchAll(/\bentry\('([^']+)\.js'\)/g),
    ])
    .map((match) => match[1] ?? '');
}

test('whatever runs on a thread or in a process of its own is in the bundle', () => {
  const script = readFileSync(join(ROOT, 'deploy', 'bundle.mjs'), 'utf8');
  const bundled = /const ENTRIES = \[([^\]]+)\]/.exec(script)?.[1] ?? '';
  const names = entries();
  assert.ok(names.includes('vision-worker'), 'the sources are read');
  for (const name of names) assert.ok(bundled.includes(`'${name}'`), `deploy/bundle.mjs lacks ${name}`);
});

test('the bundle holds the whole program and finds the folder it lies in', (t) => {
  if (!existsSync(BUNDLE)) return t.skip('only compiled, not bundled: npm run build');
  for (const name of ['main', ...entries()]) assert.ok(existsSync(join(BUNDLE, `${name}.js`)), name);
  const { stdout } = spawnSync(process.execPath, [join(BUNDLE, 'main.js'), '--version'], {
    encoding: 'utf8',
  });
  assert.equal(stdout.trim(), JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')).version);
  const licences = readFileSync(join(BUNDLE, 'LICENCES.txt'), 'utf8');
  for (const name of ['fastify', 'mqtt', 'preact'])
    assert.match(licences, new RegExp(`^${name} \\S+ \\(MIT\\)\n\n.*license`, 'im'), name);
});
