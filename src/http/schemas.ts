import { type TSchema, Type } from '@sinclair/typebox';
import { SCOPES } from '../domain/access.js';

/** The forms that several routes share: validation, types and the OpenAPI document all come from these. */

export function orNull<S extends TSchema>(schema: S) {
  return Type.Union([schema, Type.Null()]);
}

export function oneOf<const T extends string>(values: readonly T[], description?: string) {
  return Type.Unsafe<T>({
    type: 'string',
    enum: [...values],
    ...(description === undefined ? {} : { description }),
  });
}

export function object<P extends Parameters<typeof Type.Object>[0]>(properties: P, description?: string) {
  return Type.Object(properties, {
    additionalProperties: false,
    ...(description === undefined ? {} : { description }),
  });
}

export const Id = Type.String({ pattern: '^[0-9A-HJKMNP-TV-Z]{26}$', description: 'A ULID.' });
export const Name = Type.String({ minLength: 1, maxLength: 200, description: 'A name as people write it.' });
export const ScopeForm = oneOf(SCOPES);
export const Time = Type.String({ format: 'date-time', description: 'RFC 3339, UTC.' });

const Numbers = (count: number, description: string) =>
  Type.Unsafe<readonly number[]>({
    type: 'array',
    items: { type: 'number' },
    minItems: count,
    maxItems: count,
    description,
  });

export const Box = Numbers(4, 'x, y, width, height in pixels of the picture.');
export const Landmarks = Type.Unsafe<readonly (readonly number[])[]>({
  type: 'array',
  items: Numbers(2, 'x, y'),
  description: 'Left eye, right eye, nose tip, left and right corner of the mouth, as seen in the picture.',
});

export const Quality = object(
  {
    size: Type.Number({ description: 'Shorter side of the face, pixels.' }),
    sharpness: Type.Number({ description: 'Variance of the Laplacian of the aligned crop.' }),
    yaw: Type.Number({ description: 'Degrees; 0 is frontal.' }),
    pitch: Type.Number({ description: 'Degrees; 0 is level.' }),
    roll: Type.Number({ description: 'Degrees; 0 is upright.' }),
    brightness: Type.Number({ description: 'Mean grey level, 0 to 255.' }),
    score: Type.Number({ description: '0 (useless) to 1 (a passport photograph).' }),
  },
  'What makes a face fit, or unfit, to be recognised.',
);

export const PersonRef = object({ id: Id, name: Type.String() });

export const Person = object({
  id: Id,
  name: Type.String(),
  samples: Type.Integer(),
  createdAt: Type.Integer({ description: 'Milliseconds since 1970.' }),
  updatedAt: Type.Integer({ description: 'Milliseconds since 1970.' }),
});

export const DecisionKind = oneOf(['known', 'unknown', 'ambiguous', 'spoof', 'poor'] as const);

export const Face = object(
  {
    box: Box,
    landmarks: Landmarks,
    score: Type.Number({ description: 'The detector’s confidence, 0 to 1.' }),
    quality: Quality,
    liveness: orNull(Type.Number({ description: '0 (a picture) to 1 (alive), by the passive model.' })),
    decision: DecisionKind,
    poor: orNull(Type.String({ description: 'Why the face is too poor to be recognised.' })),
    person: orNull(PersonRef),
    similarity: Type.Optional(
      orNull(Type.Number({ description: 'Cosine to the nearest person. With the read scope only.' })),
    ),
    runnerUp: Type.Optional(
      orNull(Type.Number({ description: 'Cosine to the next other person. With the read scope only.' })),
    ),
    threshold: Type.Optional(
      orNull(Type.Number({ description: 'What the similarity had to reach. With the read scope only.' })),
    ),
    embedding: Type.Optional(
      orNull(
        Type.Array(Type.Number(), {
          description: 'A unit vector in the recogniser’s space. With the read scope only.',
        }),
      ),
    ),
  },
  'A face of a picture.',
);

/** How a camera is, in the health report and in the list of cameras. */
export const CameraHealth = object({
  camera: Type.String(),
  state: Type.String(),
  received: Type.Integer(),
  dropped: Type.Integer(),
  reopened: Type.Integer(),
  problem: orNull(Type.String()),
  fps: orNull(Type.Number({ description: 'Frames a second that were looked at, over the last seconds.' })),
});

export const ErrorAnswer = object({
  error: object({
    code: Type.String({ description: 'Stable; never used for something else.' }),
    message: Type.String({ description: 'For people.' }),
    fix: Type.Optional(Type.String({ description: 'What to do about it.' })),
  }),
});

export const Done = object({ done: Type.Literal(true) });
export const DONE = { done: true } as const;
