/** From sightings to decisions, and who hears of them. */
import type { Place } from './assemble.js';
import type { RecognitionEvent } from './domain/event.js';
import type { Instant } from './domain/frame.js';
import type { Foundation } from './foundation.js';
import type { Household } from './household.js';
import type { EventFeed, HttpParts } from './http/parts.js';
import { TypedEvents } from './lib/events.js';
import type { Logger } from './lib/log.js';
import { attemptOf, type Looked } from './pipeline/event.js';
import { Presence } from './pipeline/presence.js';
import { Recognition } from './pipeline/recognition.js';
import { Strangers } from './pipeline/strangers.js';

export interface DecidingParts {
  readonly base: Foundation;
  readonly house: Pick<Household, 'link' | 'doors'>;
  /** Resolves when the gallery is open; what is seen before waits. */
  readonly ready: Promise<void>;
  readonly log: Logger;
  readonly onEvent: (event: RecognitionEvent) => void;
}

export interface Deciding {
  readonly recognition: Recognition;
  /** Null when strangers are not kept. */
  readonly strangers: Strangers | null;
  /** Each final decision: after it is on disk, or, while the disk takes nothing, when it was decided. */
  readonly events: EventFeed;
  /** Each look that was judged, whatever came of it. */
  readonly looks: HttpParts['looks'];
}

export function openDeciding(place: Place, parts: DecidingParts): Deciding {
  const { config } = place;
  const { ready, log, onEvent } = parts;
  const { store, vision, keeper, card, sameFace, heads, steady, encoder } = parts.base;
  const { link, doors } = parts.house;
  const strangers = strangersOf(place, parts);
  const feed = new TypedEvents<{ decided: RecognitionEvent; looked: Looked }>((error) =>
    log.error({ error: String(error) }, 'a listener to events failed'),
  );
  const { renewAfter } = config.recognition;
  const recognition = new Recognition({
    presence: new Presence({
      policy: () => keeper.policy(),
      sameFace,
      livenessOf: (camera) => config.cameras[camera]?.liveness ?? 'off',
      renewAfterMs: renewAfter === 0 ? null : renewAfter * 1000,
    }),
    context: {
      ...{ device: config.device, model: card.id, heads, clock: steady },
      newId: () => steady.newId(),
      timeOf: (captured: Instant) => steady.at(captured),
    },
    ...{ store, ready, log },
    messages: (event) => [{ topic: link.topics.recognition, payload: encoder.encode(event) }],
    onEvent: (event) => {
      link.notify();
      onEvent(event);
      strangers?.decided(event);
      feed.emit('decided', event);
    },
    onRecovered: () => link.notify(),
    onJudged: () => vision.judged(1),
    eachLook: (camera) => doors?.watches(camera) === true,
    onLook: (sighting, match, own) => {
      strangers?.looked(sighting);
      doors?.looked(sighting, own);
      // While the promise cannot be kept nothing is decided, and nothing is shown.
      if (keeper.problem() !== null) return;
      const look = attemptOf({ sighting, match, policy: keeper.policy(), device: config.device });
      feed.emit('looked', look);
      if (config.mqtt.attempts) link.attempt(look);
    },
  });
  return {
    ...{ recognition, strangers },
    events: { on: (listener) => feed.on('decided', listener) },
    looks: { on: (listener) => feed.on('looked', listener) },
  };
}

function strangersOf({ config }: Place, { base, log }: DecidingParts): Strangers | null {
  const { keepUnknownHours, unknownLimit } = config.gallery;
  if (keepUnknownHours === 0) return null;
  return new Strangers({
    store: base.store,
    keepMs: keepUnknownHours * 3_600_000,
    limit: unknownLimit,
    threshold: () => base.keeper.policy().threshold,
    now: () => base.steady.wall(),
    onError: (error) => log.warn({ error: String(error) }, 'a stranger could not be kept'),
  });
}
