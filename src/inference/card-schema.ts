/**
 * The form of a model card and its check. Apart from card.ts because schema and validator take half a second of a
 * small board and 20 MB: they are loaded where a user's own card is read, not in every vision worker.
 */

import { type Static, Type } from '@sinclair/typebox';
import { Ajv } from 'ajv';
import { invalidCard } from './card.js';

const closed = { additionalProperties: false };
const Sha256 = Type.String({ pattern: '^[0-9a-f]{64}$', description: 'SHA-256 of the file, hexadecimal' });
const Name = Type.String({ minLength: 1, maxLength: 200 });
const PerChannel = Type.Union([Type.Number(), Type.Array(Type.Number(), { minItems: 1, maxItems: 3 })]);

const InputSchema = Type.Object(
  {
    name: Name,
    shape: Type.Array(Type.Integer({ minimum: 1, maximum: 4096 }), {
      minItems: 4,
      maxItems: 4,
      description: 'Of one picture: [1,channels,height,width] or [1,height,width,channels]',
    }),
    layout: Type.Union([Type.Literal('nchw'), Type.Literal('nhwc')]),
    order: Type.Union([Type.Literal('bgr'), Type.Literal('rgb'), Type.Literal('grey')]),
    mean: PerChannel,
    scale: PerChannel,
  },
  { ...closed, description: 'The network gets (pixel - mean) * scale' },
);

const Levels = Type.Array(Name, { minItems: 3, maxItems: 3, description: 'At strides 8, 16 and 32' });
const Share = Type.Number({ minimum: 0, maximum: 1 });

const OutputSchema = Type.Union([
  Type.Object(
    { form: Type.Literal('embedding'), name: Name, size: Type.Integer({ minimum: 8, maximum: 4096 }) },
    closed,
  ),
  Type.Object(
    { form: Type.Literal('ultraface'), scores: Name, boxes: Name, minScore: Share, maxIou: Share },
    closed,
  ),
  Type.Object(
    {
      form: Type.Literal('yunet'),
      cls: Levels,
      obj: Levels,
      bbox: Levels,
      kps: Levels,
      minScore: Share,
      maxIou: Share,
    },
    closed,
  ),
  Type.Object({ form: Type.Literal('landmarks68'), name: Name }, closed),
  Type.Object(
    {
      form: Type.Literal('liveness'),
      name: Name,
      classes: Type.Integer({ minimum: 2, maximum: 100 }),
      live: Type.Integer({ minimum: 0, description: 'Which class is a living face' }),
    },
    closed,
  ),
]);

export const CurveSchema = Type.Object(
  {
    data: Type.String({ description: 'What the curve was measured on' }),
    procedure: Type.String({ description: 'What was done to the pictures' }),
    people: Type.Integer({ minimum: 1 }),
    images: Type.Integer({ minimum: 1 }),
    impostorPairs: Type.Integer({ minimum: 1 }),
    genuinePairs: Type.Integer({ minimum: 0 }),
    points: Type.Array(
      Type.Object({ fmr: Share, threshold: Type.Number({ minimum: -1, maximum: 1 }), tmr: Share }, closed),
      {
        minItems: 2,
        description: 'False match rate falling, threshold rising; true match rate at that threshold',
      },
    ),
  },
  closed,
);

const CardSchema = Type.Object(
  {
    id: Type.String({ pattern: '^[a-z0-9][a-z0-9-]{0,62}$' }),
    title: Type.String({ minLength: 1, maxLength: 200 }),
    role: Type.Union([
      Type.Literal('recogniser'),
      Type.Literal('detector'),
      Type.Literal('landmarks'),
      Type.Literal('liveness'),
    ]),
    source: Type.Optional(
      Type.Object(
        {
          npm: Type.String({ pattern: '^(@[a-z0-9._-]+/)?[a-z0-9._-]+@[0-9][0-9A-Za-z.+-]*$' }),
          integrity: Type.String({ pattern: '^sha512-[A-Za-z0-9+/]{86}==$' }),
          path: Type.String({ minLength: 1, description: 'Inside the package' }),
        },
        closed,
      ),
    ),
    file: Type.String({
      minLength: 1,
      maxLength: 500,
      description: 'Relative to the folder of models (shipped cards) or of the card',
    }),
    sha256: Sha256,
    bytes: Type.Integer({ minimum: 1 }),
    licence: Type.String({ minLength: 1 }),
    notes: Type.Optional(Type.String()),
    input: InputSchema,
    output: OutputSchema,
    space: Type.Optional(
      Type.String({ minLength: 1, maxLength: 100, description: 'Embedding space; recognisers only' }),
    ),
    crop: Type.Optional(
      Type.Object(
        { scale: Type.Number({ exclusiveMinimum: 0, maximum: 10 }) },
        { ...closed, description: "How much of the face's box the network sees" },
      ),
    ),
    curve: Type.Optional(CurveSchema),
    made: Type.Optional(
      Type.Record(Type.String(), Type.Unknown(), {
        description: 'How the file was made and what was measured then',
      }),
    ),
  },
  { ...closed, title: 'Model card of faced' },
);

/** What is known of a model: where it comes from, what it eats, what it answers, how sure it is. */
export type ModelCard = Static<typeof CardSchema>;
export type Role = ModelCard['role'];
export type ModelOutput = ModelCard['output'];
export type ModelInput = ModelCard['input'];
export const MODEL_CARD_SCHEMA: object = CardSchema;

const FORMS: Readonly<Record<Role, readonly ModelOutput['form'][]>> = {
  recogniser: ['embedding'],
  detector: ['ultraface', 'yunet'],
  landmarks: ['landmarks68'],
  liveness: ['liveness'],
};

const validate = new Ajv({ allErrors: true, strict: false }).compile<ModelCard>(CardSchema);

/** Checks a card; all mistakes are said at once, each with its path. Throws `model.card-invalid`. */
export function parseCard(text: string, where: string): ModelCard {
  const card = parseJson(text, where);
  if (!validate(card)) {
    const mistakes = (validate.errors ?? [])
      .filter((one) => one.keyword !== 'anyOf' && one.keyword !== 'const')
      .map((one) => `${dotted(one.instancePath)} ${one.message ?? 'is wrong'}`);
    const said = mistakes.length > 0 ? mistakes : ['output.form or role is not one that faced knows'];
    throw invalidCard(where, [...new Set(said)].join('; '));
  }
  const wrong = contradictions(card);
  if (wrong.length > 0) throw invalidCard(where, wrong.join('; '));
  return card;
}

function contradictions(card: ModelCard): string[] {
  const wrong: string[] = [];
  if (!FORMS[card.role].includes(card.output.form)) {
    wrong.push(
      `output.form of a ${card.role} must be ${FORMS[card.role].join(' or ')} (is ${card.output.form})`,
    );
  }
  if (card.role === 'recogniser' && card.space === undefined) wrong.push('space is needed for a recogniser');
  const [batch, second, , fourth] = card.input.shape;
  if (batch !== 1) wrong.push(`input.shape must begin with 1 (is ${batch})`);
  const channels = card.input.layout === 'nchw' ? second : fourth;
  const expected = card.input.order === 'grey' ? 1 : 3;
  if (channels !== expected) {
    wrong.push(`input.shape has ${channels} channels, order ${card.input.order} has ${expected}`);
  }
  if (card.output.form === 'liveness' && card.output.live >= card.output.classes) {
    wrong.push(`output.live must be below output.classes (is ${card.output.live})`);
  }
  const points = card.curve?.points ?? [];
  for (const [index, point] of points.entries()) {
    const before = points[index - 1];
    if (before !== undefined && !(point.fmr < before.fmr && point.threshold > before.threshold)) {
      wrong.push(`curve.points.${index} must have a lower fmr and a higher threshold than the one before`);
    }
  }
  return wrong;
}

function parseJson(text: string, where: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw invalidCard(where, `not JSON: ${cause instanceof Error ? cause.message : String(cause)}`);
  }
}

function dotted(path: string): string {
  return path === '' ? 'the card' : path.slice(1).replaceAll('/', '.');
}
