import { ulid } from 'ulid';
import type { RecognitionEvent } from '../domain/event.js';
import type { FaceQuality } from '../domain/face.js';
import type { Instant } from '../domain/frame.js';
import type { Match } from '../domain/person.js';
import { type Clock, systemClock } from '../lib/clock.js';
import { attributesOf, type NamedHead } from '../vision/head.js';
import { type DecisionPolicy, decide } from './decide.js';
import type { Judged, Sighting, VisionEvents } from './ports.js';

export interface EventContext {
  readonly device: string;
  /** Id of the recogniser. */
  readonly model: string;
  /** What else is told of a face. */
  readonly heads?: readonly NamedHead[];
  readonly clock?: Clock;
  readonly newId?: (timeMs: number) => string;
  /** Milliseconds since 1970 of a capture; left out: what the camera's side read off the machine's clock. */
  readonly timeOf?: (captured: Instant) => number;
}

/** What leaves the machine about one decision: no pixels, no vectors. */
export function buildEvent({ decision, sighting }: Judged, context: EventContext): RecognitionEvent {
  const clock = context.clock ?? systemClock;
  const evidence = decision.kind === 'poor' ? null : decision.evidence;
  const latency = clock.monotonic() - sighting.capturedAt.monotonicMs;
  const { heads = [] } = context;
  const attributes =
    heads.length === 0 || sighting.embedding === null ? null : attributesOf(heads, sighting.embedding);
  return {
    v: 1,
    id: (context.newId ?? ulid)(clock.wall()),
    time: new Date(context.timeOf?.(sighting.capturedAt) ?? sighting.capturedAt.wallMs).toISOString(),
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
    quality: roundedQuality(sighting.quality),
    model: context.model,
    latencyMs: Math.max(0, Math.round(latency * 10) / 10),
    ...(attributes === null ? {} : { attributes }),
  };
}

/** What {@link attemptOf} says of a look. */
export type Looked = ReturnType<typeof attemptOf>;

/** One look on its own, final or not, as the `attempt` topic tells it: what {@link decide} says of this look alone. */
export function attemptOf(look: {
  sighting: Sighting;
  match: Match | null;
  policy: DecisionPolicy;
  device: string;
}) {
  const { sighting, match, policy, device } = look;
  const { liveness, poor } = sighting;
  const decision = decide({ match, liveness, poor }, policy);
  const {
    id: _id,
    model: _model,
    latencyMs: _latencyMs,
    ...judged
  } = buildEvent({ decision, sighting }, { device, model: '' });
  return { ...judged, poor, final: sighting.final };
}

/** How far a track has come with showing that it is alive, as the `liveness` topic tells it; null without an active test. */
export function livenessReport(change: VisionEvents['livenessChanged'], device: string) {
  const { camera, track, at, liveness } = change;
  if (liveness.active === null) return null;
  const { state, reason, challenge } = liveness.active;
  const time = new Date(at.wallMs).toISOString();
  return { v: 1 as const, time, device, camera, track, state, reason, ask: challenge };
}

function rounded(value: number | null, digits: number): number | null {
  return value === null ? null : Number(value.toFixed(digits));
}

/** As many digits as mean something. */
function roundedQuality({ size, sharpness, yaw, pitch, roll, brightness, score }: FaceQuality): FaceQuality {
  const tenth = (value: number) => Number(value.toFixed(1));
  return {
    size: tenth(size),
    sharpness: tenth(sharpness),
    yaw: tenth(yaw),
    pitch: tenth(pitch),
    roll: tenth(roll),
    brightness: tenth(brightness),
    score: Number(score.toFixed(3)),
  };
}
