/** The doors of the house: from the configuration to parts, and from what was seen and said to the doors. */
import { ulid } from 'ulid';
import { accessPolicyOf, type Config, doorOptionsOf, isTrusted } from './config/index.js';
import { FacedError } from './domain/errors.js';
import type { Match } from './domain/person.js';
import {
  AuditTrail,
  type Door,
  type DoorAnswer,
  DoorKeys,
  type DoorOptions,
  type DoorStatus,
  FloodedRows,
  hasValidMac,
  openDoors,
  readCommandKey,
} from './door/index.js';
import type { DoorsPart } from './http/parts.js';
import { type Clock, systemClock } from './lib/clock.js';
import type { Logger } from './lib/log.js';
import { Serial } from './lib/serial.js';
import type { MqttLink } from './mqtt/client.js';
import type { DoorPort } from './mqtt/command-forms.js';
import type { DiscoveryDoor } from './mqtt/discovery.js';
import type { LockCommand } from './pipeline/commands.js';
import { type DecisionPolicy, decide } from './pipeline/decide.js';
import { findPerson } from './pipeline/find-person.js';
import type { Sighting, Store, VisionEvents } from './pipeline/ports.js';
import { type FalseMatchCurve, similarityAt } from './pipeline/threshold.js';
import type { CameraSettings } from './pipeline/vision-options.js';
import { dot } from './vision/similarity.js';

/** What MQTT has to know of the doors before the doors are there. */
export interface DoorsOnMqtt {
  readonly port: DoorPort;
  readonly discovery: readonly DiscoveryDoor[];
}

/** Null without doors. `refused` is told of commands that no door hears of. @throws FacedError when the command key cannot be used */
export async function doorsOnMqtt(
  { doors, device, mqtt }: Config,
  refused: NonNullable<DoorPort['refused']>,
): Promise<DoorsOnMqtt | null> {
  const names = Object.keys(doors);
  if (names.length === 0) return null;
  const key = mqtt.lockKeyFile === null ? null : await readCommandKey(mqtt.lockKeyFile);
  const authentic: DoorPort['authentic'] = (order, hmac) => {
    const { door, id, exp, shown } = order;
    const action =
      shown === undefined ? order.action : `present ${shown.method} ${shown.reader ?? '*'} ${shown.secret}`;
    return key !== null && hasValidMac(key, { device, door, action, id, exp }, hmac);
  };
  return {
    port: { doors: names, refused, ...(key === null ? {} : { authentic }) },
    discovery: Object.entries(doors).map(([id, { remoteUnlock }]) => ({
      id,
      commands: key === null && remoteUnlock,
    })),
  };
}

export interface HouseDoorsParts {
  readonly config: Config;
  readonly stateDir: string;
  /** Those that run, which need not be those of the configuration (`--source`). */
  readonly cameras: readonly CameraSettings[];
  readonly curve: FalseMatchCurve | undefined;
  /** What a decision is held to now; throws while the promise cannot be kept. */
  readonly policy: () => DecisionPolicy;
  readonly store: Pick<Store, 'people' | 'audit' | 'auditHead' | 'exportAudit' | 'ownSamples'>;
  readonly link: Pick<MqttLink, 'others' | 'lockState' | 'lockEvent'>;
  readonly log: Logger;
  readonly clock?: Clock;
}

type Answer = DoorAnswer & { readonly door: string };

/** A house without doors. */
export const NO_DOORS: DoorsPart = {
  status: () => [],
  command: async () => ({ outcome: 'denied', reason: 'there is no door' }),
  present: async () => ({ outcome: 'denied', reason: 'there is no door' }),
};

export class HouseDoors {
  readonly #parts: HouseDoorsParts;
  readonly #doors: Awaited<ReturnType<typeof openDoors>>;
  readonly #keys: DoorKeys;
  readonly #watched: ReadonlySet<string>;
  readonly #problems = new Map<string, string>();
  /** Commands that no door heard of. */
  readonly #refused: FloodedRows;
  readonly #refusedTrail: AuditTrail;
  readonly #clock: Clock;
  readonly #galleryLooks = new Serial();
  /** How many people `access` names who are not there. */
  #unknown = 0;
  /** The clock has shown this time before: when it shows less, it is wrong. */
  #clockHasShown = 0;
  #config: Config;
  /** Whom the doors know. At first those who have a code: some may have been deleted while nothing ran. */
  #people: ReadonlySet<string>;

  private constructor(parts: HouseDoorsParts, doors: Awaited<ReturnType<typeof openDoors>>) {
    this.#parts = parts;
    this.#clock = parts.clock ?? systemClock;
    this.#config = parts.config;
    this.#doors = doors;
    this.#keys = new DoorKeys(doors.secrets, parts.store);
    this.#people = new Set(doors.secrets.list().map(({ person }) => person));
    const monotonic = () => this.#clock.monotonic();
    this.#refusedTrail = new AuditTrail((entry) => parts.store.audit(entry), monotonic);
    this.#refused = new FloodedRows((entry) => this.#refusedTrail.note(entry), { monotonic });
    this.#watched = new Set(Object.values(parts.config.doors).flatMap(({ cameras }) => cameras));
  }

  /** @throws FacedError `door.policy-invalid`, or `promise.unmeasured` when the recogniser cannot be as sure as a door asks */
  static async open(parts: HouseDoorsParts): Promise<HouseDoors> {
    const { config, stateDir, cameras, store, link, log, clock = systemClock } = parts;
    const doors = await openDoors(
      {
        doors: optionsOf(parts, config),
        // Nobody until the gallery is open: names are looked up then.
        access: accessPolicyOf(config.access, () => undefined),
        cameras: Object.fromEntries(cameras.map(({ name, source }) => [name, source])),
        stateDir,
        clockSource: config.access.clock,
      },
      {
        clock,
        audit: (entry) => store.audit(entry),
        newId: ulid,
        onError: (error) => log.error({ error: String(error) }, 'a door failed'),
        mqtt: link.others,
        compare: async (person, embedding) => {
          const own = await store.ownSamples(person, embedding.space);
          return own.length === 0
            ? null
            : Math.max(...own.map((sample) => dot(sample.embedding.vector, embedding.vector)));
        },
      },
    );
    return new HouseDoors(parts, doors);
  }

  get doors(): readonly Door[] {
    return this.#doors.doors;
  }

  get keys(): DoorKeys {
    return this.#keys;
  }

  /** Whether a door goes by this camera. */
  watches(camera: string): boolean {
    return this.#watched.has(camera);
  }

  /** For `health`. */
  problems(): { code: string; message: string }[] {
    return [...this.#problems].map(([door, problem]) => ({
      code: 'door.lock-failed',
      message: `${door}: ${problem}`,
    }));
  }

  /** The gallery must be open. Rejects when a lock can never work. */
  async start(signal: AbortSignal): Promise<void> {
    const { log, link } = this.#parts;
    for (const door of this.doors) {
      door.on('told', (event) => {
        const { event: what, reason, path } = event;
        log.info(
          { door: door.id, what, ...(reason === null ? {} : { reason }), ...(path === null ? {} : { path }) },
          'door',
        );
        link.lockEvent(event);
      });
      door.on('changed', () => this.#sayState());
      door.on('lockFailed', ({ code, message }) => {
        this.#problems.set(door.id, message);
        log.error({ door: door.id, code, reason: message }, 'the lock cannot be used; trying on');
      });
      door.on('lockRecovered', () => {
        this.#problems.delete(door.id);
        log.info({ door: door.id }, 'the lock can be used again');
      });
      const { cameras } = this.#config.doors[door.id] ?? { cameras: [] };
      const missing = cameras.filter((camera) => !trustedCameras(this.#parts).includes(camera));
      if (missing.length > 0)
        log.warn({ door: door.id, cameras: missing }, 'these cameras do not run, or may not open this door');
    }
    await this.galleryChanged();
    this.#clockHasShown = await lastRowAt(this.#parts.store);
    await this.#doors.start(signal);
    this.#sayState();
  }

  async stop(): Promise<void> {
    await this.#doors.stop();
    this.#refused.stop();
    await this.#refusedTrail.stop();
  }

  /** A command over MQTT was refused for its form, its age, its repetition, its signature or the load. */
  commandRefused({ reason, id }: { reason: string; id: string | null }): void {
    const detail = id === null ? { reason } : { reason, request: id };
    this.#refused.note({ kind: 'door.command-refused', actor: 'mqtt', detail });
  }

  /** A look at a face, and whom it resembles by itself. */
  looked(sighting: Sighting, match: Match | null): void {
    if (!this.watches(sighting.camera)) return;
    let policy: DecisionPolicy;
    try {
      policy = this.#parts.policy();
    } catch {
      // Whoever cannot keep the promise opens nothing by face.
      return;
    }
    const poor = sighting.embedding === null ? (sighting.poor ?? 'too-blurred') : null;
    const decision = decide({ match, liveness: sighting.liveness, poor }, policy);
    for (const door of this.doors) door.sighted({ decision, sighting });
  }

  livenessChanged({ camera, track, at, mediaMs, liveness }: VisionEvents['livenessChanged']): void {
    if (liveness.active === null || mediaMs !== undefined || !this.watches(camera)) return;
    const state = LIVE_STATES[liveness.active.state];
    for (const door of this.doors) door.livenessJudged({ camera, track, state, at: at.monotonicMs });
  }

  /** Vision was started again: its tracks are gone. */
  forget(): void {
    for (const door of this.doors) door.forget();
  }

  /** Looks up again whom the rules name, and forgets whoever is gone. */
  galleryChanged(): Promise<void> {
    // Of two at once the older list must not be the last that is taken over.
    return this.#galleryLooks.run(() => this.#lookAtGallery());
  }

  async #lookAtGallery(): Promise<void> {
    const people = await this.#parts.store.people();
    const now = new Set(people.map(({ id }) => id));
    // Rights go first, and one who cannot be taken out of the file of codes (a full disk) does not keep another in.
    this.#doors.setAccess(accessOf(this.#config, people));
    this.#sayUnknown(people);
    const gone = [...this.#people].filter((id) => !now.has(id));
    const removals = await Promise.allSettled(gone.map((id) => this.#doors.removePerson(id)));
    // Whoever could not be taken out is tried again at the next look.
    this.#people = new Set([...now, ...gone.filter((_, at) => removals[at]?.status === 'rejected')]);
    const failed = removals.find((one) => one.status === 'rejected');
    if (failed !== undefined) throw failed.reason;
  }

  /** A name that was mistyped lets nobody in. Names are not for the log. */
  #sayUnknown(people: Awaited<ReturnType<Store['people']>>): void {
    const { groups, guests, rules } = this.#config.access;
    const named = [
      ...Object.values(groups).flat(),
      ...guests.map(({ person }) => person),
      ...rules.flatMap((rule) => rule.people ?? []),
    ];
    const unknown = new Set(named.filter((one) => findPerson(people, one) === undefined)).size;
    if (unknown > 0 && unknown !== this.#unknown)
      this.#parts.log.warn({ people: unknown }, 'access names people who are not in the gallery');
    this.#unknown = unknown;
  }

  /**
   * Takes over what needs no restart, when the answer is called. Rejects, with everything as it was, when a door cannot
   * be as these settings say.
   */
  async prepare(next: Config): Promise<() => Promise<void>> {
    const { doors } = this.#config;
    // Lock, cameras and what else needs a restart stay as they are until then.
    const merged = Object.entries(doors).flatMap(([id, old]) => {
      const door = next.doors[id];
      const { lock, cameras, openTooLong } = old;
      return door === undefined ? [] : [[id, { ...door, lock, cameras, openTooLong }] as const];
    });
    const config = { ...this.#config, access: next.access, doors: Object.fromEntries(merged) };
    const access = accessOf(config, await this.#parts.store.people());
    const change = this.#doors.prepare({ doors: optionsOf(this.#parts, config), access });
    return async () => {
      change();
      this.#config = { ...config, doors: { ...doors, ...config.doors } };
      await this.galleryChanged();
    };
  }

  /** `lock/set`, after its form, freshness, repetition and authority were checked. */
  order(command: LockCommand): Promise<DoorAnswer> {
    const door = this.#door(command.door);
    if (command.action !== 'present') {
      const { action, id: request } = command;
      return door.command({ action, request, actor: 'mqtt', authorised: true, fresh: this.#canTellAge() });
    }
    const { method, secret, reader } = command.shown;
    const source = reader === null ? 'mqtt' : `wiegand:${reader}`;
    return door.present({ source, method, secret, request: command.id });
  }

  /** What is asked over HTTP, by somebody whose token or account may ask doors. Pictures do not come this way. */
  readonly web: DoorsPart = {
    status: () => this.doors.map(({ status }) => status),
    command: ({ door, action, actor }) =>
      this.#door(door).command({ action, request: ulid(), actor, authorised: true, fresh: true }),
    present: ({ door, method, secret }) =>
      this.#door(door).present({ source: 'http', method, secret, request: ulid() }),
  };

  /** What the control socket takes beside the calls of the service. Whoever reaches it owns this machine's faced. */
  readonly methods = {
    doorStatus: async (): Promise<DoorStatus[]> => this.doors.map(({ status }) => status),
    doorCommand: async (order: { door: string; action: 'lock' | 'unlock' }): Promise<Answer> => ({
      door: order.door,
      ...(await this.#door(order.door).command({
        action: order.action,
        request: ulid(),
        actor: 'cli',
        authorised: true,
        fresh: true,
      })),
    }),
    doorPresent: async (shown: {
      door: string;
      method: 'code' | 'badge' | 'qr';
      secret: string;
    }): Promise<Answer> => {
      const { door, method, secret } = shown;
      return {
        door,
        ...(await this.#door(door).present({ source: 'control', method, secret, request: ulid() })),
      };
    },
    doorKeyAdd: (key: Parameters<DoorKeys['add']>[0]) => this.#keys.add(key),
    doorKeysRemove: (whose: Parameters<DoorKeys['remove']>[0]) => this.#keys.remove(whose),
    doorKeys: () => this.#keys.list(),
  };

  /**
   * Whether `exp` says anything. A machine without a battery for its clock starts with an old hour: a command that
   * somebody held back or wrote down in that hour would be fresh again.
   */
  #canTellAge(): boolean {
    const now = this.#clock.wall();
    if (this.#doors.clockBelieved()) this.#clockHasShown = Math.max(this.#clockHasShown, now);
    return this.#doors.clockBelieved() || now >= this.#clockHasShown;
  }

  #door(id: string): Door {
    const door = this.doors.find((one) => one.id === id);
    if (door !== undefined) return door;
    const names = this.doors.map((one) => one.id).join(', ');
    throw new FacedError('usage.invalid', `there is no door ${id}; the doors are: ${names}`);
  }

  #sayState(): void {
    const doors = this.doors.map(({ status: { door, state, open } }) => [door, { state, open }] as const);
    this.#parts.link.lockState({ v: 1, time: new Date().toISOString(), doors: Object.fromEntries(doors) });
  }
}

/** `not-shown` waits on: a later sign of life still counts. */
const LIVE_STATES = {
  undecided: 'pending',
  'not-shown': 'pending',
  live: 'live',
  spoof: 'not-live',
} as const;

function accessOf({ access }: Pick<Config, 'access'>, people: Awaited<ReturnType<Store['people']>>) {
  return accessPolicyOf(access, (person) => findPerson(people, person)?.id);
}

function optionsOf(parts: HouseDoorsParts, { doors }: Pick<Config, 'doors'>): DoorOptions[] {
  const { curve, stateDir } = parts;
  const trusted = trustedCameras(parts);
  return Object.entries(doors).map(([id, door]) =>
    doorOptionsOf(id, door, { trusted, stateDir, similarityAt: (rate) => similarityAt(curve, rate) }),
  );
}

/** When the newest row of the audit was written, milliseconds since 1970. */
async function lastRowAt(store: Pick<Store, 'auditHead' | 'exportAudit'>): Promise<number> {
  const head = await store.auditHead();
  if (head === null) return 0;
  const [row] = await store.exportAudit({ after: head.seq - 1, limit: 1 });
  return row?.time ?? 0;
}

/** Trust belongs to a source, not to a name: `--source` may put another one behind it. */
function trustedCameras({ config, cameras }: Pick<HouseDoorsParts, 'config' | 'cameras'>): string[] {
  return cameras
    .filter(({ name, source }) => {
      const configured = config.cameras[name];
      const trusted = configured?.source === source ? configured.trusted : null;
      return isTrusted({ source, trusted });
    })
    .map(({ name }) => name);
}
