import { readdir, readFile } from 'node:fs/promises';
import { extname, join } from 'node:path';
import { promisify } from 'node:util';
import { gzip } from 'node:zlib';
import { FacedError } from '../domain/errors.js';
import { ROOT } from '../lib/program.js';

/** A file of the page, as it is and compressed. */
export interface PageFile {
  readonly type: string;
  readonly content: Buffer;
  readonly gzipped: Buffer;
}

const BUILT = join(ROOT, 'dist/web');
const TYPES: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml',
  '.json': 'application/json',
};

/** The page as `npm run build` made it, read once and kept: about 200 KB. Only names that were found then are served. */
export class Page {
  #files: Promise<ReadonlyMap<string, PageFile>> | undefined;

  /** `index.html`, `assets/main-….js`. Throws `http.not-found`. */
  async file(name: string): Promise<PageFile> {
    this.#files ??= read();
    const files = await this.#files;
    if (files.size === 0) this.#files = undefined;
    const found = files.get(name);
    if (found !== undefined) return found;
    if (files.size > 0) throw new FacedError('http.not-found', 'there is nothing at this address');
    throw new FacedError('http.not-found', 'the page has not been built', { fix: 'run: npm run build' });
  }
}

async function read(): Promise<ReadonlyMap<string, PageFile>> {
  const names = await readdir(BUILT, { recursive: true }).catch(() => []);
  const files = new Map<string, PageFile>();
  for (const name of names) {
    const type = TYPES[extname(name)];
    if (type === undefined) continue;
    const content = await readFile(join(BUILT, name));
    files.set(name, { type, content, gzipped: await promisify(gzip)(content) });
  }
  return files;
}
