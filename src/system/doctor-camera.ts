import { accessSync, constants, existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { Check } from '../domain/check.js';

/** What can be said of each camera without opening it (the daemon may have it). */
export function cameraChecks(
  cameras: readonly { readonly name: string; readonly source: string }[],
  root: string,
): Check[] {
  if (cameras.length === 0) return [firstDevice(root)];
  return cameras.map((camera) => cameraCheck(camera, root));
}

function firstDevice(root: string): Check {
  const devices = videoDevices(root);
  const [first] = devices;
  if (first === undefined)
    return {
      name: 'camera',
      ok: false,
      detail: 'none is configured and this machine has no /dev/video device that is a camera',
      fix: 'Connect a camera, or name one under cameras in faced.yaml: csi:0 for one on the ribbon cable (docs/configuration.md).',
    };
  return deviceCheck('camera', first, root);
}

function cameraCheck({ name, source }: { name: string; source: string }, root: string): Check {
  const title = `camera ${name}`;
  const [scheme = '', rest = ''] = split(source);
  if (scheme === 'v4l2') return deviceCheck(title, rest.split('?')[0] ?? '', root);
  if (scheme === 'file' || scheme === 'images') return pathCheck(title, rest.split('?')[0] ?? '');
  // The address may hold a password, so only its kind is said.
  return { name: title, ok: true, detail: `${scheme} source; faced run says whether it delivers` };
}

function split(source: string): [string, string] {
  const colon = source.indexOf(':');
  return colon === -1 ? [source, ''] : [source.slice(0, colon), source.slice(colon + 1)];
}

function deviceCheck(name: string, device: string, root: string): Check {
  const path = join(root, device);
  if (!existsSync(path)) {
    const others = videoDevices(root);
    const there = others.length === 0 ? 'there is none' : `there are ${others.join(', ')}`;
    return {
      name,
      ok: false,
      detail: `${device} does not exist; ${there}`,
      fix: 'Connect the camera, or name the right device.',
    };
  }
  try {
    accessSync(path, constants.R_OK | constants.W_OK);
    return { name, ok: true, detail: device };
  } catch {
    const { gid } = statSync(path);
    return {
      name,
      ok: false,
      detail: `${device} may not be opened by this user (its group is ${gid})`,
      fix: 'Join the group: sudo usermod -aG video $USER, then log in again.',
    };
  }
}

function pathCheck(name: string, path: string): Check {
  return existsSync(path)
    ? { name, ok: true, detail: path }
    : { name, ok: false, detail: `${path} does not exist`, fix: 'Name a file or folder that is there.' };
}

/**
 * Devices of a Raspberry Pi that are no cameras: its codecs and scalers, and the raw sensor of a ribbon camera, whose
 * pictures libcamera makes (`csi:0`). By the names that the kernel's drivers give them.
 */
const NO_CAMERA = /^(bcm2835-(codec|isp)|rpivid|rpi-hevc-dec|pispbe|rp1-cfe|unicam)/;

/** `/dev/video*` that may be cameras, lowest number first. */
export function videoDevices(root = '/'): string[] {
  const folder = join(root, 'dev');
  if (!existsSync(folder)) return [];
  return readdirSync(folder)
    .filter((file) => /^video\d+$/.test(file) && !NO_CAMERA.test(driverName(file, root)))
    .sort((a, b) => Number(a.slice(5)) - Number(b.slice(5)))
    .map((file) => `/dev/${file}`);
}

function driverName(file: string, root: string): string {
  try {
    return readFileSync(join(root, 'sys/class/video4linux', file, 'name'), 'utf8');
  } catch {
    return '';
  }
}
