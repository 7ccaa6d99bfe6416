import { statfs } from 'node:fs/promises';
import { thermalZones } from './heat.js';
import { freeMemory, memoryFigures, usableMemory } from './memory.js';

/** How the machine is. null where the kernel does not say. */
export interface MachineState {
  /** The hottest of its thermal zones, degrees Celsius. */
  readonly temperatureC: number | null;
  /** Of the disk with the state directory, bytes. */
  readonly diskFree: number | null;
  readonly diskTotal: number | null;
  /** What can be taken without swapping, and what there is, bytes; a limit of the control group counts. */
  readonly memoryFree: number | null;
  readonly memoryTotal: number | null;
}

export interface MachineProblem {
  readonly code: 'system.hot' | 'system.disk-low';
  readonly message: string;
}

/** A Pi 4 slows itself down from 80 °C on. */
const HOT_C = 80;
const COOL_C = 75;
const LOW_DISK = 200 * 1024 ** 2;
const ENOUGH_DISK = 300 * 1024 ** 2;

/** @param root where /proc and /sys are, for tests */
export async function machineState(stateDir: string, root = '/'): Promise<MachineState> {
  const disk = await statfs(stateDir).catch(() => null);
  const memory = memoryFigures(root);
  return {
    temperatureC: temperature(root),
    diskFree: disk === null ? null : disk.bavail * disk.bsize,
    diskTotal: disk === null ? null : disk.blocks * disk.bsize,
    memoryFree: freeMemory(memory),
    memoryTotal: usableMemory(memory),
  };
}

/** What is wrong; `before` are the codes that were wrong at the last look, so that nothing flickers at its limit. */
export function machineProblems(state: MachineState, before: ReadonlySet<string>): MachineProblem[] {
  const { temperatureC, diskFree } = state;
  const problems: MachineProblem[] = [];
  const hotFrom = before.has('system.hot') ? COOL_C : HOT_C;
  if (temperatureC !== null && temperatureC >= hotFrom)
    problems.push({ code: 'system.hot', message: `the machine has ${Math.round(temperatureC)} °C` });
  const lowBelow = before.has('system.disk-low') ? ENOUGH_DISK : LOW_DISK;
  if (diskFree !== null && diskFree < lowBelow)
    problems.push({
      code: 'system.disk-low',
      message: `${Math.round(diskFree / 1024 ** 2)} MB are free on the disk`,
    });
  return problems;
}

function temperature(root: string): number | null {
  const degrees = thermalZones(root).map(({ temperatureC }) => temperatureC);
  return degrees.length === 0 ? null : Math.max(...degrees);
}
