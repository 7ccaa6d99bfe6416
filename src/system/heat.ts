import { execFile } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { join } from 'node:path';
import type { HeatReading } from '../pipeline/heat-governor.js';

export interface ThermalZone {
  /** `cpu-thermal`, `GPU-therm`. */
  readonly type: string;
  /** Degrees Celsius. */
  readonly temperatureC: number;
  /** From where on the kernel slows the machine down by this zone (a passive trip point); null: it does not say. */
  readonly limitC: number | null;
}

/** Flags of the Raspberry Pi's firmware (`vcgencmd get_throttled`): what holds now is in bits 0 to 3. */
export interface PiFlags {
  readonly underVoltage: boolean;
  /** Frequency capped, throttled, or at the soft limit of temperature. */
  readonly throttled: boolean;
}

/** Silicon that says more has failed long before; a sensor that is not there says 0 or less. */
const BELIEVED_C = [0, 125] as const;
/** A limit outside of this is one that the kernel never acts on. */
const LIMITS_C = [50, 110] as const;
/** Stands at 100 °C always: a Jetson's power controller has no sensor there. */
const NO_SENSOR = /^PMIC-Die$/i;
/** What slows processors and GPUs down. A fan is none. */
const SLOWS = /cpufreq|devfreq|balanced|^processor$/i;

/** @param root where /sys is, for tests */
export function thermalZones(root = '/'): ThermalZone[] {
  const folder = join(root, 'sys/class/thermal');
  return names(folder)
    .filter((name) => name.startsWith('thermal_zone'))
    .flatMap((name) => {
      const zone = join(folder, name);
      const type = text(join(zone, 'type')) ?? name;
      const temperatureC = degrees(join(zone, 'temp'));
      if (temperatureC === null || NO_SENSOR.test(type)) return [];
      if (temperatureC <= BELIEVED_C[0] || temperatureC > BELIEVED_C[1]) return [];
      return [{ type, temperatureC, limitC: passiveLimit(zone) }];
    });
}

/** Everything the governor goes by. Never throws: what cannot be read is null. */
export async function readHeat(root = '/'): Promise<HeatReading> {
  const zones = thermalZones(root);
  // The zone that is nearest to its own limit is the one that matters.
  const [nearest] = [...zones].sort((a, b) => room(a) - room(b));
  const flags = await piFlags(root);
  const slowed = coolingSlows(root);
  return {
    temperatureC: nearest?.temperatureC ?? null,
    limitC: nearest?.limitC ?? null,
    throttled: flags === null ? slowed : flags.throttled || slowed === true,
    underVoltage: flags?.underVoltage ?? null,
    load: loadOf(root),
  };
}

/** `throttled=0x50005`, or the number alone as the kernel's driver has it. */
export function parseThrottled(said: string): PiFlags | null {
  const found = /^(?:throttled=)?(?:0x)?([0-9a-f]{1,8})\s*$/i.exec(said.trim());
  if (found?.[1] === undefined) return null;
  const bits = Number.parseInt(found[1], 16);
  return { underVoltage: (bits & 0b1) !== 0, throttled: (bits & 0b1110) !== 0 };
}

function piFlags(root: string): Promise<PiFlags | null> {
  const file = text(join(root, 'sys/devices/platform/soc/soc:firmware/get_throttled'));
  if (file !== null) return Promise.resolve(parseThrottled(file));
  const compatible = text(join(root, 'proc/device-tree/compatible')) ?? '';
  // The machine's own command says nothing of another root.
  if (root !== '/' || !compatible.includes('brcm,')) return Promise.resolve(null);
  return new Promise((resolve) => {
    execFile('vcgencmd', ['get_throttled'], { timeout: 2000 }, (error, stdout) =>
      resolve(error === null ? parseThrottled(stdout) : null),
    );
  });
}

/** Whether a cooling device holds a processor or GPU back now; null when there is none. */
function coolingSlows(root: string): boolean | null {
  const folder = join(root, 'sys/class/thermal');
  const states = names(folder)
    .filter((name) => name.startsWith('cooling_device') && SLOWS.test(text(join(folder, name, 'type')) ?? ''))
    .flatMap((name) => {
      const [now, most] = ['cur_state', 'max_state'].map((part) => text(join(folder, name, part)));
      return /^\d+$/.test(now ?? '') && /^\d+$/.test(most ?? '')
        ? [[Number(now), Number(most)] as const]
        : [];
    });
  if (states.length === 0) return null;
  return states.some(([now, most]) => now > 0 && now <= most);
}

function passiveLimit(zone: string): number | null {
  const limits = names(zone).flatMap((name) => {
    const point = /^trip_point_(\d+)_type$/.exec(name)?.[1];
    if (point === undefined || text(join(zone, name)) !== 'passive') return [];
    const limit = degrees(join(zone, `trip_point_${point}_temp`));
    return limit !== null && limit >= LIMITS_C[0] && limit <= LIMITS_C[1] ? [limit] : [];
  });
  return limits.length === 0 ? null : Math.min(...limits);
}

function room({ temperatureC, limitC }: ThermalZone): number {
  return (limitC ?? 80) - temperatureC;
}

function loadOf(root: string): number | null {
  const first = Number(text(join(root, 'proc/loadavg'))?.split(' ')[0] ?? Number.NaN);
  return Number.isFinite(first) && first >= 0 ? first / Math.max(1, cpus().length) : null;
}

/** The kernel's millidegrees. */
function degrees(path: string): number | null {
  const value = text(path);
  return value !== null && /^-?\d+$/.test(value) ? Number(value) / 1000 : null;
}

function names(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}

function text(path: string): string | null {
  try {
    return readFileSync(path, 'utf8').trim();
  } catch {
    return null;
  }
}
