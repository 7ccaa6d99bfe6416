import { FacedError } from '../domain/errors.js';
import type { Clock } from '../lib/clock.js';
import { LOCK_DRIVERS, type Lock, type LockOptions } from './lock.js';
import type { MqttLockPort } from './mqtt-lock.js';

export interface LockDeps {
  readonly clock: Clock;
  readonly onError: (error: unknown) => void;
  /** Needed by the driver `mqtt`. */
  readonly mqtt?: MqttLockPort;
  /** Folder for the file by which holders of a wire take over from each other. */
  readonly stateDir: string;
}

/** The lock of one door; only the driver that was chosen is loaded. */
export async function openLock(door: string, options: LockOptions, deps: LockDeps): Promise<Lock> {
  switch (options.driver) {
    case 'gpio':
    case 'recorder': {
      const { HolderLock } = await import('./holder.js');
      const { clock, onError, stateDir } = deps;
      return new HolderLock(options, { clock, onError, owner: `${stateDir}/lock-${door}.pid` });
    }
    case 'mqtt': {
      if (deps.mqtt === undefined)
        throw new FacedError('internal', 'a lock over MQTT needs the broker’s port');
      const { MqttLock } = await import('./mqtt-lock.js');
      return new MqttLock(options, { port: deps.mqtt, clock: deps.clock, onError: deps.onError });
    }
    default: {
      const { driver } = options satisfies never as { driver: unknown };
      throw new FacedError('config.invalid', `there is no lock driver ${String(driver)}`, {
        fix: `choose one of ${LOCK_DRIVERS.join(', ')}`,
      });
    }
  }
}
