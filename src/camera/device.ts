import { accessSync, constants, existsSync, readFileSync, statSync } from 'node:fs';
import { FacedError } from '../domain/errors.js';

/** Why a device file cannot be a camera now; null when it is there and may be opened. */
export function deviceProblem(path: string): FacedError | null {
  if (!existsSync(path)) {
    return new FacedError('source.no-device', `${path} does not exist`, {
      fix: 'Connect the camera; `faced doctor` says which devices there are.',
    });
  }
  return accessProblem(path);
}

/** Why the sender that a pipeline names (`shmsrc socket-path=…`) cannot be read now; null when nothing is known against it. */
export function senderProblem(pipeline: string): FacedError | null {
  const path = /\bshmsrc\b[^!]*\bsocket-path=("?)([^\s"!]+)\1/.exec(pipeline)?.[2];
  if (path === undefined) return null;
  if (!existsSync(path)) {
    return new FacedError('source.no-device', `no sender has opened ${path}`, {
      fix: 'Start the sender with the size that the source names: on the host of a Jetson, systemctl status faced-csi.',
    });
  }
  return accessProblem(path);
}

function accessProblem(path: string): FacedError | null {
  try {
    accessSync(path, constants.R_OK | constants.W_OK);
    return null;
  } catch (cause) {
    const found = statSync(path, { throwIfNoEntry: false });
    // It has gone meanwhile.
    if (found === undefined) return null;
    const group = groupName(found.gid);
    return new FacedError(
      'source.no-access',
      `this user may not open ${path}, which is the group ${group}'s`,
      {
        fix: `Let the user that faced runs as into that group: sudo usermod -aG ${group} USER, or SupplementaryGroups=${group} in the service.`,
        cause,
      },
    );
  }
}

/** Node.js knows users by name, not groups: group(5). */
function groupName(gid: number): string {
  const lines = existsSync('/etc/group') ? readFileSync('/etc/group', 'utf8').split('\n') : [];
  return lines.find((line) => line.split(':')[2] === String(gid))?.split(':')[0] ?? String(gid);
}
