import { readFileSync } from 'node:fs';
import { join } from 'node:path';

/** Bytes. null where the kernel does not say. */
export interface MemoryFigures {
  readonly total: number | null;
  /** What can be taken without swapping (MemAvailable). */
  readonly available: number | null;
  /** The limit of our control group; null when there is none. */
  readonly limit: number | null;
  /** What our control group uses, page cache included. */
  readonly used: number | null;
}

export interface ProcessMemory {
  /** Resident set, shared library text included. */
  readonly rss: number | null;
  /** Memory that belongs to this process alone and cannot be read again from a file. */
  readonly anonymous: number | null;
}

/** A limit near the machine's size or beyond is none: cgroup v1 writes 2^63 rounded down to a page. */
const NO_LIMIT = 2 ** 60;

/** @param root where /proc and /sys are, for tests */
export function memoryFigures(root = '/'): MemoryFigures {
  const meminfo = read(root, 'proc/meminfo');
  const group = cgroupFigures(root);
  return {
    total: field(meminfo, 'MemTotal'),
    available: field(meminfo, 'MemAvailable'),
    limit: group.limit,
    used: group.used,
  };
}

export function processMemory(pid: number | 'self' = 'self', root = '/'): ProcessMemory {
  const status = read(root, `proc/${pid}/status`);
  return { rss: field(status, 'VmRSS'), anonymous: field(status, 'RssAnon') };
}

/** What this process may use at most: the machine's memory or its control group's limit, whichever is less. */
export function usableMemory({ total, limit }: MemoryFigures): number | null {
  if (total === null || limit === null) return total ?? limit;
  return Math.min(total, limit);
}

/** From this much memory on, a vision process of its own is affordable. A 1.5 GB board reports a little less as MemTotal. */
const ISOLATION_FROM = 1.45 * 1024 ** 3;

/** `auto` as a choice. When the kernel does not say how much there is, the smaller form is taken. */
export function chooseIsolation(
  wanted: 'auto' | 'process' | 'thread',
  figures: MemoryFigures,
): 'process' | 'thread' {
  if (wanted !== 'auto') return wanted;
  return (usableMemory(figures) ?? 0) >= ISOLATION_FROM ? 'process' : 'thread';
}

/** The limits of version 2 hold for a group and all above it, so the smallest on the way up counts. */
function cgroupFigures(root: string): { limit: number | null; used: number | null } {
  const groups = read(root, 'proc/self/cgroup').split('\n');
  const v1 = groups.find((line) => line.split(':')[1]?.split(',').includes('memory'))?.split(':')[2];
  if (v1 !== undefined) {
    const folder = [`sys/fs/cgroup/memory${v1}`, 'sys/fs/cgroup/memory'].find(
      (path) => read(root, `${path}/memory.limit_in_bytes`) !== '',
    );
    if (folder === undefined) return { limit: null, used: null };
    return {
      limit: limitOf(read(root, `${folder}/memory.limit_in_bytes`)),
      used: numberOf(read(root, `${folder}/memory.usage_in_bytes`)),
    };
  }
  const path = groups.find((line) => line.startsWith('0::'))?.slice(3);
  if (path === undefined) return { limit: null, used: null };
  const parts = path.split('/').filter((part) => part !== '');
  const folders = parts.map((_, index) => `sys/fs/cgroup/${parts.slice(0, index + 1).join('/')}`);
  const limits = ['sys/fs/cgroup', ...folders]
    .map((folder) => limitOf(read(root, `${folder}/memory.max`)))
    .filter((limit) => limit !== null);
  const own = folders.at(-1) ?? 'sys/fs/cgroup';
  return {
    limit: limits.length === 0 ? null : Math.min(...limits),
    used: numberOf(read(root, `${own}/memory.current`)),
  };
}

function limitOf(text: string): number | null {
  const limit = numberOf(text);
  return limit === null || limit >= NO_LIMIT ? null : limit;
}

function numberOf(text: string): number | null {
  return /^\d+\s*$/.test(text) ? Number(text) : null;
}

/** `Name:   123 kB` in bytes. */
function field(text: string, name: string): number | null {
  const match = new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(text);
  return match?.[1] === undefined ? null : Number(match[1]) * 1024;
}

function read(root: string, path: string): string {
  try {
    return readFileSync(join(root, path), 'utf8');
  } catch {
    return '';
  }
}
