import { accessSync, constants } from 'node:fs';
import Database from 'better-sqlite3';
import { FacedError } from '../domain/errors.js';

const FIXES = {
  'gallery.disk-full': 'Free some space on the disk that holds the state directory; faced goes on by itself.',
  'gallery.read-only':
    'Make the state directory writable for the user that faced runs as; a card that turned read-only is failing.',
  'gallery.corrupt': 'Restore a backup of the state directory, or move the database away to begin anew.',
  'gallery.locked': 'Close the other program that has the database open.',
  'gallery.io': 'Look at the kernel log (dmesg): the disk or card is failing. Make a backup now.',
  'gallery.closed': 'Start faced again.',
  'gallery.not-found': 'Make the state directory, or set FACED_STATE_DIR.',
  'gallery.failed': 'Please report it with the log around it.',
} as const;

type MappedCode = keyof typeof FIXES;

/** What SQLite or the file system threw, as an error for people. `directory`: where the database is. */
export function galleryError(thrown: unknown, directory: string): FacedError {
  if (thrown instanceof FacedError) return thrown;
  const code = codeOf(thrown, directory);
  if (code === undefined) return FacedError.from(thrown);
  const message = thrown instanceof Error ? thrown.message : String(thrown);
  const name = errorName(thrown);
  return new FacedError(code, `${message}${name === '' ? '' : ` (${name})`}; nothing was changed.`, {
    fix: FIXES[code],
    cause: thrown,
  });
}

function errorName(thrown: unknown): string {
  return thrown instanceof Error && 'code' in thrown && typeof thrown.code === 'string' ? thrown.code : '';
}

function codeOf(thrown: unknown, directory: string): MappedCode | undefined {
  const name = errorName(thrown);
  // SHMSIZE: the shared memory of the log could not be made longer, which is posix_fallocate saying ENOSPC.
  if (/^SQLITE_FULL|^SQLITE_IOERR_SHMSIZE|^ENOSPC|^EDQUOT/.test(name)) return 'gallery.disk-full';
  if (/^SQLITE_READONLY|^SQLITE_PERM|^EROFS|^EACCES|^EPERM/.test(name)) return 'gallery.read-only';
  if (/^SQLITE_(BUSY|LOCKED)/.test(name)) return 'gallery.locked';
  if (/^SQLITE_(CORRUPT|NOTADB)/.test(name)) return 'gallery.corrupt';
  if (/^SQLITE_(IOERR|CANTOPEN)|^EIO/.test(name)) return diskState(directory);
  if (/^ENOENT|^ENOTDIR/.test(name)) return 'gallery.not-found';
  if (thrown instanceof TypeError && /database connection is not open/.test(thrown.message))
    return 'gallery.closed';
  return thrown instanceof Database.SqliteError ? 'gallery.failed' : undefined;
}

/** SQLite says the same for a failing card and for one that the kernel has made read-only. */
function diskState(directory: string): MappedCode {
  try {
    accessSync(directory, constants.W_OK);
    return 'gallery.io';
  } catch (error) {
    return errorName(error) === 'ENOENT' ? 'gallery.not-found' : 'gallery.read-only';
  }
}
