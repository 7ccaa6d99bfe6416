/**
 * The form of every payload, as JSON Schema (draft 7). docs/mqtt.md is generated from these and from the catalogue
 * beside them, and the tests check what is published against them.
 */
import { type Static, type TSchema, Type } from '@sinclair/typebox';
import type { DecisionKind } from '../domain/decision.js';
import type { RecognitionEvent } from '../domain/event.js';
import type { Advice } from '../pipeline/guide.js';
import type { SignedHead } from '../pipeline/ports.js';

const describe = (description: string) => ({ description });
const nullable = <Schema extends TSchema>(schema: Schema, description: string) =>
  Type.Union([schema, Type.Null()], { description });

const OneOf = <const Value extends string>(values: readonly Value[], options: { description: string }) =>
  Type.Unsafe<Value>({ enum: [...values], ...options });

const Version = Type.Literal(
  1,
  describe('Version of this form; a change that breaks a reader gets a new one.'),
);
const Ulid = (description: string) =>
  Type.String({ pattern: '^[0-9A-HJKMNP-TV-Z]{26}$', description: `${description} (ULID)` });
const Time = (description: string) =>
  Type.String({ format: 'date-time', description: `${description}; RFC 3339 with milliseconds, UTC` });
const Count = (description: string) => Type.Integer({ minimum: 0, description });
const Device = Type.String({ minLength: 1, maxLength: 64, description: 'The device, as in the topic.' });
const Camera = Type.String({ minLength: 1, description: 'The camera, as in the configuration.' });
const Cosine = (description: string) =>
  nullable(Type.Number({ minimum: -1.0001, maximum: 1.0001 }), description);

const Quality = Type.Object(
  {
    size: Type.Number({ minimum: 0, description: 'Shorter side of the face box, frame pixels.' }),
    sharpness: Type.Number({ minimum: 0, description: 'Variance of the Laplacian; higher is sharper.' }),
    yaw: Type.Number(describe("Degrees; 0 is frontal, positive looks to the picture's right.")),
    pitch: Type.Number(describe('Degrees; 0 is level, positive looks up.')),
    roll: Type.Number(describe('Degrees; 0 is upright, positive is clockwise.')),
    brightness: Type.Number({ minimum: 0, maximum: 255, description: 'Mean grey level.' }),
    score: Type.Number({ minimum: 0, maximum: 1, description: 'All of it in one number; 1 is best.' }),
  },
  describe('How good the shot is that the decision rests on.'),
);

const DECISIONS = ['known', 'unknown', 'ambiguous', 'spoof', 'poor'] as const satisfies DecisionKind[];
const Person = Type.Object({
  id: Ulid('Id of the person, the same after a renaming'),
  name: Type.String({ minLength: 1, description: 'Name of the person.' }),
});

const judged = {
  v: Version,
  time: Time('When the deciding frame was captured'),
  device: Device,
  camera: Camera,
  track: Type.String(
    describe('One person in view over many frames; the same for everything said about them.'),
  ),
  decision: OneOf(DECISIONS, describe('What faced says. Only `known` names a person.')),
  person: nullable(Person, 'Who it is; null unless the decision is `known`.'),
  similarity: Cosine('Cosine to the nearest person; null when there was nobody to compare with.'),
  runnerUp: Cosine('Cosine to the nearest other person; null when there is none.'),
  threshold: Cosine('What the similarity had to reach; null when nothing was compared.'),
  liveness: nullable(
    Type.Number({ minimum: 0, maximum: 1 }),
    '0 (a picture) to 1 (alive); null when not looked at.',
  ),
  box: Type.Tuple(
    [Type.Number(), Type.Number(), Type.Number(), Type.Number()],
    describe('x, y, width, height of the face in frame pixels; may reach over the border.'),
  ),
  frame: Type.Tuple(
    [Type.Integer({ minimum: 1 }), Type.Integer({ minimum: 1 })],
    describe('Width and height of the frame.'),
  ),
  quality: Quality,
};

export const StatusSchema = OneOf(
  ['online', 'offline'],
  describe('Plain text, no JSON. `offline` is also the Will: the broker says it when faced is gone.'),
);

export const RecognitionSchema = Type.Object({
  ...judged,
  id: Ulid('Id of the event: the same event sent twice carries the same id'),
  model: Type.String(describe('Id of the recogniser.')),
  latencyMs: Type.Number({
    minimum: 0,
    description: 'Milliseconds from the capture of the frame to the event.',
  }),
  attributes: Type.Optional(
    Type.Record(
      Type.String({ pattern: '^[a-z][a-z0-9_]{0,31}$' }),
      Type.Object({ value: Type.String(), share: Type.Number({ minimum: 0, maximum: 1 }) }),
      describe(
        'What the heads in `models.heads` say of the face: the likeliest class of each, and its share.',
      ),
    ),
  ),
  sig: Type.Optional(
    Type.String({
      pattern: '^[A-Za-z0-9_-]{86}$',
      description: 'Ed25519 signature, base64url; only with a signing key.',
    }),
  ),
});

export const AttemptSchema = Type.Object({
  ...judged,
  poor: nullable(Type.String(), 'Why the shot could not be recognised; null when it could.'),
  final: Type.Boolean(describe('True when nothing better will come for this track.')),
});

const Track = Type.String(describe('The person in view, as in `recognition`.'));

export const LivenessSchema = Type.Object({
  v: Version,
  time: Time('When the deciding frame was captured'),
  device: Device,
  camera: Camera,
  track: Track,
  state: OneOf(
    ['undecided', 'live', 'spoof', 'not-shown'],
    describe('Only `live` is a yes; after `not-shown` it can still come.'),
  ),
  reason: Type.String(describe('What the state rests on; docs/liveness.md lists them.')),
  ask: nullable(
    OneOf(['turn-left', 'turn-right'], describe("What to ask for; the person's own left and right.")),
    'Null asks nothing.',
  ),
});

export const HealthSchema = Type.Object({
  v: Version,
  time: Time('When this was written'),
  device: Device,
  version: Type.String(describe('Version of faced.')),
  uptimeS: Type.Number({ minimum: 0, description: 'Seconds since the daemon started.' }),
  state: OneOf(['ok', 'degraded'], describe('`degraded` when there is at least one problem.')),
  problems: Type.Array(
    Type.Object({
      code: Type.String(describe('Stable error code.')),
      message: Type.String(describe('For people.')),
    }),
    describe('What does not work now.'),
  ),
  cameras: Type.Array(
    Type.Object({
      camera: Camera,
      state: OneOf(['opening', 'open', 'waiting', 'ended', 'stopped'], describe('State of the source.')),
      received: Count('Frames that the device delivered.'),
      dropped: Count('Frames that a newer one replaced before anybody looked.'),
      reopened: Count('How often the source had to be opened again.'),
      problem: nullable(Type.String(), 'Why the source is not open; null when it is.'),
      fps: nullable(
        Type.Number({ minimum: 0 }),
        'Frames a second that were looked at, over the last seconds; null when that is not known yet.',
      ),
    }),
  ),
  backend: Type.Optional(
    Type.Object(
      {
        using: Type.String(describe('`tensorrt` (the engine process) or `onnxruntime`.')),
        precision: Type.String(describe('`fp16`, `fp32`, `int8`.')),
        why: Type.Optional(Type.String(describe('Why this form of the model.'))),
      },
      describe('What runs the recogniser.'),
    ),
  ),
  outbox: Type.Object({
    waiting: Count('Events that wait for the broker.'),
    limit: Count('How many may wait.'),
    dropped: Count('Events dropped since the database was made, because the outbox was full.'),
  }),
  rssBytes: Count('Resident memory of all processes of the daemon.'),
  machine: Type.Object({
    temperatureC: nullable(Type.Number(), 'Of the processor; null when the kernel does not say.'),
    memoryLevel: nullable(
      Type.Integer({ minimum: 0, maximum: 2 }),
      'Free memory of the machine: 0 enough, 1 low, 2 critical; null when the kernel does not say.',
    ),
    heatLevel: Type.Integer({
      minimum: 0,
      maximum: 3,
      description: 'The cameras’ pace: 0 full, 3 slowest, for the sake of heat, supply or load.',
    }),
    heatSteps: Count('How often that level changed since the start.'),
  }),
});

export const GallerySchema = Type.Object({
  v: Version,
  version: Count('Goes up with every change of people or samples.'),
  people: Count('People in the gallery.'),
  samples: Count('Samples in the gallery.'),
});

const ADVICE = [
  'look-at-camera',
  'turn-left',
  'turn-right',
  'turn-back',
  'no-face',
  'several-faces',
  'too-far',
  'too-dark',
  'too-bright',
  'hold-still',
  'cut-off',
  'another-face',
  'taken',
] as const satisfies Advice[];

const commandHead = {
  id: Type.String({ minLength: 1, maxLength: 64, description: 'Chosen by the sender, used once only.' }),
  exp: Type.Number(
    describe('Seconds since 1970 after which the command is void; at most five minutes ahead.'),
  ),
};
const closed = { additionalProperties: false };

export const EnrollSetSchema = Type.Object(
  {
    ...commandHead,
    name: Type.String({ minLength: 1, maxLength: 300, description: 'Whom the face belongs to.' }),
    image: Type.Optional(
      // No minLength: it would be counted in code points, over two million of them. The decoding refuses an empty one.
      Type.String(
        describe('A picture with exactly one face (JPEG, PNG, …), base64. Either this or `camera`.'),
      ),
    ),
    camera: Type.Optional(
      Type.String({
        minLength: 1,
        maxLength: 64,
        description:
          'Lead somebody in front of this camera through a few shots (`enroll/progress`). Either this or `image`.',
      }),
    ),
  },
  closed,
);

const DoorId = (description: string) => Type.String({ pattern: '^[a-z0-9][a-z0-9_-]{0,31}$', description });

export const LockSetSchema = Type.Object(
  {
    id: commandHead.id,
    exp: Type.Number(
      describe('Seconds since 1970 after which the command is void; at most 30 seconds ahead.'),
    ),
    action: OneOf(
      ['lock', 'unlock', 'present'],
      describe('What the door shall do; `present` shows it a code, badge or QR text.'),
    ),
    door: Type.Optional(DoorId('Which door; may be left out when there is one.')),
    method: Type.Optional(OneOf(['code', 'badge', 'qr'], describe('With `present`: what was shown.'))),
    secret: Type.Optional(
      Type.String({
        minLength: 1,
        maxLength: 256,
        pattern: '^[^\\n]*$',
        description: 'With `present`: the code, the number of the badge or the text of the QR code.',
      }),
    ),
    reader: Type.Optional(
      Type.String({
        pattern: '^[a-z0-9_-]{1,32}$',
        description:
          'With `present`: the name of the reader, which the door may know as `wiegand:<name>`. Without it the source is `mqtt`.',
      }),
    ),
    hmac: Type.Optional(
      Type.String({
        pattern: '^[0-9a-f]{64}$',
        description: 'HMAC-SHA-256 of the command, hexadecimal; needed when the door has a command key.',
      }),
    ),
  },
  closed,
);

export const CommandErrorSchema = Type.Object({
  code: Type.String(
    describe('Stable error code; `mqtt.refused`, `mqtt.invalid` and `busy` come from the gate itself.'),
  ),
  message: Type.String(describe('What happened, for people.')),
  fix: Type.Optional(Type.String(describe('What to do about it.'))),
});

export const EnrollResultSchema = Type.Union([
  Type.Object({
    id: Type.String(describe('Id of the command.')),
    ok: Type.Literal(true, describe('The command was carried out.')),
    person: Person,
    samples: Type.Array(
      Type.Object({
        accepted: Type.Boolean(describe('Whether the sample was taken into the gallery.')),
        reason: Type.Optional(Type.String(describe('Why it was not.'))),
        quality: nullable(Quality, 'Null when no face was found.'),
      }),
    ),
  }),
  Type.Object({
    id: Type.String(describe('Id of the command.')),
    ok: Type.Literal(false, describe('The command was refused, or failed.')),
    error: CommandErrorSchema,
  }),
]);

export const EnrollProgressSchema = Type.Object({
  v: Version,
  id: Type.String(describe('Id of the command.')),
  camera: Camera,
  pose: nullable(
    OneOf(['front', 'left', 'right'], describe('')),
    'How the head is wanted now, left and right as the person sees it; null at the end.',
  ),
  taken: Count('Shots that were taken.'),
  wanted: Count('Shots that are asked for; fewer are enough.'),
  advice: OneOf(ADVICE, describe('What is wrong, or what is wanted next.')),
  text: Type.String(describe('The same as a sentence for the person.')),
});

export const ControlSetSchema = Type.Object(
  {
    ...commandHead,
    action: OneOf(
      ['snapshot', 'pause', 'resume'],
      describe(
        '`snapshot`: publish a picture, where `mqtt.snapshots` allows it; `pause`: the cameras recognise nobody until `resume` or the next start.',
      ),
    ),
    camera: Type.Optional(
      Type.String({ minLength: 1, maxLength: 64, description: 'With `snapshot`: which camera.' }),
    ),
  },
  closed,
);

export const ControlResultSchema = Type.Union([
  Type.Object({
    id: Type.String(describe('Id of the command.')),
    ok: Type.Literal(true, describe('The command was carried out.')),
  }),
  Type.Object({
    id: Type.String(describe('Id of the command.')),
    ok: Type.Literal(false, describe('The command was refused, or failed.')),
    error: CommandErrorSchema,
  }),
]);

export const ControlStateSchema = Type.Object({
  v: Version,
  recognition: OneOf(['on', 'paused'], describe('Whether the cameras recognise people.')),
});

export const AuditHeadSchema = Type.Object({
  v: Version,
  seq: Type.Integer({ minimum: 1, description: 'Number of the newest row of the audit.' }),
  hash: Type.String({ pattern: '^[0-9a-f]{64}$', description: 'Its hash.' }),
  time: Time('When this was signed'),
  key: Type.String({
    pattern: '^[A-Za-z0-9_-]{43}$',
    description: 'The public key, Ed25519, raw, base64url. It stays the same: keep the first one you see.',
  }),
  sig: Type.String({
    pattern: '^[A-Za-z0-9_-]{86}$',
    description:
      'Signature over the JSON array `["faced/audit/head/1", seq, time, hash]` in UTF-8, base64url.',
  }),
});

export const LockResultSchema = Type.Union([
  Type.Object({
    id: Type.String(describe('Id of the command.')),
    ok: Type.Literal(true, describe('The command was carried out.')),
    door: DoorId('Which door.'),
    action: OneOf(['lock', 'unlock', 'present'], describe('What was done.')),
    outcome: Type.Optional(
      OneOf(
        ['granted', 'face-wanted'],
        describe('With `present`: the door was opened, or the face is waited for.'),
      ),
    ),
  }),
  Type.Object({
    id: Type.String(describe('Id of the command.')),
    ok: Type.Literal(false, describe('The command was refused, or failed.')),
    error: CommandErrorSchema,
  }),
]);

export const LockStateSchema = Type.Object({
  v: Version,
  time: Time('When something changed'),
  doors: Type.Record(
    Type.String({ pattern: '^[a-z0-9][a-z0-9_-]{0,31}$' }),
    Type.Object({
      state: OneOf(
        ['locked', 'unlocked', 'jammed', 'open too long'],
        describe('What is known of lock and door.'),
      ),
      open: nullable(Type.Boolean(), 'Whether the door stands open; null without a door contact.'),
    }),
    describe('Each door by its id.'),
  ),
});

export const DOOR_EVENTS = [
  'granted',
  'denied',
  'code-wanted',
  'face-wanted',
  'locked-out',
  'spoof',
  'unlock-failed',
  'forced',
] as const;

export const LockEventSchema = Type.Object({
  v: Version,
  id: Ulid('Id of the event'),
  time: Time('When it happened'),
  door: DoorId('Which door.'),
  event: OneOf(DOOR_EVENTS, describe('What happened.')),
  person: nullable(Type.String(), 'Id of the person, never the name; null when there is none.'),
  reason: nullable(Type.String(), 'Why it was denied; null when it was not.'),
  path: nullable(Type.String(), 'What opened: `face`, `face+code`, `code`, `badge`, `qr`, `command`.'),
  track: nullable(Type.String(), 'The person in view, as in `recognition`.'),
  request: nullable(Type.String(), 'Id of the command that this answers.'),
});

export type Status = Static<typeof StatusSchema>;
export type AttemptEvent = Frozen<Static<typeof AttemptSchema>>;
export type LivenessReport = Frozen<Static<typeof LivenessSchema>>;
export type HealthReport = Static<typeof HealthSchema>;
export type GalleryReport = Static<typeof GallerySchema>;
export type EnrollSet = Static<typeof EnrollSetSchema>;
export type EnrollProgress = Static<typeof EnrollProgressSchema>;
export type EnrollResult = Static<typeof EnrollResultSchema>;
export type ControlSet = Static<typeof ControlSetSchema>;
export type ControlState = Static<typeof ControlStateSchema>;
export type LockSet = Static<typeof LockSetSchema>;
export type LockState = Static<typeof LockStateSchema>;
export type LockEvent = Frozen<Static<typeof LockEventSchema>>;

type Frozen<Value> = Value extends object ? { readonly [Key in keyof Value]: Frozen<Value[Key]> } : Value;
type Same<Left, Right> = [Left] extends [Right] ? ([Right] extends [Left] ? true : false) : false;
type WireEvent = Frozen<Omit<Static<typeof RecognitionSchema>, 'sig'>>;
/** The event of the domain and its schema say the same; this line does not compile when they part. */
export const RECOGNITION_MATCHES_DOMAIN: Same<WireEvent, Frozen<RecognitionEvent>> = true;
/** The same of the audit's head. */
export const HEAD_MATCHES_PORT: Same<Frozen<Static<typeof AuditHeadSchema>>, SignedHead> = true;
