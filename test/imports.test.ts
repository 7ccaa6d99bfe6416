import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { test } from 'node:test';

const SRC = join(import.meta.dirname, '..', '..', 'src');

/** The order of DESIGN: a room may import itself, lib, and any room of a row above its own. */
const ROWS: readonly (readonly string[])[] = [
  ['domain'],
  ['vision'],
  ['image'],
  ['pipeline'],
  ['camera', 'inference', 'gallery', 'mqtt', 'http', 'door', 'system'],
  ['model-tools'],
  ['vision-worker.ts', 'assemble.ts', 'doors.ts'],
  ['checkup.ts', 'live-config.ts', 'scheduled.ts', 'wiring.ts'],
  ['foundation.ts'],
  ['household.ts'],
  ['deciding.ts'],
  ['web.ts'],
  ['web-parts.ts'],
  ['daemon.ts'],
  ['cli'],
  ['main.ts'],
];
/** The configuration is read by these alone; every other part declares its own options. */
const READS_CONFIG = new Set([
  'config',
  'assemble.ts',
  'doors.ts',
  'checkup.ts',
  'live-config.ts',
  'scheduled.ts',
  'web.ts',
  'daemon.ts',
  'cli',
  'main.ts',
]);
/** Packages that one room alone may import. */
const SOLE_IMPORTERS: Readonly<Record<string, string>> = {
  'onnxruntime-node': 'inference',
  'better-sqlite3': 'gallery',
  mqtt: 'mqtt',
  aedes: 'mqtt',
  fastify: 'http',
  'node-cron': 'system',
  systeminformation: 'system',
};

interface Import {
  readonly file: string;
  readonly room: string;
  readonly target: string;
  readonly typeOnly: boolean;
}

function importsOf(root: string): Import[] {
  const files = readdirSync(root, { recursive: true, encoding: 'utf8' }).filter((name) =>
    name.endsWith('.ts'),
  );
  const pattern =
    /(import|export)\s+(type\s)?[^;'"]*?from\s+['"]([^'"]+)['"]|import\(\s*['"]([^'"]+)['"]\s*\)|^import\s+['"]([^'"]+)['"]/gm;
  return files.flatMap((file) => {
    const text = readFileSync(join(root, file), 'utf8');
    return [...text.matchAll(pattern)].map((match) => ({
      file,
      room: file.split('/')[0] ?? file,
      target: match[3] ?? match[4] ?? match[5] ?? '',
      typeOnly: match[2] !== undefined,
    }));
  });
}

function roomOf({ file, target }: Import): string | undefined {
  if (!target.startsWith('.')) return undefined;
  const path = relative(SRC, join(SRC, file, '..', target)).replace(/\.js$/, '.ts');
  return path.split('/')[0];
}

function complaint(one: Import): string | undefined {
  const sole = SOLE_IMPORTERS[one.target];
  if (sole !== undefined && !one.typeOnly && one.room !== sole)
    return `only ${sole}/ may import ${one.target}`;
  const to = roomOf(one);
  if (to === undefined || to === one.room || to === 'lib') return undefined;
  if (one.room === 'lib') return 'lib imports nothing of ours';
  if (to === 'config')
    return READS_CONFIG.has(one.room) ? undefined : 'only main, daemon and cli import config';
  const row = ROWS.findIndex((rooms) => rooms.includes(one.room));
  const toRow = ROWS.findIndex((rooms) => rooms.includes(to));
  // The configuration's pieces are schemas that each room owns; config only joins them.
  if (one.room === 'config')
    return toRow <= ROWS.findIndex((rooms) => rooms.includes('camera'))
      ? undefined
      : 'config joins rooms, not compositions';
  if (row === -1) return `no such room: ${one.room}`;
  if (toRow === -1) return `no such room: ${to}`;
  return toRow < row ? undefined : `${one.room} may not import ${to}`;
}

test('the rooms import each other in one direction only', () => {
  const found = importsOf(SRC);
  assert.ok(found.length > 0);
  const wrong = found.flatMap((one) => {
    const text = complaint(one);
    return text === undefined ? [] : [`${one.file} imports ${one.target}: ${text}`];
  });
  assert.deepEqual(wrong, []);
});

test('the check finds what it is there for', () => {
  const bad = (file: string, target: string) =>
    complaint({ file, target, room: file.split('/')[0] ?? '', typeOnly: false });
  assert.match(bad('camera/x.ts', '../mqtt/client.js') ?? '', /camera may not import mqtt/);
  assert.match(bad('lib/x.ts', '../domain/face.js') ?? '', /lib imports nothing/);
  assert.match(bad('pipeline/x.ts', 'onnxruntime-node') ?? '', /only inference/);
  assert.match(bad('gallery/x.ts', '../config/load.js') ?? '', /only main, daemon and cli/);
});
