import { createWriteStream } from 'node:fs';
import { join } from 'node:path';
import { Readable, Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';

const MOST_BYTES = 512 << 20;
/** A line may be slow, but not silent. */
const SILENCE_MS = 60_000;

/**
 * Downloads the tarball of `name@version` over HTTPS from the registry that FACED_NPM_REGISTRY names: a package of faced
 * brings no npm, which would know one. What comes is checked by hash. `onProgress` is called with each piece; without one
 * for a minute it rejects. Answers its path in `folder`.
 */
export async function downloadTarball(wanted: {
  readonly package: string;
  readonly folder: string;
  readonly env: NodeJS.ProcessEnv;
  readonly signal?: AbortSignal;
  readonly onProgress?: () => void;
  readonly silenceMs?: number;
}): Promise<string> {
  const registry = wanted.env.FACED_NPM_REGISTRY;
  if (!registry) throw new Error('there is no npm, and FACED_NPM_REGISTRY names no registry');
  const url = tarballUrl(wanted.package, registry);
  const silenceMs = wanted.silenceMs ?? SILENCE_MS;
  const silent = new AbortController();
  const silence = setTimeout(
    () => silent.abort(new Error(`${url.host} sent nothing for ${silenceMs / 1000} s`)),
    silenceMs,
  );
  const signals = wanted.signal === undefined ? [silent.signal] : [wanted.signal, silent.signal];
  try {
    const path = join(wanted.folder, 'package.tgz');
    await download(url, path, {
      signal: AbortSignal.any(signals),
      onPiece: () => {
        silence.refresh();
        wanted.onProgress?.();
      },
    });
    return path;
  } finally {
    clearTimeout(silence);
  }
}

async function download(
  url: URL,
  path: string,
  { signal, onPiece }: { signal: AbortSignal; onPiece: () => void },
): Promise<void> {
  const response = await fetch(url, { signal });
  if (!response.ok || response.body === null) throw new Error(`${url.host} answered ${response.status}`);
  let bytes = 0;
  const limit = new Transform({
    transform(chunk: Buffer, _encoding, done) {
      bytes += chunk.length;
      onPiece();
      done(bytes > MOST_BYTES ? new Error(`it has more than ${MOST_BYTES} bytes`) : null, chunk);
    },
  });
  await pipeline(Readable.fromWeb(response.body), limit, createWriteStream(path), { signal });
}

/** `@scope/name@1.2.3` lies at `/@scope/name/-/name-1.2.3.tgz`. */
export function tarballUrl(wanted: string, registry: string): URL {
  const at = wanted.lastIndexOf('@');
  const name = wanted.slice(0, at);
  const file = `${name.split('/').at(-1)}-${wanted.slice(at + 1)}.tgz`;
  return new URL(`${registry.replace(/\/$/, '')}/${name}/-/${file}`);
}
