import { readFileSync } from 'node:fs';
import { join } from 'node:path';

/** Bytes. null where the kernel does not say. */
export interface MemoryFigures {
  readonly total: number | null;
  /** What can be taken without swapping (MemAvailable). */
  readonly available: number | null;
  /** The least limit of our control group and those above it; null when there is none. */
  readonly limit: number | null;
  /** What our control group uses, without file pages that the kernel takes back at once. */
  readonly used: number | null;
  /** What may be taken until a limit of our control group or of one above it is reached; null without a limit. */
  readonly room: number | null;
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
    ...group,
  };
}

export function processMemory(pid: number | 'self' = 'self', root = '/'): ProcessMemory {
  const status = read(root, `proc/${pid}/status`);
  return { rss: field(status, 'VmRSS'), anonymous: field(status, 'RssAnon') };
}

/** Share of the last 10 s in which some task waited for memory, percent; null without pressure stall information. */
export function memoryStalls(root = '/'): number | null {
  const some = /^some avg10=(\d+(?:\.\d+)?) /m.exec(read(root, 'proc/pressure/memory'))?.[1];
  return some === undefined ? null : Number(some);
}

/** What this process may use at most: the machine's memory or its control group's limit, whichever is less. */
export function usableMemory({ total, limit }: MemoryFigures): number | null {
  if (total === null || limit === null) return total ?? limit;
  return Math.min(total, limit);
}

/** What can still be taken: of the machine, or of what our control groups may have, whichever is less. */
export function freeMemory({ available, room }: MemoryFigures): number | null {
  return least([available, room]);
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

interface GroupFigures {
  readonly limit: number | null;
  readonly used: number | null;
  readonly room: number | null;
}

interface GroupFiles {
  /** Where the hierarchy is mounted, and the group's path in it. */
  readonly mount: string;
  readonly path: string;
  readonly limits: readonly string[];
  readonly usage: string;
  readonly stat: string;
}

/**
 * A limit holds for a group and all below it, and the groups beside ours use up what a common parent may have: what is
 * left is the least of limit minus usage on the way up (cgroup-v2.rst, cgroup-v1/memory.rst).
 */
function cgroupFigures(root: string): GroupFigures {
  const groups = read(root, 'proc/self/cgroup').split('\n');
  const v1 = groups.find((line) => line.split(':')[1]?.split(',').includes('memory'))?.split(':')[2];
  if (v1 !== undefined) {
    return groupFigures(root, {
      ...{ mount: 'sys/fs/cgroup/memory', path: v1, limits: ['memory.limit_in_bytes'] },
      ...{ usage: 'memory.usage_in_bytes', stat: 'total_inactive_file' },
    });
  }
  const path = groups.find((line) => line.startsWith('0::'))?.slice(3);
  if (path === undefined) return { limit: null, used: null, room: null };
  return groupFigures(root, {
    ...{ mount: 'sys/fs/cgroup', path, limits: ['memory.max', 'memory.high'] },
    ...{ usage: 'memory.current', stat: 'inactive_file' },
  });
}

function groupFigures(root: string, files: GroupFiles): GroupFigures {
  const parts = files.path.split('/').filter((part) => part !== '');
  // In a container our own group may be mounted as the root, and the path is the host's: what is not there is left out.
  const folders = [...parts.map((_, at) => parts.slice(0, parts.length - at).join('/')), '']
    .map((folder) => join(files.mount, folder))
    .filter((folder) => read(root, `${folder}/${files.usage}`) !== '');
  const used = folders.map((folder) => workingSet(root, folder, files));
  const limits = folders.map((folder, at) => {
    // Version 1 before Linux 5.11: a parent without this does not hold its children to its limit.
    if (at > 0 && read(root, `${folder}/memory.use_hierarchy`).trim() === '0') return null;
    return least(files.limits.map((name) => limitOf(read(root, `${folder}/${name}`))));
  });
  // Version 1 tells the least limit on the way up, of groups that cannot be seen from here too.
  const above = /^hierarchical_memory_limit (\d+)$/m.exec(read(root, `${folders[0]}/memory.stat`))?.[1];
  limits.push(limitOf(above ?? ''));
  used.push(used[0] ?? null);
  const rooms = limits.map((limit, at) => {
    const taken = used[at] ?? null;
    return limit === null || taken === null ? null : Math.max(0, limit - taken);
  });
  return { limit: least(limits), used: used[0] ?? null, room: least(rooms) };
}

/** Usage without pages of files that nobody has read for a while: the kernel takes those back before it ends anybody. */
function workingSet(root: string, folder: string, { usage, stat }: GroupFiles): number | null {
  const used = numberOf(read(root, `${folder}/${usage}`));
  if (used === null) return null;
  const idle = new RegExp(`^${stat} (\\d+)$`, 'm').exec(read(root, `${folder}/memory.stat`))?.[1];
  return Math.max(0, used - Number(idle ?? 0));
}

function least(values: readonly (number | null)[]): number | null {
  const known = values.filter((value) => value !== null);
  return known.length === 0 ? null : Math.min(...known);
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
