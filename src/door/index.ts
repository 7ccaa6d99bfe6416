import type { Embedding } from '../domain/embedding.js';
import { FacedError } from '../domain/errors.js';
import type { Clock } from '../lib/clock.js';
import type { AuditEntry, Store } from '../pipeline/ports.js';
import { type AccessPolicy, policyMistakes } from './access.js';
import { SecretBookFile } from './book-file.js';
import { type ClockTrust, KernelClockTrust, TRUSTED_CLOCK } from './clock-trust.js';
import { Door } from './door.js';
import { DoorKeys } from './keys.js';
import type { LockOptions } from './lock.js';
import { DEFAULT_LOCK_STATE, type LockStateRules } from './lock-state.js';
import type { MqttLockPort } from './mqtt-lock.js';
import { openLock } from './open-lock.js';
import { canBeTrusted, DEFAULT_RULES, type DoorRules } from './rules.js';
import type { SureRules } from './sure.js';

export { AuditTrail } from './audit-trail.js';
export { hasValidMac, readCommandKey } from './command-mac.js';
export type { DoorAnswer, DoorEvent, DoorEvents, DoorStatus } from './door-ports.js';
export { FloodedRows } from './flooded-rows.js';
export type { Door };
export { DoorKeys };

/** One door as the configuration has it; what is left out has the careful default of {@link DEFAULT_RULES}. */
export interface DoorOptions extends Partial<Omit<DoorRules, 'id' | 'sure'>> {
  readonly id: string;
  readonly lock: LockOptions;
  readonly sure?: Partial<SureRules>;
  readonly lockState?: Partial<LockStateRules>;
}

export interface DoorsOptions {
  readonly doors: readonly DoorOptions[];
  readonly access: AccessPolicy;
  /** Camera name to source URI: only a camera that is wired to this machine can be trusted with a door. */
  readonly cameras: Readonly<Record<string, string>>;
  readonly stateDir: string;
  /** `kernel` asks whether a time daemon set the clock; `trusted` is for a machine with a clock of its own. */
  readonly clockSource: 'kernel' | 'trusted';
}

/** What doors need of the rooms around them. */
export interface DoorsPorts {
  readonly clock: Clock;
  readonly audit: (entry: AuditEntry) => Promise<void>;
  /** ULIDs. */
  readonly newId: () => string;
  readonly onError: (error: unknown) => void;
  readonly mqtt?: MqttLockPort;
  readonly compare?: (person: string, embedding: Embedding) => Promise<number | null>;
}

/** All doors of a house, with one access policy, one book of secrets and one opinion about the clock. */
export interface Doors {
  readonly doors: readonly Door[];
  readonly secrets: SecretBookFile;
  start(signal: AbortSignal): Promise<void>;
  stop(): Promise<void>;
  /** Holds from the next look on. @throws FacedError `door.policy-invalid`, and then the old one goes on to hold */
  setAccess(access: AccessPolicy): void;
  /**
   * Other rules for the doors that are there and other rights, both at once when the answer is called: nobody is judged
   * by the new rules of a door and the old rights of people. Locks and cameras stay as they are.
   * @throws FacedError `door.policy-invalid`
   */
  prepare(next: { readonly doors: readonly DoorOptions[]; readonly access: AccessPolicy }): () => void;
  /** Whether hours and dates are to be believed now. */
  clockBelieved(): boolean;
  /** Secrets and evidence of somebody who is removed from the gallery. */
  removePerson(person: string): Promise<void>;
}

/** @throws FacedError `door.policy-invalid` with every mistake, each with its path */
export async function openDoors(options: DoorsOptions, ports: DoorsPorts): Promise<Doors> {
  checkAccess(options.access);
  checkDoors(options);
  let { access } = options;
  const secrets = await SecretBookFile.open(options.stateDir);
  const clockTrust: ClockTrust | KernelClockTrust =
    options.clockSource === 'trusted' ? TRUSTED_CLOCK : new KernelClockTrust(ports.clock);
  const doors = await Promise.all(
    options.doors.map(async (one) => {
      const { clock, audit, newId, onError, mqtt, compare } = ports;
      return new Door({
        rules: rulesOf(one),
        lockState: { ...DEFAULT_LOCK_STATE, ...one.lockState },
        lock: await openLock(one.id, one.lock, {
          clock,
          onError,
          stateDir: options.stateDir,
          ...(mqtt === undefined ? {} : { mqtt }),
        }),
        clock,
        clockTrust,
        access: () => access,
        audit,
        newId,
        personOf: secrets.personOf,
        onError,
        ...(compare === undefined ? {} : { compare }),
      });
    }),
  );
  return {
    doors,
    secrets,
    start: async (signal) => {
      if (clockTrust instanceof KernelClockTrust) await clockTrust.start(signal);
      for (const door of doors) await door.start(signal);
    },
    stop: async () => {
      for (const door of [...doors].reverse()) await door.stop();
      if (clockTrust instanceof KernelClockTrust) clockTrust.stop();
    },
    setAccess: (next) => {
      checkAccess(next);
      access = next;
    },
    prepare: (next) => {
      checkAccess(next.access);
      checkDoors({ doors: next.doors, cameras: options.cameras });
      return () => {
        access = next.access;
        for (const one of next.doors) doors.find(({ id }) => id === one.id)?.change(rulesOf(one));
      };
    },
    clockBelieved: () => clockTrust.synchronised(),
    removePerson: async (person) => {
      for (const door of doors) door.personRemoved(person);
      await secrets.removePerson(person);
    },
  };
}

/** The codes, badges and QR texts of a state directory, for whoever has no daemon to ask. */
export async function openKeys(stateDir: string, store: Pick<Store, 'people' | 'audit'>): Promise<DoorKeys> {
  return new DoorKeys(await SecretBookFile.open(stateDir), store);
}

/** The codes, badges and QR texts of one person: which, never the secrets. */
export async function keysOf(stateDir: string, person: string): Promise<{ id: string; method: string }[]> {
  const book = await SecretBookFile.open(stateDir);
  return book.list().flatMap(({ id, person: owner, method }) => (owner === person ? { id, method } : []));
}

/** Takes away the codes, badges and QR texts of whoever is not in the gallery any more, where no doors run. */
export async function forgetKeysOfOthers(stateDir: string, store: Pick<Store, 'people'>): Promise<void> {
  const book = await SecretBookFile.open(stateDir);
  const owners = new Set(book.list().map(({ person }) => person));
  if (owners.size === 0) return;
  const there = new Set((await store.people()).map(({ id }) => id));
  for (const person of owners) if (!there.has(person)) await book.removePerson(person);
}

function rulesOf({ lock: _lock, lockState: _state, sure, ...rules }: DoorOptions): DoorRules {
  return { ...DEFAULT_RULES, ...rules, sure: { ...DEFAULT_RULES.sure, ...sure } };
}

function checkAccess(access: AccessPolicy): void {
  const mistakes = policyMistakes(access);
  if (mistakes.length > 0) throw new FacedError('door.policy-invalid', mistakes.join('\n'));
}

function checkDoors({ doors, cameras }: Pick<DoorsOptions, 'doors' | 'cameras'>): void {
  const wrong: string[] = [];
  const seen = new Set<string>();
  for (const [index, door] of doors.entries()) {
    const path = `doors[${index}]`;
    if (!/^[a-z0-9][a-z0-9_-]{0,31}$/.test(door.id))
      wrong.push(`${path}.id: ${door.id} cannot be used in a topic`);
    if (seen.has(door.id)) wrong.push(`${path}.id: there are two doors ${door.id}`);
    seen.add(door.id);
    for (const camera of door.trustedCameras ?? []) {
      const source = Object.hasOwn(cameras, camera) ? cameras[camera] : undefined;
      if (source === undefined) wrong.push(`${path}.trustedCameras: there is no camera ${camera}`);
      else if (!canBeTrusted(source))
        wrong.push(`${path}.trustedCameras: ${camera} shows files or a demo, and can never open a door`);
    }
    const { lock, pulseMs = DEFAULT_RULES.pulseMs } = door;
    if ('longestMs' in lock && lock.longestMs < pulseMs)
      wrong.push(`${path}.lock.longestMs: ${lock.longestMs} is shorter than the pulse of ${pulseMs}`);
  }
  if (wrong.length > 0) throw new FacedError('door.policy-invalid', wrong.join('\n'));
}
