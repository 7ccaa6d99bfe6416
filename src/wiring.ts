/** Who hears what the vision worker says, and how what it saw gets out to the end. */
import { FacedError } from './domain/errors.js';
import type { HouseDoors } from './doors.js';
import type { Logger } from './lib/log.js';
import type { MqttLink } from './mqtt/client.js';
import type { Health } from './pipeline/health.js';
import type { Pause } from './pipeline/pause.js';
import type { Vision } from './pipeline/ports.js';
import type { Recognition } from './pipeline/recognition.js';
import type { FacedService } from './pipeline/service.js';

export interface Wiring {
  readonly vision: Vision;
  readonly pause: Pause;
  readonly recognition: Recognition;
  readonly doors: HouseDoors | null;
  readonly health: Health;
  readonly onBeat: () => Promise<void>;
  readonly log: Logger;
}

/** The vision worker's words to those whom they concern. Resolves when the sources have ended and all is decided. */
export function wire({ vision, pause, recognition, doors, health, onBeat, log }: Wiring): Promise<void> {
  const sayHealth = (): void => {
    recognition
      .retry()
      .then(onBeat)
      .catch((error: unknown) =>
        log.error({ error: String(error) }, 'the state of health could not be told'),
      );
  };
  vision.on('sighted', (sighting) => {
    // Nobody judges it, and a source that waits for that goes on.
    if (pause.paused) vision.judged(1);
    else recognition.sighted(sighting);
  });
  vision.on('trackEnded', (track) => recognition.trackEnded(track));
  vision.on('livenessChanged', (change) => {
    if (pause.paused) return;
    recognition.livenessChanged(change);
    doors?.livenessChanged(change);
  });
  vision.on('restarted', (ended) => {
    recognition.allTracksEnded();
    doors?.forget();
    health.visionEnded(ended);
    sayHealth();
  });
  vision.on('cameraChanged', (camera) => health.camera(camera));
  vision.on('backendChanged', (state) => health.backend(state));
  vision.on('beat', (beat) => {
    health.beat(beat);
    sayHealth();
  });
  return new Promise((resolve) => {
    vision.on('sourcesEnded', () => void recognition.settled().then(resolve));
  });
}

export interface Outflow {
  readonly vision: Vision;
  readonly recognition: Recognition;
  readonly link: Pick<MqttLink, 'drained'>;
  /** Resolves when the gallery is open; rejects when it never will be. */
  readonly ready: Promise<void>;
  readonly log: Logger;
}

const STOP_DRAIN_MS = 2000;

/** Nothing more is seen, and what was seen is decided, recorded and, as far as there is time, sent. */
export async function runDry({ vision, recognition, link, ready, log }: Outflow): Promise<void> {
  await vision.stop();
  // A gallery that never opened has nothing to decide with, and nothing to send.
  const isOpen = await ready.then(
    () => true,
    () => false,
  );
  if (!isOpen) return;
  recognition.allTracksEnded();
  await recognition.settled();
  await recognition.retry();
  await link.drained(STOP_DRAIN_MS);
  const { unrecorded } = recognition.stats();
  if (unrecorded !== null)
    log.error(
      { code: unrecorded.problem.code, events: unrecorded.events },
      'events are lost: the database did not take them until the end',
    );
}

/** True once the broker has acknowledged every event; false after the limit. Rejects when the disk does not take them all. */
export async function drained(
  { recognition, link }: Pick<Outflow, 'recognition' | 'link'>,
  limitMs: number,
): Promise<boolean> {
  await recognition.retry();
  const { unrecorded } = recognition.stats();
  if (unrecorded !== null) {
    const { code, message, fix } = unrecorded.problem;
    const why = `the database did not take ${unrecorded.events} events: ${message}`;
    throw new FacedError(code, why, fix === undefined ? {} : { fix });
  }
  return link.drained(limitMs);
}

/** Samples of another model are never compared with this one's: who has them is unknown until they are embedded again. */
export async function offerReembedding(service: FacedService, log: Logger): Promise<void> {
  const { waiting, withoutImage } = await service.keeping.reembedding();
  if (waiting > 0)
    log.warn({ samples: waiting }, 'samples of another model can be embedded again: faced people reembed');
  if (withoutImage > 0)
    log.warn(
      { samples: withoutImage },
      'samples of another model have no picture: enrol these people again, nobody is recognised by them',
    );
}
