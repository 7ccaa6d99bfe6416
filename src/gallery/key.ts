import { randomBytes } from 'node:crypto';
import { closeSync, fstatSync, openSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { FacedError } from '../domain/errors.js';
import { writeFileAtomic } from '../lib/atomic-file.js';

export interface KeyOptions {
  readonly directory: string;
  /** A key file elsewhere, such as on a removable stick. */
  readonly keyFile?: string | undefined;
  /** systemd's `$CREDENTIALS_DIRECTORY`; a file `faced.key` in it is preferred over all others. */
  readonly credentialsDirectory?: string | undefined;
}

export interface KeySource {
  readonly kind: 'credential' | 'file' | 'state';
  readonly path: string;
}

/** The others may not touch the file in any way; the group may read a file that somebody else provides. */
const FORBIDDEN = { credential: 0o037, file: 0o037, state: 0o077 } as const;

/** Where the key is looked for: systemd's credential, the configured file, else `gallery.key` in the state directory. */
export function keySource(options: KeyOptions): KeySource {
  const credential =
    options.credentialsDirectory === undefined ? undefined : join(options.credentialsDirectory, 'faced.key');
  if (credential !== undefined && exists(credential)) return { kind: 'credential', path: credential };
  if (options.keyFile !== undefined) return { kind: 'file', path: options.keyFile };
  return { kind: 'state', path: join(options.directory, 'gallery.key') };
}

/**
 * The 32 bytes of the master key: a file of 32 raw bytes or 64 hexadecimal digits. The file in the state directory
 * is made when it is missing and `mayCreate` holds: never for a gallery that was sealed with another key already.
 */
export async function loadKey(source: KeySource, mayCreate: boolean): Promise<Buffer> {
  if (source.kind === 'state' && mayCreate && !exists(source.path))
    await writeFileAtomic(source.path, `${randomBytes(32).toString('hex')}\n`, 0o600);
  return parseKey(readKey(source), source.path);
}

function readKey(source: KeySource): Buffer {
  let file: number;
  try {
    file = openSync(source.path, 'r');
  } catch (cause) {
    const reason = cause instanceof Error && 'code' in cause ? String(cause.code) : 'unreadable';
    throw unusable(`The key file ${source.path} cannot be read (${reason}).`, {
      fix: 'Put the key that this gallery was made with back in its place, or let the service user read it.',
      cause,
    });
  }
  try {
    const mode = fstatSync(file).mode & 0o777;
    if ((mode & FORBIDDEN[source.kind]) !== 0)
      throw unusable(`The key file ${source.path} is open to others (mode ${mode.toString(8)}).`, {
        fix: `Run: chmod ${source.kind === 'state' ? '600' : '640'} ${source.path}`,
      });
    return readFileSync(file);
  } finally {
    closeSync(file);
  }
}

function parseKey(bytes: Buffer, path: string): Buffer {
  if (bytes.length === 32) return bytes;
  const text = bytes.length <= 80 ? bytes.toString('latin1').trim() : '';
  if (/^[0-9a-f]{64}$/i.test(text)) return Buffer.from(text, 'hex');
  throw unusable(`The key file ${path} holds no key.`, {
    fix: 'It must be 32 raw bytes or 64 hexadecimal digits, as `openssl rand -hex 32` prints them.',
  });
}

function unusable(message: string, options: { fix: string; cause?: unknown }): FacedError {
  return new FacedError('gallery.key-unusable', message, options);
}

function exists(path: string): boolean {
  try {
    closeSync(openSync(path, 'r'));
    return true;
  } catch (error) {
    // A file that is there and cannot be opened must be complained about, not replaced.
    return !(error instanceof Error && 'code' in error && error.code === 'ENOENT');
  }
}
