import type { Attributes } from './attribute.js';
import type { DecisionKind } from './decision.js';
import type { FaceQuality } from './face.js';
import type { PersonRef } from './person.js';

/** What leaves the machine: no pixels, no vectors. Its form is fixed; docs/mqtt.md describes each field. */
export interface RecognitionEvent {
  readonly v: 1;
  /** ULID; the same event sent twice carries the same id. */
  readonly id: string;
  /** RFC 3339 with milliseconds, UTC: when the deciding frame was captured. */
  readonly time: string;
  readonly device: string;
  readonly camera: string;
  readonly track: string;
  readonly decision: DecisionKind;
  readonly person: PersonRef | null;
  readonly similarity: number | null;
  readonly runnerUp: number | null;
  readonly threshold: number | null;
  /** 0 (a picture) to 1 (alive); null when not looked at. */
  readonly liveness: number | null;
  /** x, y, width, height in frame pixels. */
  readonly box: readonly [number, number, number, number];
  /** Width, height. */
  readonly frame: readonly [number, number];
  readonly quality: FaceQuality;
  /** Id of the recogniser. */
  readonly model: string;
  /** From the capture of the deciding frame to this event. */
  readonly latencyMs: number;
  /** What the heads of the configuration say of the face; left out without heads, and where no face was embedded. */
  readonly attributes?: Attributes;
}
