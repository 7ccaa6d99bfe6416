/** What the API answers, as far as the page reads it; src/http/routes has the schemas. */
import type { Check } from '../../src/domain/check.js';
import type { RecognitionEvent } from '../../src/domain/event.js';
import type { FaceQuality, PoorReason } from '../../src/domain/face.js';
import type { MachineLook } from '../../src/domain/machine.js';
import type { Person, PersonRef, UnknownGroup } from '../../src/domain/person.js';
import type { Problem } from '../../src/domain/problem.js';

export type Event = RecognitionEvent;
export type Decision = RecognitionEvent['decision'];
export type { Check, FaceQuality, Person, PersonRef, PoorReason, UnknownGroup };

export interface Session {
  readonly account: { readonly id: string; readonly name: string } | null;
  readonly csrf: string | null;
  readonly firstStart: boolean;
}

export interface Sample {
  readonly id: string;
  readonly space: string;
  readonly quality: FaceQuality;
  readonly createdAt: number;
  readonly image: boolean;
}

export interface Enrolled {
  readonly accepted: boolean;
  readonly person: PersonRef | null;
  readonly quality: FaceQuality | null;
  readonly code: string | null;
  readonly reason: string | null;
}

export interface CameraHealth {
  readonly camera: string;
  readonly state: string;
  readonly received: number;
  readonly dropped: number;
  readonly reopened: number;
  readonly problem: string | null;
}

export interface LiveFace {
  readonly track: string;
  readonly box: readonly number[];
  readonly decision: Decision | null;
  readonly person?: PersonRef | null;
  readonly similarity?: number | null;
  readonly threshold?: number | null;
  readonly liveness?: number | null;
  readonly poor?: PoorReason | null;
  readonly quality?: number;
}

export interface LiveFaces {
  readonly frame: readonly [number, number];
  readonly faces: readonly LiveFace[];
}

export interface Notice {
  readonly id: string;
  readonly time: string;
  readonly kind: string;
  readonly state: 'raised' | 'cleared' | 'happened';
  readonly code: string;
  readonly message: string;
}

export interface Look {
  readonly time: string;
  readonly decision: Decision;
  readonly person: PersonRef | null;
  readonly similarity: number | null;
  readonly runnerUp: number | null;
  readonly liveness: number | null;
  readonly poor: PoorReason | null;
  readonly quality: FaceQuality;
}

export interface Curve {
  readonly impostorPairs: number;
  readonly points: readonly { readonly fmr: number; readonly threshold: number; readonly tmr: number }[];
}

export interface Recogniser {
  readonly model: string;
  readonly threshold: number | null;
  readonly margin: number | null;
  readonly livenessMinimum: number | null;
  readonly curve: Curve | null;
}

export interface Health {
  readonly version: string;
  readonly device: string;
  readonly uptimeS: number;
  readonly state: 'ok' | 'degraded';
  readonly problems: readonly Problem[];
  readonly cameras: readonly CameraHealth[];
  readonly outbox: { readonly waiting: number; readonly limit: number; readonly dropped: number };
  readonly rssBytes: number;
  readonly broker: { readonly connected: boolean };
  readonly waiting: { readonly looks: number; readonly unrecorded: number };
  readonly machine: MachineLook;
  readonly stages: Readonly<Record<string, { totalMs: number; count: number; maxMs: number }>>;
}

/** A part of the configuration's JSON Schema. */
export interface Schema {
  readonly type?: string | readonly string[];
  readonly description?: string;
  readonly enum?: readonly unknown[];
  readonly minimum?: number;
  readonly maximum?: number;
  readonly default?: unknown;
  readonly properties?: Readonly<Record<string, Schema>>;
}

export interface Config {
  readonly config: Readonly<Record<string, unknown>>;
  readonly schema: Schema;
  readonly fileOnly: readonly string[];
}
