import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { ERROR_CODES } from '../../src/domain/errors.js';

/** The parts of OpenAPI that a request is made of. */
export interface OpenApi {
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
}

interface Operation {
  readonly parameters?: readonly { name: string; in: string; required: boolean; schema: Schema }[];
  readonly requestBody?: { readonly content: Readonly<Record<string, { readonly schema: Schema }>> };
}

type Schema = Readonly<Record<string, unknown>>;

export interface Shot {
  readonly method: string;
  readonly path: string;
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | Buffer | undefined;
}

const STRANGE = fc.constantFrom<unknown>(
  null,
  '',
  ' ',
  '../../etc/passwd',
  '\u0000',
  '💥',
  'a'.repeat(5000),
  -1,
  0,
  1e308,
  2 ** 53,
  true,
  [],
  {},
  [[[[[]]]]],
  { __proto__: { admin: true } },
  "' OR 1=1 --",
  '01ARZ3NDEKTSV4RRFFQ69G5FAV',
);

/** Mostly what the schema asks for, now and then what it does not. */
function anyOf(schema: Schema): fc.Arbitrary<unknown> {
  return fc.oneof({ weight: 5, arbitrary: fitting(schema) }, { weight: 1, arbitrary: STRANGE });
}

function fitting(schema: Schema): fc.Arbitrary<unknown> {
  if (Array.isArray(schema.enum)) return fc.constantFrom(...(schema.enum as unknown[]));
  if (Array.isArray(schema.anyOf)) return fc.oneof(...(schema.anyOf as Schema[]).map(anyOf));
  if (typeof schema.pattern === 'string') return fc.stringMatching(new RegExp(schema.pattern));
  switch (schema.type) {
    case 'integer':
      return fc.integer(range(schema));
    case 'number':
      return fc.double();
    case 'boolean':
      return fc.boolean();
    case 'array':
      return fc.array(anyOf((schema.items ?? {}) as Schema), { maxLength: 4 });
    case 'object':
      return objectOf(schema);
    case 'string':
      return fc.string({ unit: 'grapheme', maxLength: 40 });
    default:
      return fc.jsonValue({ maxDepth: 3 });
  }
}

function range({ minimum, maximum }: Schema): { min?: number; max?: number } {
  return {
    ...(typeof minimum === 'number' ? { min: minimum } : {}),
    ...(typeof maximum === 'number' ? { max: maximum } : {}),
  };
}

function objectOf({ properties = {}, patternProperties }: Schema): fc.Arbitrary<unknown> {
  if (patternProperties !== undefined)
    return fc.dictionary(fc.string(), fc.jsonValue({ maxDepth: 2 }), { maxKeys: 4 });
  const fields = Object.entries(properties as Record<string, Schema>);
  return fc.record(Object.fromEntries(fields.map(([name, one]) => [name, anyOf(one)])), {
    requiredKeys: [],
  });
}

/** A picture that may be whole, cut off, or changed. */
function pictureFrom(files: readonly Buffer[]): fc.Arbitrary<Buffer> {
  const changed = fc
    .tuple(fc.constantFrom(...files), fc.double({ min: 0, max: 1, noNaN: true }), fc.boolean())
    .map(([file, at, cut]) => {
      const offset = Math.floor(at * file.length);
      if (cut) return file.subarray(0, offset);
      const copy = Buffer.from(file);
      randomBytes(16).copy(copy, Math.min(offset, copy.length - 16));
      return copy;
    });
  const noise = fc.uint8Array({ maxLength: 2000 }).map((bytes) => Buffer.from(bytes));
  return fc.oneof(fc.constantFrom(...files), changed, noise);
}

/** One request to any operation of the document. */
export function shotsAt(document: OpenApi, pictures: readonly string[]): fc.Arbitrary<Shot> {
  const files = pictures.map((path) => readFileSync(path));
  const picture = pictureFrom(files);
  const operations = Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({ path, method, operation })),
  );
  return fc.constantFrom(...operations).chain(({ path, method, operation }) => {
    const { parameters = [], requestBody } = operation;
    const values = fc.record(
      Object.fromEntries(parameters.map(({ name, schema }) => [name, anyOf(schema)])),
      { requiredKeys: parameters.filter((one) => one.in === 'path').map(({ name }) => name) },
    );
    const body = requestBody === undefined ? fc.constant(null) : bodyOf(requestBody.content, picture);
    return fc.tuple(values, body).map(([given, made]): Shot => {
      let url = path;
      const query = new URLSearchParams();
      for (const { name, in: place } of parameters) {
        const value = (given as Record<string, unknown>)[name];
        if (value === undefined) continue;
        // A lone surrogate has no UTF-8; encodeURIComponent refuses it.
        const text = (typeof value === 'string' ? value : JSON.stringify(value)).replace(/\p{Cs}/gu, '?');
        if (place === 'path') url = url.replace(`{${name}}`, encodeURIComponent(text));
        else query.set(name, text);
      }
      return {
        ...{ method: method.toUpperCase(), path, url: query.size === 0 ? url : `${url}?${query}` },
        headers: made === null ? {} : { 'content-type': made.type },
        body: made?.bytes,
      };
    });
  });
}

function bodyOf(
  content: Readonly<Record<string, { readonly schema: Schema }>>,
  picture: fc.Arbitrary<Buffer>,
): fc.Arbitrary<{ type: string; bytes: string | Buffer }> {
  type Body = fc.Arbitrary<{ type: string; bytes: string | Buffer }>;
  return fc.constantFrom(...Object.entries(content)).chain(([type, { schema }]): Body => {
    if (type === 'application/json')
      return fc.oneof(
        {
          weight: 6,
          arbitrary: anyOf(schema).map((value) => ({ type, bytes: JSON.stringify(value) ?? '' })),
        },
        { weight: 1, arbitrary: fc.string().map((bytes) => ({ type, bytes })) },
        {
          weight: 2,
          arbitrary: picture.map((file) => ({
            type,
            bytes: JSON.stringify({ image: file.toString('base64') }),
          })),
        },
      );
    if (type === 'multipart/form-data')
      return fc.tuple(picture, anyOf({ type: 'string' }), fc.boolean()).map(([file, name, whole]) => {
        const bytes = multipart(file, String(name));
        return { type: `${type}; boundary=x`, bytes: whole ? bytes : bytes.subarray(0, bytes.length >> 1) };
      });
    return picture.map((bytes) => ({ type, bytes }));
  });
}

function multipart(file: Buffer, name: string): Buffer {
  const field = `--x\r\nContent-Disposition: form-data; name="name"\r\n\r\n${name}\r\n`;
  const head =
    '--x\r\nContent-Disposition: form-data; name="image"; filename="a.jpg"\r\nContent-Type: image/jpeg\r\n\r\n';
  return Buffer.concat([Buffer.from(field + head), file, Buffer.from('\r\n--x--\r\n')]);
}

/** What is wrong with the answer to a request; null when nothing is. */
export async function fire(
  base: string,
  token: string,
  shot: Shot,
): Promise<{ status: number; wrong: string | null }> {
  const abort = AbortSignal.timeout(60_000);
  const response = await fetch(base + shot.url, {
    method: shot.method,
    headers: { ...shot.headers, authorization: `Bearer ${token}` },
    signal: abort,
    ...(shot.body === undefined || shot.method === 'GET' ? {} : { body: shot.body as string }),
  });
  const type = response.headers.get('content-type') ?? '';
  const { status } = response;
  if (/^(text\/event-stream|multipart)/.test(type)) {
    await response.body?.cancel();
    return { status, wrong: null };
  }
  const text = await response.text();
  if (status < 400) return { status, wrong: null };
  const code = type.startsWith('application/json')
    ? (JSON.parse(text) as { error?: { code?: string } }).error?.code
    : undefined;
  const known = code !== undefined && code in ERROR_CODES && code !== 'internal';
  const tells = /node_modules|\.js:\d+|\/home\/|\/tmp\//.test(text);
  return { status, wrong: known && !tells ? null : `${status} ${text.slice(0, 300)}` };
}
