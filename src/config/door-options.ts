import type { AccessPolicy } from '../door/access.js';
import type { Weekday } from '../door/calendar.js';
import type { DoorOptions } from '../door/index.js';
import type { LockOptions } from '../door/lock.js';
import { isTrustedByDefault } from '../door/rules.js';
import type { CameraConfig, Config, ConfigFile, DoorConfig } from './schema.js';

type AccessConfig = ConfigFile['access'];

const WEEKDAYS: Readonly<Record<string, Weekday>> = {
  mon: 1,
  tue: 2,
  wed: 3,
  thu: 4,
  fri: 5,
  sat: 6,
  sun: 7,
};

/** Whether faces in this camera may open a door. */
export function isTrusted({ trusted, source }: Pick<CameraConfig, 'trusted' | 'source'>): boolean {
  return trusted === null ? isTrustedByDefault(source) : trusted === 'door';
}

/** @param idOf the id of a person who is written as an id or a name; undefined for somebody who is not there (yet), who then gets nothing */
export function accessPolicyOf(
  access: AccessConfig,
  idOf: (person: string) => string | undefined,
): AccessPolicy {
  const ids = (people: readonly string[] = []) => people.flatMap((person) => idOf(person) ?? []);
  return {
    zone: access.zone ?? Intl.DateTimeFormat().resolvedOptions().timeZone,
    groups: Object.fromEntries(Object.entries(access.groups).map(([name, people]) => [name, ids(people)])),
    holidays: access.holidays,
    guests: access.guests.flatMap(({ person, from, until }) =>
      ids([person]).map((id) => ({
        person: id,
        ...(from === undefined ? {} : { from: Date.parse(from) }),
        until: Date.parse(until),
      })),
    ),
    rules: access.rules.map(({ name, doors, people, groups, when }) => ({
      id: name,
      doors: doors.includes('all') ? 'all' : doors,
      people: ids(people),
      groups: groups ?? [],
      when:
        when === 'always'
          ? 'always'
          : when.map(({ days, ...window }) => ({
              ...window,
              days: days.flatMap((day) => WEEKDAYS[day] ?? []),
            })),
    })),
  };
}

export interface DoorSurroundings {
  /** Cameras that run and may open a door. */
  readonly trusted: readonly string[];
  readonly stateDir: string;
  /** The similarity at which a false match is this rare. */
  readonly similarityAt: (falseMatchRate: number) => number;
}

export function doorOptionsOf(id: string, door: DoorConfig, around: DoorSurroundings): DoorOptions {
  const { sure, faceLockout, codeLockout } = door;
  return {
    id,
    modes: door.modes,
    claim: door.claim,
    trustedCameras: door.cameras.filter((camera) => around.trusted.includes(camera)),
    credentialSources: door.codes,
    remoteUnlock: door.remoteUnlock,
    secondFactorMs: ms(door.secondFactor),
    pulseMs: ms(door.pulse),
    coolDownMs: ms(door.coolDown),
    spoofHoldMs: ms(door.spoofHold),
    faceBackoff: backoffOf(faceLockout),
    guessBackoff: backoffOf(codeLockout),
    sure: {
      looks: sure.frames,
      spanMs: ms(sure.span),
      withinMs: ms(sure.within),
      maxAgeMs: ms(sure.newest),
      minSimilarity: around.similarityAt(sure.falseMatchRate),
      claimSimilarity: around.similarityAt(sure.claimFalseMatchRate),
      margin: sure.margin,
      minQuality: sure.quality,
      liveness: sure.liveness,
      minPassive: sure.passiveScore,
      activeMaxAgeMs: ms(sure.activeAge),
    },
    lockState: { openTooLongMs: ms(door.openTooLong) },
    lock: lockOptionsOf(id, door.lock, around.stateDir),
  };
}

/** What the configuration's cross-checks have made sure of is asked again: a lock must never be guessed. */
function lockOptionsOf(id: string, lock: DoorConfig['lock'], stateDir: string): LockOptions {
  const longestMs = ms(lock.longest);
  switch (lock.driver) {
    case 'gpio': {
      const { chip, activeLow } = lock;
      return {
        driver: 'gpio',
        chip,
        activeLow,
        longestMs,
        line: said(lock.line),
        whenPowerless: said(lock.whenPowerless),
        ...inputOf('door', lock.door),
        ...inputOf('exit', lock.exit),
      };
    }
    case 'mqtt':
      return {
        driver: 'mqtt',
        commandTopic: said(lock.commandTopic),
        unlockPayload: lock.unlockPayload,
        lockPayload: lock.lockPayload,
        stateTopic: said(lock.stateTopic),
        states: { locked: lock.stateLocked, unlocked: lock.stateUnlocked, jammed: lock.stateJammed },
        answerMs: ms(lock.answer),
      };
    case 'recorder':
      return {
        driver: 'recorder',
        file: lock.file ?? `${stateDir}/lock-${id}.record`,
        longestMs,
        ...(lock.feed === null ? {} : { feed: lock.feed }),
        ...(lock.whenPowerless === null ? {} : { whenPowerless: lock.whenPowerless }),
      };
  }
}

function inputOf<Name extends 'door' | 'exit'>(
  name: Name,
  { line, activeLow }: DoorConfig['lock']['door'],
): Partial<Record<Name, { line: number; activeLow: boolean }>> {
  return line === null
    ? {}
    : ({ [name]: { line, activeLow } } as Record<Name, { line: number; activeLow: boolean }>);
}

function backoffOf({ failures, first, longest, forget }: DoorConfig['faceLockout']) {
  return { failures, firstMs: ms(first), longestMs: ms(longest), forgetMs: ms(forget) };
}

function said<Value>(value: Value | null): Value {
  if (value === null) throw new TypeError('a door’s lock is not described');
  return value;
}

function ms(seconds: number): number {
  return Math.round(seconds * 1000);
}

/** What the doors that go by a camera ask of its liveness test. */
export function doorsLiveness(doors: Config['doors'], camera: string): DoorConfig['sure']['liveness'][] {
  return Object.values(doors)
    .filter(({ cameras }) => cameras.includes(camera))
    .map(({ sure }) => sure.liveness);
}
