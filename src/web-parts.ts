/** What the HTTP interface is given of the daemon's parts. */
import type { Place } from './assemble.js';
import { checkup } from './checkup.js';
import { type HouseDoors, NO_DOORS } from './doors.js';
import type { HttpParts } from './http/parts.js';
import type { ModelCard } from './inference/card.js';
import type { LiveConfig } from './live-config.js';
import type { MqttLink } from './mqtt/client.js';
import type { Vision } from './pipeline/ports.js';
import type { PromiseKeeper } from './pipeline/promise.js';
import type { Recognition } from './pipeline/recognition.js';
import type { CameraSettings } from './pipeline/vision-options.js';
import { backupsOf, type HouseWatch, recogniserLook, settingsOf } from './web.js';

type Same = 'service' | 'access' | 'store' | 'health' | 'log' | 'tally' | 'events' | 'looks';

export interface WebParts extends Pick<HttpParts, Same> {
  readonly place: Place;
  readonly live: LiveConfig;
  readonly configFile: string | null;
  readonly cameras: readonly CameraSettings[];
  readonly env: NodeJS.ProcessEnv;
  readonly signal: AbortSignal;
  readonly card: ModelCard;
  readonly keeper: PromiseKeeper;
  readonly vision: Vision;
  readonly recognition: Recognition;
  readonly link: Pick<MqttLink, 'stats'>;
  readonly watch: HouseWatch;
  readonly doors: HouseDoors | null;
  /** To be called when a backup has taken the place of the gallery. */
  readonly onGalleryChanged: () => Promise<void>;
}

export function httpParts(parts: WebParts): HttpParts {
  const { place, live, env, signal, keeper, doors, watch, service, store, access } = parts;
  const { stateDir } = place;
  return {
    ...{ service, access, store, vision: parts.vision, judge: keeper },
    ...{ health: parts.health, log: parts.log, tally: parts.tally },
    ...{ events: parts.events, looks: parts.looks, notices: watch.notices },
    cameras: parts.cameras.map(({ name }) => name),
    machine: () => watch.machine(),
    recogniser: () => recogniserLook(parts.card, keeper),
    gallery: () => keeper.counts(),
    mqtt: () => ({ connected: parts.link.stats().connected }),
    waiting: () => {
      const { waiting, unrecorded } = parts.recognition.stats();
      return { looks: waiting, unrecorded: unrecorded?.events ?? 0 };
    },
    settings: settingsOf({
      ...{ configFile: parts.configFile, stateDir, env },
      config: () => live.now,
      reload: (next, by) => live.reload(next, by),
    }),
    doctor: () =>
      checkup(
        { ...place, config: live.now },
        {
          ...{ env, signal, asksPrograms: false },
          gallery: async () => ({
            people: await service.people(),
            samples: await service.keeping.reembedding(),
          }),
        },
      ),
    backups: backupsOf({
      ...{ config: live.now, stateDir, env, store, access },
      changed: parts.onGalleryChanged,
    }),
    doors: doors?.web ?? NO_DOORS,
  };
}
