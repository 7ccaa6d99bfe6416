/** The side that faces the house: what may be asked of the daemon, MQTT, the doors, and the configuration that holds. */
import { enrolmentRules, openMqtt, type Place } from './assemble.js';
import { FacedError } from './domain/errors.js';
import { forgetKeysOfOthers, keysOf } from './door/index.js';
import { doorsOnMqtt, HouseDoors } from './doors.js';
import type { Foundation } from './foundation.js';
import type { Logger } from './lib/log.js';
import { LiveConfig } from './live-config.js';
import type { MqttLink } from './mqtt/client.js';
import { commandHandler } from './pipeline/commands.js';
import { FacedService } from './pipeline/service.js';
import type { CameraSettings } from './pipeline/vision-options.js';

/** Ends what was started, newest first. */
export type Stops = (() => unknown)[];

export interface HouseholdParts {
  readonly base: Foundation;
  readonly cameras: readonly CameraSettings[];
  readonly log: Logger;
  readonly version: string;
  /** Somebody asks over MQTT that recognition pauses, or goes on. */
  readonly onPause: (paused: boolean) => Promise<void>;
  readonly signal: AbortSignal;
  readonly stops: Stops;
}

export interface Household {
  readonly service: FacedService;
  /** Not started yet. */
  readonly link: MqttLink;
  /** Not started yet; null without doors. */
  readonly doors: HouseDoors | null;
  readonly live: LiveConfig;
  /** Tells how many people are known now. */
  readonly sayGallery: () => void;
}

export async function openHousehold(place: Place, parts: HouseholdParts): Promise<Household> {
  const { config, stateDir } = place;
  const { cameras, log, version, signal, stops } = parts;
  const { store, vision, keeper, card, space, sameFace, steady, notifier } = parts.base;
  const names = cameras.map(({ name }) => name);
  const service: FacedService = new FacedService({
    ...{ vision, store, space, sameFace },
    judge: keeper,
    enrolment: () => enrolmentRules(live.now, card, keeper),
    cameras: names,
    keysOf: (person) => keysOf(stateDir, person),
    onGalleryChanged: async () => {
      sayGallery();
      if (doors === null) await forgetKeysOfOthers(stateDir, store);
      else await doors.galleryChanged();
    },
  });
  const handler = commandHandler({
    ...{ service, vision, signal },
    onSnapshot: (camera, jpeg) => link.snapshot(camera, jpeg),
    onEnrollProgress: (id, { camera, pose, taken, wanted, advice, text }) =>
      link.enrollProgress({ v: 1, id, camera, pose, taken, wanted, advice, text }),
    snapshots: config.mqtt.snapshots,
    onPause: parts.onPause,
    onLock: async (command) => {
      if (doors === null) throw new FacedError('door.refused', 'this faced has no door');
      return doors.order(command);
    },
  });
  const mqtt = await openMqtt(
    place,
    {
      ...{ store, handler, log, clock: steady },
      about: { version, cameras: names },
      doors: await doorsOnMqtt(config, (refusal) => doors?.commandRefused(refusal)),
    },
    signal,
  );
  stops.push(
    () => store.stop(),
    () => steady.stop(),
    mqtt.stop,
  );
  const { link } = mqtt;
  const doors =
    Object.keys(config.doors).length === 0
      ? null
      : await HouseDoors.open({
          ...{ config, stateDir, cameras, store, link, log },
          curve: card.curve,
          policy: () => keeper.policy(),
        });
  if (doors !== null) stops.push(() => doors.stop());
  const live = new LiveConfig({ config, store, keeper, doors, notifier });
  const sayGallery = () => {
    const { version, people, samples } = keeper.counts();
    link.gallery({ v: 1, version, people, samples });
  };
  return { service, link, doors, live, sayGallery };
}
