import { FacedError } from '../domain/errors.js';

/** Every topic of one device. Names are a promise to the outside: see docs/mqtt.md. */
export interface Topics {
  readonly status: string;
  readonly recognition: string;
  readonly attempt: string;
  readonly liveness: string;
  readonly health: string;
  readonly gallery: string;
  readonly snapshot: string;
  readonly enrollSet: string;
  readonly enrollResult: string;
  readonly lockSet: string;
  readonly lockState: string;
  readonly lockResult: string;
  readonly lockEvent: string;
  readonly enrollProgress: string;
  readonly auditHead: string;
  readonly controlSet: string;
  readonly controlResult: string;
  readonly controlState: string;
}

/** The part after `faced/<device>/`. */
export const SUFFIXES: { readonly [Name in keyof Topics]: string } = {
  status: 'status',
  recognition: 'recognition',
  attempt: 'attempt',
  liveness: 'liveness',
  health: 'health',
  gallery: 'gallery',
  snapshot: 'snapshot',
  enrollSet: 'enroll/set',
  enrollResult: 'enroll/result',
  lockSet: 'lock/set',
  lockState: 'lock/state',
  lockResult: 'lock/result',
  lockEvent: 'lock/event',
  enrollProgress: 'enroll/progress',
  auditHead: 'audit/head',
  controlSet: 'control/set',
  controlResult: 'control/result',
  controlState: 'control/state',
};

/** The first level of every topic of every device. */
export const ROOT_LEVEL = 'faced';

const MAX_DEVICE_CHARACTERS = 64;

/**
 * The device's name as one topic level.
 * @throws FacedError `config.invalid` for wildcards, a slash, control characters or a wrong length (MQTT 5, 4.7.1 and 1.5.4).
 */
export function checkDevice(device: string): string {
  const characters = [...device].length;
  const wrong =
    characters < 1 || characters > MAX_DEVICE_CHARACTERS
      ? `must have 1 to ${MAX_DEVICE_CHARACTERS} characters (has ${characters})`
      : /[+#/\p{Cc}\p{Cs}]/u.test(device)
        ? 'must not contain +, #, / or control characters'
        : undefined;
  if (wrong === undefined) return device;
  throw new FacedError('config.invalid', `device ${wrong}`, {
    fix: 'Choose a short name such as "front-door".',
  });
}

export function topicsOf(device: string): Topics {
  const base = `${ROOT_LEVEL}/${checkDevice(device)}/`;
  return Object.fromEntries(
    Object.entries(SUFFIXES).map(([name, suffix]) => [name, base + suffix]),
  ) as unknown as Topics;
}
