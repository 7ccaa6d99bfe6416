import { createWriteStream } from 'node:fs';
import { join } from 'node:path';
import { Readable, Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';

/** npm's public registry; FACED_NPM_REGISTRY names a mirror. What comes from either is checked by hash. */
const REGISTRY = 'https://registry.npmjs.org';
const MOST_BYTES = 512 << 20;
const PATIENCE_MS = 10 * 60_000;

/** Downloads the tarball of `name@version` over HTTPS: a package of faced brings no npm. Answers its path in `folder`. */
export async function downloadTarball(wanted: {
  readonly package: string;
  readonly folder: string;
  readonly env: NodeJS.ProcessEnv;
  readonly signal?: AbortSignal;
}): Promise<string> {
  const url = tarballUrl(wanted.package, wanted.env.FACED_NPM_REGISTRY);
  const patience = AbortSignal.timeout(PATIENCE_MS);
  const signal = wanted.signal === undefined ? patience : AbortSignal.any([wanted.signal, patience]);
  const response = await fetch(url, { signal });
  if (!response.ok || response.body === null) throw new Error(`${url.host} answered ${response.status}`);
  const path = join(wanted.folder, 'package.tgz');
  let bytes = 0;
  const limit = new Transform({
    transform(chunk: Buffer, _encoding, done) {
      bytes += chunk.length;
      done(bytes > MOST_BYTES ? new Error(`it has more than ${MOST_BYTES} bytes`) : null, chunk);
    },
  });
  await pipeline(Readable.fromWeb(response.body), limit, createWriteStream(path), { signal });
  return path;
}

/** `@scope/name@1.2.3` lies at `/@scope/name/-/name-1.2.3.tgz`. */
export function tarballUrl(wanted: string, registry = REGISTRY): URL {
  const at = wanted.lastIndexOf('@');
  const name = wanted.slice(0, at);
  const file = `${name.split('/').at(-1)}-${wanted.slice(at + 1)}.tgz`;
  return new URL(`${registry.replace(/\/$/, '')}/${name}/-/${file}`);
}
