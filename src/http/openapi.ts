import type { TObject, TSchema } from '@sinclair/typebox';
import type { Route, Who } from './route.js';
import { ErrorAnswer } from './schemas.js';

type Json = Record<string, unknown>;

const PICTURE_TYPES = ['image/jpeg', 'image/png', 'image/webp', 'application/octet-stream'];

/** The OpenAPI 3.1 document: made of the very schemas that requests are held to. */
export function openApi(routes: readonly Route[], about: { version: string }): Json {
  const paths: Record<string, Json> = {};
  for (const one of routes) {
    const path = paths[one.path] ?? {};
    paths[one.path] = path;
    path[one.method.toLowerCase()] = operation(one);
  }
  return {
    openapi: '3.1.0',
    info: {
      title: 'faced',
      version: about.version,
      summary: 'Face recognition for the door.',
      description:
        'Everything but the state of health needs a token (`faced token create --scope recognize`) or a session. Errors have stable codes.',
      license: { name: 'MIT', identifier: 'MIT' },
    },
    servers: [{ url: '/' }],
    tags: [...new Set(routes.map(({ tag }) => tag))].map((name) => ({ name })),
    paths,
    components: {
      schemas: { Error: plain(ErrorAnswer) },
      securitySchemes: {
        token: { type: 'http', scheme: 'bearer', description: 'faced token create' },
        session: { type: 'apiKey', in: 'cookie', name: 'faced_session' },
      },
    },
  };
}

function operation(one: Route): Json {
  const parameters = [...parametersOf(one.params, 'path'), ...parametersOf(one.query, 'query')];
  const body = requestBody(one);
  return {
    operationId: operationId(one),
    tags: [one.tag],
    summary: one.summary,
    description: [one.description, whoSentence(one.who)].filter((line) => line !== undefined).join('\n\n'),
    ...(parameters.length === 0 ? {} : { parameters }),
    ...(body === undefined ? {} : { requestBody: body }),
    ...(one.who === 'anyone' ? { security: [] } : { security: securityOf(one.who) }),
    responses: {
      200: { description: 'Done.', content: answerContent(one.answer) },
      default: {
        description: 'An error, with its stable code. 429 and 503 carry Retry-After.',
        content: { 'application/json': { schema: { $ref: '#/components/schemas/Error' } } },
      },
    },
  };
}

/** `GET /v1/people/{person}/samples` becomes `getV1PeopleSamples`. */
function operationId({ method, path }: Route): string {
  const words = path.split(/[/.\-_]/).filter((part) => part !== '' && !part.startsWith('{'));
  const suffix = path.endsWith('}') ? 'One' : '';
  return method.toLowerCase() + words.map((word) => word[0]?.toUpperCase() + word.slice(1)).join('') + suffix;
}

function parametersOf(schema: TObject | undefined, place: 'path' | 'query'): Json[] {
  return Object.entries(schema?.properties ?? {}).map(([name, property]) => ({
    name,
    in: place,
    required: place === 'path' || (schema?.required ?? []).includes(name),
    ...(typeof property.description === 'string' ? { description: property.description } : {}),
    schema: plain(property),
  }));
}

function requestBody({ body, pictures, stream }: Route): Json | undefined {
  if (stream !== undefined)
    return { required: true, content: { [stream]: { schema: { type: 'string', format: 'binary' } } } };
  if (pictures === undefined)
    return body === undefined
      ? undefined
      : { required: true, content: { 'application/json': { schema: plain(body) } } };
  const fields = (body === undefined ? {} : (plain(body).properties as Json)) ?? {};
  const needed = (body === undefined ? [] : (plain(body).required as string[] | undefined)) ?? [];
  const bytes = { type: 'string', format: 'binary' };
  const base64 = { type: 'string', contentEncoding: 'base64', minLength: 1 };
  const [name, jsonImage, formImage] =
    pictures.most === 1
      ? ['image', base64, bytes]
      : ['images', listOf(base64, pictures), listOf(bytes, pictures)];
  const form = (image: unknown) => ({
    type: 'object',
    properties: { ...fields, [name]: image },
    required: [...needed, name],
  });
  const raw = pictures.least <= 1 && needed.length === 0 ? PICTURE_TYPES : [];
  return {
    required: true,
    content: {
      ...Object.fromEntries(raw.map((type) => [type, { schema: bytes }])),
      'multipart/form-data': { schema: form(formImage) },
      'application/json': { schema: form(jsonImage) },
    },
  };
}

function listOf(items: Json, { least, most }: { least: number; most: number }): Json {
  return { type: 'array', items, minItems: least, maxItems: most };
}

function answerContent(answer: TSchema | string): Json {
  if (typeof answer !== 'string') return { 'application/json': { schema: plain(answer) } };
  const binary = !answer.startsWith('text/') && !answer.endsWith('json');
  return { [answer]: { schema: binary ? { type: 'string', format: 'binary' } : { type: 'string' } } };
}

function securityOf(who: Who): Json[] {
  if (who === 'signed-in') return [{ session: [] }];
  const either = [{ token: [] }, { session: [] }];
  return who === 'local' ? [{}, ...either] : either;
}

function whoSentence(who: Who): string {
  if (who === 'anyone') return 'Open to anyone who reaches the port.';
  if (who === 'local') return 'Open on this machine itself; from elsewhere it needs the scope `read`.';
  if (who === 'signed-in') return 'Needs somebody who is signed in.';
  return `Needs the scope \`${who}\`.`;
}

/** TypeBox keeps symbols beside the schema; they are not part of it. */
function plain(schema: TSchema): Json {
  return JSON.parse(JSON.stringify(schema)) as Json;
}
