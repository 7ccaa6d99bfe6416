import { constants } from 'node:fs';
import { access, stat, statfs } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { Check } from '../domain/check.js';
import { freeMemory, memoryFigures, usableMemory } from './memory.js';

const LEAST_NODE = [20, 17] as const;
/** The daemon with all models and one camera (docs/performance.md), with room to breathe. */
const LEAST_MEMORY = 300 * 1024 ** 2;
const LEAST_DISK = 200 * 1024 ** 2;

export function nodeCheck(version: string): Check {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  const ok = major > LEAST_NODE[0] || (major === LEAST_NODE[0] && minor >= LEAST_NODE[1]);
  const detail = `Node.js ${version}`;
  return ok
    ? { name: 'node', ok, detail }
    : { name: 'node', ok, detail, fix: `Install Node.js ${LEAST_NODE.join('.')} or later.` };
}

export function memoryCheck(root: string): Check {
  const figures = memoryFigures(root);
  const usable = usableMemory(figures);
  const free = freeMemory(figures);
  if (usable === null || free === null)
    return {
      name: 'memory',
      ok: false,
      detail: 'the kernel does not say how much memory there is',
      fix: 'Mount /proc.',
    };
  const limit = figures.limit === null ? '' : ` (limit of the control group ${megabytes(figures.limit)})`;
  const detail = `${megabytes(free)} of ${megabytes(usable)} free${limit}`;
  return free >= LEAST_MEMORY
    ? { name: 'memory', ok: true, detail }
    : {
        name: 'memory',
        ok: false,
        detail,
        fix: `End other programs or set isolation: thread; faced wants ${megabytes(LEAST_MEMORY)}.`,
      };
}

/** The state directory holds the gallery and its key: it is for its owner alone. */
export async function stateDirCheck(path: string, uid = process.getuid?.()): Promise<Check> {
  const name = 'state';
  const found = await stat(path).catch(() => null);
  if (found === null) return { name, ok: true, detail: `${path} will be made at the first start` };
  if (!found.isDirectory())
    return { name, ok: false, detail: `${path} is not a folder`, fix: 'Set FACED_STATE_DIR to a folder.' };
  const open = found.mode & 0o077;
  if (open !== 0)
    return {
      name,
      ok: false,
      detail: `${path} can be read by others (mode ${octal(found.mode)})`,
      fix: `chmod 700 ${path}`,
    };
  const writable = await access(path, constants.R_OK | constants.W_OK | constants.X_OK).then(
    () => true,
    () => false,
  );
  if (!writable)
    return {
      name,
      ok: false,
      detail: `${path} cannot be written by user ${uid ?? 'unknown'}; it belongs to user ${found.uid}`,
      fix: 'Run as its owner, or set FACED_STATE_DIR.',
    };
  return { name, ok: true, detail: path };
}

export async function diskCheck(path: string): Promise<Check> {
  const { bavail, bsize } = await statfs(await nearestExisting(path));
  const free = bavail * bsize;
  const detail = `${megabytes(free)} free for ${path}`;
  return free >= LEAST_DISK
    ? { name: 'disk', ok: true, detail }
    : {
        name: 'disk',
        ok: false,
        detail,
        fix: `Make room: at least ${megabytes(LEAST_DISK)} should be free.`,
      };
}

async function nearestExisting(path: string): Promise<string> {
  const there = await stat(path).then(
    () => true,
    () => false,
  );
  return there || path === dirname(path) ? path : nearestExisting(dirname(path));
}

function megabytes(bytes: number): string {
  return bytes >= 10 * 1024 ** 3
    ? `${Math.round(bytes / 1024 ** 3)} GB`
    : `${Math.max(0, Math.round(bytes / 1024 ** 2))} MB`;
}

export function octal(mode: number): string {
  return (mode & 0o777).toString(8).padStart(3, '0');
}
