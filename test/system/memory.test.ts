import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { type TestContext, test } from 'node:test';
import {
  chooseIsolation,
  freeMemory,
  memoryFigures,
  processMemory,
  usableMemory,
} from '../../src/system/memory.js';
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

test('control groups, version 2: the least of limit minus usage on the way up is left', async (t) => {
  const service = 'sys/fs/cgroup/system.slice/faced.service';
  const root = await machine(t, {
    'proc/meminfo': MEMINFO,
    'proc/self/cgroup': '0::/system.slice/faced.service\n',
    'sys/fs/cgroup/system.slice/memory.max': `${400 * MB}\n`,
    'sys/fs/cgroup/system.slice/memory.current': `${390 * MB}\n`,
    'sys/fs/cgroup/system.slice/memory.stat': `anon ${300 * MB}\nfile ${90 * MB}\ninactive_file ${40 * MB}\nactive_file 4096\n`,
    [`${service}/memory.max`]: `${300 * MB}\n`,
    [`${service}/memory.high`]: 'max\n',
    [`${service}/memory.current`]: `${150 * MB}\n`,
    [`${service}/memory.stat`]: `anon ${120 * MB}\nfile ${30 * MB}\ninactive_file ${20 * MB}\n`,
  });
  const figures = memoryFigures(root);
  assert.deepEqual(figures, {
    ...{ total: 1893684 * 1024, available: 1200000 * 1024 },
    ...{ limit: 300 * MB, used: 130 * MB, room: 50 * MB },
  });
  assert.equal(freeMemory(figures), 50 * MB, 'its neighbours in the slice have taken the rest');
  writeFileSync(join(root, `${service}/memory.high`), `${160 * MB}\n`);
  assert.deepEqual(
    [memoryFigures(root).limit, memoryFigures(root).room],
    [160 * MB, 30 * MB],
    'from memory.high on the kernel slows the group down',
  );
});

test('control groups, version 1: parents count, seen or not', async (t) => {
  const files = {
    'proc/meminfo': MEMINFO,
    'proc/self/cgroup': '11:cpu,cpuacct:/\n5:memory:/docker/faced\n0::/\n',
    'sys/fs/cgroup/memory/docker/faced/memory.limit_in_bytes': '9223372036854771712\n',
    'sys/fs/cgroup/memory/docker/faced/memory.usage_in_bytes': `${60 * MB}\n`,
    'sys/fs/cgroup/memory/docker/faced/memory.stat': `cache ${30 * MB}\ninactive_file 0\nhierarchical_memory_limit ${300 * MB}\ntotal_inactive_file ${10 * MB}\n`,
  };
  const { limit, used, room } = memoryFigures(await machine(t, files));
  assert.deepEqual([limit, used, room], [300 * MB, 50 * MB, 250 * MB], 'the parent is told by memory.stat');
  const parent = {
    'sys/fs/cgroup/memory/docker/memory.use_hierarchy': '1\n',
    'sys/fs/cgroup/memory/docker/memory.limit_in_bytes': `${300 * MB}\n`,
    'sys/fs/cgroup/memory/docker/memory.usage_in_bytes': `${280 * MB}\n`,
  };
  assert.equal(memoryFigures(await machine(t, { ...files, ...parent })).room, 20 * MB);
  const apart = { ...parent, 'sys/fs/cgroup/memory/docker/memory.use_hierarchy': '0\n' };
  assert.equal(memoryFigures(await machine(t, { ...files, ...apart })).room, 250 * MB);
  const own = { ...files, 'sys/fs/cgroup/memory/docker/faced/memory.limit_in_bytes': `${100 * MB}\n` };
  assert.equal(memoryFigures(await machine(t, own)).room, 50 * MB);
});

test('control groups, version 1: a container sees its own group as the root', async (t) => {
  const root = await machine(t, {
    'proc/meminfo': MEMINFO,
    'proc/self/cgroup': '5:memory:/docker/0123456789ab\n',
    'sys/fs/cgroup/memory/memory.limit_in_bytes': `${300 * MB}\n`,
    'sys/fs/cgroup/memory/memory.usage_in_bytes': `${310 * MB}\n`,
  });
  const { limit, room } = memoryFigures(root);
  assert.deepEqual([limit, room], [300 * MB, 0]);
});

test('control groups without limits leave what the machine has', async (t) => {
  const root = await machine(t, {
    'proc/meminfo': MEMINFO,
    'proc/self/cgroup': '5:memory:/\n',
    'sys/fs/cgroup/memory/memory.limit_in_bytes': '9223372036854771712\n',
    'sys/fs/cgroup/memory/memory.usage_in_bytes': `${310 * MB}\n`,
    'sys/fs/cgroup/memory/memory.stat': 'hierarchical_memory_limit 9223372036854771712\n',
  });
  const figures = memoryFigures(root);
  assert.deepEqual([figures.limit, figures.room, freeMemory(figures)], [null, null, 1200000 * 1024]);
});

test('a kernel that says nothing', async (t) => {
  const root = await machine(t, {});
  assert.deepEqual(memoryFigures(root), {
    ...{ total: null, available: null },
    ...{ limit: null, used: null, room: null },
  });
  assert.deepEqual(processMemory('self', root), { rss: null, anonymous: null });
});

test('isolation follows from the memory that may be used', () => {
  const figures = (total: number | null, limit: number | null) => ({
    total,
    limit,
    available: null,
    used: null,
    room: null,
  });
  assert.equal(chooseIsolation('auto', figures(4096 * MB, null)), 'process');
  assert.equal(chooseIsolation('auto', figures(1024 * MB, null)), 'thread');
  assert.equal(chooseIsolation('auto', figures(4096 * MB, 512 * MB)), 'thread');
  assert.equal(chooseIsolation('auto', figures(null, null)), 'thread');
  assert.equal(chooseIsolation('process', figures(1, null)), 'process');
  assert.equal(chooseIsolation('thread', figures(4096 * MB, null)), 'thread');
  assert.equal(usableMemory(figures(100, 200)), 100);
});
