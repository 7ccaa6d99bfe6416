import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { chooseIsolation, memoryFigures, processMemory, usableMemory } from '../../src/system/memory.js';
import { temporaryDir } from '../helpers/dirs.js';

const MEMINFO = 'MemTotal:        1893684 kB\nMemFree:          100000 kB\nMemAvailable:    1200000 kB\n';
const MB = 1024 ** 2;

async function machine(t: TestContext, files: Record<string, string>): Promise<string> {
  const root = await temporaryDir(t);
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), text);
  }
  return root;
}

test('this machine', () => {
  const figures = memoryFigures();
  assert.ok((figures.total ?? 0) > 256 * MB);
  assert.ok((figures.available ?? 0) > 0 && (figures.available ?? 0) <= (figures.total ?? 0));
  const { rss, anonymous } = processMemory();
  assert.ok((rss ?? 0) > 20 * MB);
  assert.ok((anonymous ?? 0) > 0 && (anonymous ?? 0) < (rss ?? 0));
});

test('control groups, version 2: the least limit on the way up counts', async (t) => {
  const root = await machine(t, {
    'proc/meminfo': MEMINFO,
    'proc/self/cgroup': '0::/system.slice/faced.service\n',
    'sys/fs/cgroup/system.slice/memory.max': `${400 * MB}\n`,
    'sys/fs/cgroup/system.slice/faced.service/memory.max': 'max\n',
    'sys/fs/cgroup/system.slice/faced.service/memory.current': `${150 * MB}\n`,
  });
  assert.deepEqual(memoryFigures(root), {
    total: 1893684 * 1024,
    available: 1200000 * 1024,
    limit: 400 * MB,
    used: 150 * MB,
  });
});

test('control groups, version 1', async (t) => {
  const files = {
    'proc/meminfo': MEMINFO,
    'proc/self/cgroup': '11:cpu,cpuacct:/\n5:memory:/faced\n0::/\n',
    'sys/fs/cgroup/memory/faced/memory.limit_in_bytes': `${300 * MB}\n`,
    'sys/fs/cgroup/memory/faced/memory.usage_in_bytes': `${10 * MB}\n`,
  };
  assert.equal(memoryFigures(await machine(t, files)).limit, 300 * MB);
  const unlimited = { ...files, 'sys/fs/cgroup/memory/faced/memory.limit_in_bytes': '9223372036854771712\n' };
  assert.equal(memoryFigures(await machine(t, unlimited)).limit, null);
});

test('a kernel that says nothing', async (t) => {
  const root = await machine(t, {});
  assert.deepEqual(memoryFigures(root), { total: null, available: null, limit: null, used: null });
  assert.deepEqual(processMemory('self', root), { rss: null, anonymous: null });
});

test('isolation follows from the memory that may be used', () => {
  const figures = (total: number | null, limit: number | null) => ({
    total,
    limit,
    available: null,
    used: null,
  });
  assert.equal(chooseIsolation('auto', figures(4096 * MB, null)), 'process');
  assert.equal(chooseIsolation('auto', figures(1024 * MB, null)), 'thread');
  assert.equal(chooseIsolation('auto', figures(4096 * MB, 512 * MB)), 'thread');
  assert.equal(chooseIsolation('auto', figures(null, null)), 'thread');
  assert.equal(chooseIsolation('process', figures(1, null)), 'process');
  assert.equal(chooseIsolation('thread', figures(4096 * MB, null)), 'thread');
  assert.equal(usableMemory(figures(100, 200)), 100);
});
