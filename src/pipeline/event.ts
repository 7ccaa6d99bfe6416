import { ulid } from 'ulid';
import type { RecognitionEvent } from '../domain/event.js';
import { type Clock, systemClock } from '../lib/clock.js';
import type { Judged } from './ports.js';

export interface EventContext {
  readonly device: string;
  /** Id of the recogniser. */
  readonly model: string;
  readonly clock?: Clock;
  readonly newId?: (timeMs: number) => string;
}

/** What leaves the machine about one decision: no pixels, no vectors. */
export function buildEvent({ decision, sighting }: Judged, context: EventContext): RecognitionEvent {
  const clock = context.clock ?? systemClock;
  const evidence = decision.kind === 'poor' ? null : decision.evidence;
  const latency = clock.monotonic() - sighting.capturedAt.monotonicMs;
  return {
    v: 1,
    id: (context.newId ?? ulid)(clock.wall()),
    time: new Date(sighting.capturedAt.wallMs).toISOString(),
    device: context.device,
    camera: sighting.camera,
    track: sighting.track,
    decision: decision.kind,
    person: decision.kind === 'known' ? decision.person : null,
    similarity: rounded(evidence?.similarity ?? null, 4),
    runnerUp: rounded(evidence?.runnerUp ?? null, 4),
    threshold: rounded(evidence?.threshold ?? null, 4),
    liveness: rounded(sighting.liveness, 4),
    box: sighting.box,
    frame: sighting.frame,
    quality: sighting.quality,
    model: context.model,
    latencyMs: Math.max(0, Math.round(latency * 10) / 10),
  };
}

function rounded(value: number | null, digits: number): number | null {
  return value === null ? null : Number(value.toFixed(digits));
}
