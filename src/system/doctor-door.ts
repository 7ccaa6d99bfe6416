import { constants, existsSync, readFileSync } from 'node:fs';
import { access, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Check } from '../domain/check.js';

/** One configured door, as far as this machine can be checked for it. */
export interface DoorFinding {
  readonly id: string;
  readonly driver: 'gpio' | 'mqtt' | 'recorder';
  readonly chip: string;
  /** Whether a face, a code or a command can open it at all. */
  readonly waysIn: number;
  /** Whether anything that lets people through depends on an hour or a date. */
  readonly needsClock: boolean;
}

export interface DoorOptions {
  readonly doors: readonly DoorFinding[];
  /** The program that holds a lock's line. */
  readonly holder: string;
  /** What the kernel says of the clock; null when it cannot be asked. */
  readonly clockSynchronised: () => Promise<boolean | null>;
  /** Doors that ask for signs of life which the configured detector cannot show: it gives five points and not 68. */
  readonly neverLive?: () => Promise<readonly string[]>;
}

/** Nothing without doors. */
export async function doorChecks(options: DoorOptions, root: string): Promise<Check[]> {
  const { doors } = options;
  if (doors.length === 0) return [];
  const wired = doors.filter(({ driver }) => driver === 'gpio');
  return [
    ...(doors.some(({ driver }) => driver !== 'mqtt') ? [await holderCheck(options.holder)] : []),
    ...(await Promise.all([...new Set(wired.map(({ chip }) => chip))].map((chip) => chipCheck(chip, root)))),
    ...(wired.length > 0 ? strictCheck(root) : []),
    ...doors.map(waysCheck),
    ...neverLiveChecks((await options.neverLive?.()) ?? []),
    ...(doors.some(({ needsClock }) => needsClock) ? [await clockOfDoors(options)] : []),
  ];
}

/** The daemon is right to let nobody in; that it never will has to be said. */
function neverLiveChecks(doors: readonly string[]): Check[] {
  return doors.map((id) => ({
    name: 'door',
    ok: false,
    detail: `${id} asks for signs of life, and the detector gives five points of a face, not 68: nobody is ever alive`,
    fix: 'Set models.detector: ultraface, or ask for sure.liveness: passive and a second factor',
  }));
}

async function holderCheck(holder: string): Promise<Check> {
  const name = 'lock';
  const runnable = await access(holder, constants.X_OK).then(
    () => true,
    () => false,
  );
  return runnable
    ? { name, ok: true, detail: 'the lock’s holder is built' }
    : { name, ok: false, detail: `${holder} is not there`, fix: 'Build it: make -C native/lock' };
}

async function chipCheck(chip: string, root: string): Promise<Check> {
  const name = 'gpio';
  const path = join(root, chip);
  const found = await stat(path).catch(() => null);
  if (found === null)
    return {
      name,
      ok: false,
      detail: `${chip} is not there`,
      fix: 'gpiodetect lists the chips of this machine.',
    };
  const usable = await access(path, constants.R_OK | constants.W_OK).then(
    () => true,
    () => false,
  );
  return usable
    ? { name, ok: true, detail: `${chip} can be used` }
    : {
        name,
        ok: false,
        detail: `${chip} may not be used by this user`,
        fix: 'sudo adduser USER gpio; for the service use systemd/raspberrypi.conf',
      };
}

/** The kernel of Raspberry Pi OS leaves a line as it was when its holder is gone, unless it is told not to. */
function strictCheck(root: string): Check[] {
  const model = readText(join(root, 'proc/device-tree/model'));
  if (!/Raspberry Pi/.test(model)) return [];
  const name = 'gpio';
  const persists = readText(join(root, 'sys/module/pinctrl_bcm2835/parameters/persist_gpio_outputs')).trim();
  const asked = /pinctrl_bcm2835\.persist_gpio_outputs=(n|N|0)\b/.test(readText(join(root, 'proc/cmdline')));
  if (persists === 'N' || (persists === '' && asked))
    return [{ name, ok: true, detail: 'a released line goes back to rest (strict_gpiod)' }];
  return [
    {
      name,
      ok: false,
      detail:
        persists === ''
          ? 'whether a released line goes back to rest cannot be found out'
          : 'a line that nobody holds any more stays driven',
      fix: 'Write dtparam=strict_gpiod into /boot/firmware/config.txt and restart; deploy/setup.sh does it. A relay with a timer of its own is better still.',
    },
  ];
}

function waysCheck({ id, driver, waysIn }: DoorFinding): Check {
  const name = 'door';
  const detail = `${id} (${driver})`;
  if (waysIn > 0) return { name, ok: true, detail };
  return {
    name,
    ok: false,
    detail: `${detail} can be opened by nobody`,
    fix: 'Name cameras, codes or remoteUnlock for it, and a rule in access.',
  };
}

async function clockOfDoors({ clockSynchronised }: DoorOptions): Promise<Check> {
  const name = 'door';
  const synchronised = await clockSynchronised().catch(() => null);
  if (synchronised === true)
    return { name, ok: true, detail: 'the clock is synchronised, so hours and dates hold' };
  return {
    name,
    ok: false,
    detail:
      synchronised === null
        ? 'the kernel cannot be asked about the clock, so no rule with an hour or a date opens anything'
        : 'the clock is not synchronised, so no rule with an hour or a date opens anything',
    fix: 'sudo timedatectl set-ntp true; or access.clock: trusted where the machine has a clock of its own.',
  };
}

function readText(path: string): string {
  return existsSync(path) ? readFileSync(path, 'utf8') : '';
}
