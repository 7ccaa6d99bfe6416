import { readdir, readFile } from 'node:fs/promises';
import { dirname, join, relative, resolve, sep } from 'node:path';
import { Ajv } from 'ajv';
import Type, { type Static } from 'typebox';
import { FacedError } from '../domain/errors.js';

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
  },
  { ...closed, title: 'Model card of faced' },
);

/** What is known of a model: where it comes from, what it eats, what it answers, how sure it is. */
export type ModelCard = Static<typeof CardSchema>;
export type Role = ModelCard['role'];
export type ModelOutput = ModelCard['output'];
export type ModelInput = ModelCard['input'];
export const MODEL_CARD_SCHEMA: object = CardSchema;

/** A card and the absolute path its model file has, or would have. */
export interface PlacedCard {
  readonly card: ModelCard;
  readonly path: string;
  /** Shipped with faced, or brought by the user. */
  readonly origin: 'shipped' | 'user';
}

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
    throw invalid(where, [...new Set(said)].join('; '));
  }
  const wrong = contradictions(card);
  if (wrong.length > 0) throw invalid(where, wrong.join('; '));
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

/** Height, width and channels of a card's input. */
export function inputSize(input: ModelInput): { width: number; height: number; channels: number } {
  const [, a = 0, b = 0, c = 0] = input.shape;
  return input.layout === 'nchw'
    ? { channels: a, height: b, width: c }
    : { height: a, width: b, channels: c };
}

/** The cards that come with faced, beside its code. */
export const SHIPPED_CARDS: string = join(import.meta.dirname, '..', '..', '..', 'models');

/**
 * All cards: those shipped, and the user's own: `*.json` in the folder of models and in its `cards/`. A user's card
 * may replace a shipped one of the same id. A card whose file leaves its folder is refused.
 */
export async function loadCards(
  modelsDir: string,
  shipped = SHIPPED_CARDS,
): Promise<Map<string, PlacedCard>> {
  const cards = new Map<string, PlacedCard>();
  for (const path of await jsonFiles(shipped)) {
    const card = parseCard(await readFile(path, 'utf8'), path);
    cards.set(card.id, { card, path: inside(modelsDir, card.file, path), origin: 'shipped' });
  }
  for (const folder of [modelsDir, join(modelsDir, 'cards')]) {
    for (const path of await jsonFiles(folder)) {
      const text = await readFile(path, 'utf8');
      if (isVariantNote(text)) continue;
      const card = parseCard(text, path);
      const earlier = cards.get(card.id);
      if (earlier?.origin === 'user') throw invalid(path, `a second card has the id ${card.id}`);
      cards.set(card.id, { card, path: inside(dirname(path), card.file, path), origin: 'user' });
    }
  }
  return cards;
}

/** One model file with a card of its own beside it: `x.onnx` and `x.json`. */
export async function loadCardBeside(modelFile: string): Promise<PlacedCard> {
  const path = `${modelFile.replace(/\.onnx$/, '')}.json`;
  const text = await readFile(path, 'utf8').catch((cause: unknown) => {
    throw new FacedError('model.unknown', `${modelFile} has no card ${path}`, {
      fix: 'Write a model card beside the file; docs/models.md shows one.',
      cause,
    });
  });
  const card = parseCard(text, path);
  return { card, path: inside(dirname(path), card.file, path), origin: 'user' };
}

/** A derived variant's note lies beside the models and is not a card. */
function isVariantNote(text: string): boolean {
  return text.includes('"derivedFrom"');
}

function inside(folder: string, file: string, card: string): string {
  const path = resolve(folder, file);
  const way = relative(resolve(folder), path);
  if (way === '' || way === '..' || way.startsWith(`..${sep}`) || resolve(way) === way) {
    throw invalid(card, `file must stay inside ${folder} (is ${file})`);
  }
  return path;
}

async function jsonFiles(folder: string): Promise<string[]> {
  const names = await readdir(folder).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return [];
    throw error;
  });
  return names
    .filter((name) => name.endsWith('.json'))
    .sort()
    .map((name) => join(folder, name));
}

function parseJson(text: string, where: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw invalid(where, `not JSON: ${cause instanceof Error ? cause.message : String(cause)}`);
  }
}

function dotted(path: string): string {
  return path === '' ? 'the card' : path.slice(1).replaceAll('/', '.');
}

function invalid(where: string, what: string): FacedError {
  return new FacedError('model.card-invalid', `${where}: ${what}`, {
    fix: 'Correct the card, or take it out of the folder of models.',
  });
}
