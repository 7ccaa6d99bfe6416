import { accessSync, constants, existsSync } from 'node:fs';
import { FacedError } from '../domain/errors.js';

/** Why a device file cannot be a camera now; null when it is there and may be opened. */
export function deviceProblem(path: string): FacedError | null {
  if (!existsSync(path)) {
    return new FacedError('source.no-device', `${path} does not exist`, {
      fix: 'Connect the camera; `faced doctor` says which devices there are.',
    });
  }
  try {
    accessSync(path, constants.R_OK | constants.W_OK);
    return null;
  } catch (cause) {
    return new FacedError('source.no-access', `this user may not open ${path}`, {
      fix: 'Add the user that faced runs as to the group of the device (on Debian: video).',
      cause,
    });
  }
}
