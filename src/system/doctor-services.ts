import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { stat } from 'node:fs/promises';
import { createConnection } from 'node:net';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { Check } from '../domain/check.js';
import type { KeyFinding, KeyKind } from './doctor.js';
import { octal } from './doctor-machine.js';

const BROKER_TIMEOUT_MS = 5000;
/** A clock before the first line of this project is not right, whoever says so. */
const PROJECT_BEGAN = Date.UTC(2026, 10, 1);

/** Whether something listens at the broker's address; it is not logged in to. */
export async function brokerCheck(url: string | null, timeoutMs = BROKER_TIMEOUT_MS): Promise<Check> {
  const name = 'broker';
  if (url === null) return { name, ok: true, detail: 'built in' };
  const { protocol, hostname, port } = new URL(url);
  const host = hostname.replace(/^\[|\]$/g, '');
  const number = Number(port) || (protocol === 'mqtts:' ? 8883 : 1883);
  const place = `${protocol}//${hostname}:${number}`;
  const reason = await reach({ host, port: number, timeoutMs });
  return reason === null
    ? { name, ok: true, detail: `${place} answers` }
    : {
        name,
        ok: false,
        detail: `${place} cannot be reached (${reason})`,
        fix: 'Check mqtt.url, that the broker runs, and the network between. Events wait in the outbox meanwhile.',
      };
}

function reach(to: { host: string; port: number; timeoutMs: number }): Promise<string | null> {
  return new Promise((resolve) => {
    const socket = createConnection({ host: to.host, port: to.port });
    const finish = (reason: string | null) => {
      socket.destroy();
      resolve(reason);
    };
    socket.setTimeout(to.timeoutMs, () => finish(`no answer in ${to.timeoutMs / 1000} s`));
    socket.once('connect', () => finish(null));
    socket.once('error', (error: NodeJS.ErrnoException) => finish(error.code ?? error.message));
  });
}

/** Answers timedatectl's NTPSynchronized: true, false, or null when it cannot be asked. */
export type AskClock = () => Promise<boolean | null>;

const run = promisify(execFile);

async function askTimedatectl(): Promise<boolean | null> {
  try {
    const { stdout } = await run('timedatectl', ['show', '-p', 'NTPSynchronized', '--value'], {
      timeout: 5000,
    });
    return stdout.trim() === '' ? null : stdout.trim() === 'yes';
  } catch {
    return null;
  }
}

/** Commands carry a time of expiry, so a wrong clock refuses good ones. */
export async function clockCheck(
  root: string,
  { now = Date.now(), ask = askTimedatectl }: { now?: number; ask?: AskClock } = {},
): Promise<Check> {
  const name = 'clock';
  const time = new Date(now).toISOString();
  if (now < PROJECT_BEGAN)
    return {
      name,
      ok: false,
      detail: `the clock says ${time}`,
      fix: 'Set the clock: sudo timedatectl set-ntp true',
    };
  // Asked first: the file stays when the synchronisation is lost later.
  const synchronised = (await ask()) ?? (existsSync(join(root, 'run/systemd/timesync/synchronized')) || null);
  if (synchronised === null)
    return { name, ok: true, detail: `${time}; whether it is synchronised cannot be found out here` };
  return synchronised
    ? { name, ok: true, detail: `${time}, synchronised` }
    : {
        name,
        ok: false,
        detail: `${time}, not synchronised`,
        fix: 'sudo timedatectl set-ntp true; a board without a battery clock also needs the network at start.',
      };
}

const PROTECTS: Readonly<Record<KeyKind, string>> = {
  credential:
    'from systemd’s credentials: protects backups and a copied card; a stolen machine only if the credential is encrypted to its TPM',
  file: 'from a key file: protects backups, and a stolen machine while the medium with the file is not in it',
  state: 'in the state directory: a key on the same card protects backups, not against theft',
};

/** Who else may not touch the key: a file that somebody else provides may be read by the service's group. */
const FORBIDDEN: Readonly<Record<KeyKind, number>> = { credential: 0o037, file: 0o037, state: 0o077 };

export async function keyCheck({ kind, path }: KeyFinding): Promise<Check> {
  const name = 'key';
  const found = await stat(path).catch(() => null);
  if (found === null && kind === 'state')
    return { name, ok: true, detail: `${PROTECTS[kind]} (made at the first start)` };
  if (found === null)
    return {
      name,
      ok: false,
      detail: `${path} is not there`,
      fix: 'Insert the medium with the key, or correct gallery.keyFile. Without its key the gallery stays closed.',
    };
  if ((found.mode & FORBIDDEN[kind]) !== 0)
    return {
      name,
      ok: false,
      detail: `${path} is open to others (mode ${octal(found.mode)})`,
      fix: `chmod ${kind === 'state' ? '600' : '640'} ${path}`,
    };
  return { name, ok: true, detail: PROTECTS[kind] };
}
