/** Every topic with its guarantees, its schema and an example: what docs/mqtt.md is made of. */
import type { TSchema } from '@sinclair/typebox';
import type { RecognitionEvent } from '../domain/event.js';
import type { SignedHead } from '../pipeline/ports.js';
import * as schemas from './schemas.js';
import { SUFFIXES } from './topics.js';

export interface TopicEntry {
  readonly suffix: string;
  /** Who publishes. */
  readonly from: 'faced' | 'you';
  readonly qos: 0 | 1;
  readonly retained: boolean;
  readonly text: string;
  /** Null when the payload is no text. */
  readonly schema: TSchema | null;
  readonly examples: readonly unknown[];
}

const QUALITY = {
  size: 148,
  sharpness: 212.4,
  yaw: -4.1,
  pitch: 2.3,
  roll: 0.8,
  brightness: 121.7,
  score: 0.86,
};
const PERSON = { id: '01K0VZC7V0N3X9W5T4B8QJ6M2D', name: 'Ada' };

export const EXAMPLE_EVENT: RecognitionEvent = {
  v: 1,
  id: '01K0VZD1T8Q4M7S2H5R9XC3B6N',
  time: '2026-11-24T17:03:12.418Z',
  device: 'front-door',
  camera: 'porch',
  track: '01K0VZD1A2E6F8G9J3K5M7N4PQ',
  decision: 'known',
  person: PERSON,
  similarity: 0.71,
  runnerUp: 0.22,
  threshold: 0.42,
  liveness: 0.98,
  box: [212, 96, 148, 171],
  frame: [640, 480],
  quality: QUALITY,
  model: 'mobilefacenet',
  latencyMs: 87,
  attributes: { glasses: { value: 'with', share: 0.97 } },
};

const { id: _id, model: _model, latencyMs: _latency, attributes: _attributes, ...seen } = EXAMPLE_EVENT;
const EXAMPLE_ATTEMPT = {
  ...seen,
  decision: 'poor',
  person: null,
  similarity: null,
  runnerUp: null,
  threshold: null,
  liveness: null,
  poor: 'turned-away',
  final: false,
};

export const EXAMPLE_HEALTH: schemas.HealthReport = {
  v: 1,
  time: '2026-11-24T17:03:30.000Z',
  device: 'front-door',
  version: '0.1.0',
  uptimeS: 86_412,
  state: 'ok',
  problems: [],
  cameras: [
    { camera: 'porch', state: 'open', received: 864_120, dropped: 212, reopened: 1, problem: null, fps: 10 },
  ],
  outbox: { waiting: 0, limit: 10_000, dropped: 0 },
  rssBytes: 214_958_080,
  machine: { temperatureC: 52.1, memoryLevel: 0, heatLevel: 0, heatSteps: 0 },
};

export const EXAMPLE_DOOR_EVENT: schemas.LockEvent = {
  v: 1,
  id: '01K0VZD2C4Q6M7S2H5R9XC3B6N',
  time: '2026-11-24T17:03:12.640Z',
  door: 'front',
  event: 'granted',
  person: PERSON.id,
  reason: null,
  path: 'face',
  track: EXAMPLE_EVENT.track,
  request: null,
};

const EXAMPLE_LIVENESS: schemas.LivenessReport = {
  v: 1,
  time: EXAMPLE_EVENT.time,
  device: EXAMPLE_EVENT.device,
  camera: EXAMPLE_EVENT.camera,
  track: EXAMPLE_EVENT.track,
  state: 'undecided',
  reason: 'collecting',
  ask: 'turn-left',
};

/** Signed with a key that was thrown away. */
const EXAMPLE_HEAD: SignedHead = {
  v: 1,
  seq: 4_211,
  hash: '9f'.repeat(32),
  time: '2026-11-24T17:00:00.000Z',
  key: 'k'.repeat(43),
  sig: 's'.repeat(86),
};

const COMMAND = { id: 'a-1732467810', exp: 1_795_539_840 };

export const CATALOGUE: readonly TopicEntry[] = [
  {
    suffix: SUFFIXES.status,
    from: 'faced',
    qos: 1,
    retained: true,
    text: 'Whether faced is there. The broker itself says `offline` when the connection is lost (Will).',
    schema: schemas.StatusSchema,
    examples: ['online', 'offline'],
  },
  {
    suffix: SUFFIXES.recognition,
    from: 'faced',
    qos: 1,
    retained: false,
    text: 'A final decision about one person in view. At least once: the same event may come twice with the same `id`, never out of order at its first arrival, and none is lost while the broker is away.',
    schema: schemas.RecognitionSchema,
    examples: [EXAMPLE_EVENT],
  },
  {
    suffix: SUFFIXES.attempt,
    from: 'faced',
    qos: 0,
    retained: false,
    text: 'Each try, for tuning. Off unless asked for; dropped while the broker is away.',
    schema: schemas.AttemptSchema,
    examples: [EXAMPLE_ATTEMPT],
  },
  {
    suffix: SUFFIXES.liveness,
    from: 'faced',
    qos: 0,
    retained: false,
    text: 'How far somebody in view has come with showing that they are alive, and what to ask them for (`liveness.challenge`). Only of cameras that make the active test; nobody is named. Dropped while the broker is away.',
    schema: schemas.LivenessSchema,
    examples: [EXAMPLE_LIVENESS],
  },
  {
    suffix: SUFFIXES.health,
    from: 'faced',
    qos: 1,
    retained: true,
    text: 'How faced is: at once when a camera or a problem changes, else at the interval of `mqtt.healthEvery`.',
    schema: schemas.HealthSchema,
    examples: [EXAMPLE_HEALTH],
  },
  {
    suffix: SUFFIXES.gallery,
    from: 'faced',
    qos: 1,
    retained: true,
    text: 'What the gallery holds, in numbers; nobody is named.',
    schema: schemas.GallerySchema,
    examples: [{ v: 1, version: 42, people: 5, samples: 23 }],
  },
  {
    suffix: SUFFIXES.snapshot,
    from: 'faced',
    qos: 0,
    retained: false,
    text: 'A picture: the bytes of a JPEG, no JSON. Only with `mqtt.snapshots`, and only when `control/set` asks for it. With MQTT 5 the user property `camera` names the camera.',
    schema: null,
    examples: [],
  },
  {
    suffix: SUFFIXES.enrollSet,
    from: 'you',
    qos: 1,
    retained: false,
    text: 'Command: learn a face.',
    schema: schemas.EnrollSetSchema,
    examples: [
      { ...COMMAND, name: 'Ada', image: '/9j/4AAQSkZJRgABAQ==' },
      { ...COMMAND, name: 'Ada', camera: 'porch' },
    ],
  },
  {
    suffix: SUFFIXES.enrollResult,
    from: 'faced',
    qos: 1,
    retained: false,
    text: 'What became of an `enroll/set`. The first result with an `id` counts; a later one with the same `id` only says that the command came twice.',
    schema: schemas.EnrollResultSchema,
    examples: [
      { id: COMMAND.id, ok: true, person: PERSON, samples: [{ accepted: true, quality: QUALITY }] },
      {
        id: COMMAND.id,
        ok: false,
        error: {
          code: 'enroll.no-face',
          message: 'No face was found.',
          fix: 'Use a picture that shows the face.',
        },
      },
    ],
  },
  {
    suffix: SUFFIXES.enrollProgress,
    from: 'faced',
    qos: 0,
    retained: false,
    text: 'While an `enroll/set` with a camera is carried out: at each change, what the person in front of it should do. Nobody is named.',
    schema: schemas.EnrollProgressSchema,
    examples: [
      {
        v: 1,
        id: COMMAND.id,
        camera: 'porch',
        pose: 'left',
        taken: 1,
        wanted: 3,
        advice: 'turn-left',
        text: 'Turn your head a little to your left.',
      },
    ],
  },
  {
    suffix: SUFFIXES.controlSet,
    from: 'you',
    qos: 1,
    retained: false,
    text: 'Command: publish a picture, or let recognition rest. Only taken with `mqtt.controls`.',
    schema: schemas.ControlSetSchema,
    examples: [
      { ...COMMAND, action: 'pause' },
      { ...COMMAND, action: 'snapshot', camera: 'porch' },
    ],
  },
  {
    suffix: SUFFIXES.controlResult,
    from: 'faced',
    qos: 1,
    retained: false,
    text: 'What became of a `control/set`, as for `enroll/result`.',
    schema: schemas.ControlResultSchema,
    examples: [
      { id: COMMAND.id, ok: true },
      {
        id: COMMAND.id,
        ok: false,
        error: { code: 'source.open-failed', message: 'this camera gives no picture now' },
      },
    ],
  },
  {
    suffix: SUFFIXES.controlState,
    from: 'faced',
    qos: 1,
    retained: true,
    text: 'Whether recognition rests. Only published with `mqtt.controls`.',
    schema: schemas.ControlStateSchema,
    examples: [{ v: 1, recognition: 'on' }],
  },
  {
    suffix: SUFFIXES.auditHead,
    from: 'faced',
    qos: 1,
    retained: true,
    text: 'The newest row of the audit, signed: at each start, and once an hour. Keep it on another machine; `faced audit verify --head` then finds a chain that was written anew.',
    schema: schemas.AuditHeadSchema,
    examples: [EXAMPLE_HEAD],
  },
  {
    suffix: SUFFIXES.lockSet,
    from: 'you',
    qos: 1,
    retained: false,
    text: 'Command for a door. Only taken when a door is configured; the door decides by its own rules.',
    schema: schemas.LockSetSchema,
    examples: [
      { ...COMMAND, action: 'unlock' },
      { ...COMMAND, action: 'unlock', door: 'front', hmac: '5c'.repeat(32) },
      { ...COMMAND, action: 'present', door: 'front', method: 'badge', secret: '0012345678', reader: 'gate' },
    ],
  },
  {
    suffix: SUFFIXES.lockResult,
    from: 'faced',
    qos: 1,
    retained: false,
    text: 'What became of a `lock/set`, as for `enroll/result`.',
    schema: schemas.LockResultSchema,
    examples: [
      { id: COMMAND.id, ok: true, door: 'front', action: 'unlock' },
      { id: COMMAND.id, ok: true, door: 'front', action: 'present', outcome: 'face-wanted' },
      {
        id: COMMAND.id,
        ok: false,
        error: { code: 'door.refused', message: 'the door refused: remote-unlock-off' },
      },
    ],
  },
  {
    suffix: SUFFIXES.lockState,
    from: 'faced',
    qos: 1,
    retained: true,
    text: 'State of all doors. Only published when a door is configured.',
    schema: schemas.LockStateSchema,
    examples: [
      { v: 1, time: '2026-11-24T17:03:12.650Z', doors: { front: { state: 'unlocked', open: null } } },
    ],
  },
  {
    suffix: SUFFIXES.lockEvent,
    from: 'faced',
    qos: 1,
    retained: false,
    text: 'What happened at a door. Kept for a while in memory when the broker is away; the record that can be relied on is the audit.',
    schema: schemas.LockEventSchema,
    examples: [EXAMPLE_DOOR_EVENT],
  },
];
