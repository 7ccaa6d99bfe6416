import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';

/**
 * Where the program lies. The compiled files are in dist/src/ and the bundled ones in dist/bundle/; in both, this module
 * is in the folder lib/ of that folder, so nobody else needs to know which of the two is running.
 */
const CODE = resolve(import.meta.dirname, '..');

/** The folder with package.json: the checkout, or where a package was installed. */
export const ROOT: string = resolve(CODE, '..', '..');

/** An entry of the program that runs on a thread or in a process of its own: `gallery/worker.js`. Each is named in bundle.json too. */
export function entry(path: string): URL {
  return pathToFileURL(join(CODE, path));
}
