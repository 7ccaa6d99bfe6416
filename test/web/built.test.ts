import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { extname, join } from 'node:path';
import { test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { ROOT } from '../helpers/data.js';
import { openServer } from '../http/server-support.js';
import { BUILT, withoutPage } from './support.js';

const MOST_BYTES = 150 * 1024;

function dictionary(language: string): Record<string, string> {
  return JSON.parse(readFileSync(join(ROOT, 'web/src/text', `${language}.json`), 'utf8'));
}

function sources(): string {
  const root = join(ROOT, 'web/src');
  return readdirSync(root, { recursive: true, encoding: 'utf8' })
    .filter((name) => /^\.tsx?$/.test(extname(name)))
    .map((name) => readFileSync(join(root, name), 'utf8'))
    .join('\n');
}

test('both languages have the same texts, with the same places to fill in', () => {
  const [en, zh] = [dictionary('en'), dictionary('zh')];
  assert.deepEqual(Object.keys(zh), Object.keys(en));
  const places = (text: string) => [...text.matchAll(/\{\w+\}/g)].map(([place]) => place).sort();
  for (const [key, text] of Object.entries(en)) {
    assert.notEqual(text.trim(), '', key);
    assert.notEqual(zh[key]?.trim(), '', key);
    assert.deepEqual(places(zh[key] ?? ''), places(text), key);
  }
});

test('every text is used', () => {
  const code = sources();
  // Keys that are put together begin with a part that stands in the code.
  const made = [...code.matchAll(/[`']([a-z]+(?:\.[a-z]+)*)\.?\$\{/gi)].map(([, start]) => start ?? '');
  for (const key of Object.keys(dictionary('en')))
    assert.ok(code.includes(`'${key}'`) || made.some((start) => key.startsWith(start)), key);
});

test('the page is under 150 KB compressed and loads nothing from elsewhere', { skip: withoutPage() }, () => {
  const names = readdirSync(BUILT, { recursive: true, encoding: 'utf8' }).filter(
    (name) => extname(name) !== '',
  );
  const total = names.reduce((sum, name) => sum + gzipSync(readFileSync(join(BUILT, name))).length, 0);
  assert.ok(total < MOST_BYTES, `${total} bytes`);
  const html = readFileSync(join(BUILT, 'index.html'), 'utf8');
  for (const [script] of html.matchAll(/<script[^>]*>/g)) assert.match(script, / src="\/assets\//);
  assert.doesNotMatch(html, /<style|style=|https?:\/\//);
  const css = names
    .filter((name) => name.endsWith('.css'))
    .map((name) => readFileSync(join(BUILT, name), 'utf8'));
  for (const text of css) assert.doesNotMatch(text, /url\(|@import/);
});

test('the page is served with its type, compressed, its parts for ever; nothing else is', {
  skip: withoutPage(),
}, async (t) => {
  const { base } = await openServer(t);
  const index = await fetch(`${base}/`);
  assert.equal(index.status, 200);
  assert.match(index.headers.get('content-type') ?? '', /^text\/html/);
  assert.equal(index.headers.get('cache-control'), 'no-cache');
  assert.equal(index.headers.get('content-encoding'), 'gzip');
  assert.match(index.headers.get('content-security-policy') ?? '', /script-src 'self'/);
  const html = await index.text();
  const parts = [...html.matchAll(/(?:src|href)="([^"]+)"/g)].map(([, path]) => path ?? '');
  assert.ok(parts.length >= 3, html);
  for (const path of parts) {
    const part = await fetch(base + path, { headers: { 'accept-encoding': 'identity' } });
    assert.equal(part.status, 200, path);
    assert.match(part.headers.get('cache-control') ?? '', /max-age=31536000, immutable/, path);
    assert.equal(part.headers.get('content-encoding'), null);
    assert.deepEqual(Buffer.from(await part.arrayBuffer()), readFileSync(join(BUILT, path)));
  }
  for (const path of [
    '/assets/..%2findex.html',
    '/assets/index.html',
    '/assets/',
    '/package.json',
    '/assets/a/b',
  ])
    assert.ok((await fetch(base + path)).status >= 400, path);
});
