import type { Readable } from 'node:stream';
import type { FastifyRequest } from 'fastify';
import { FacedError } from '../domain/errors.js';
import { readHeader } from '../image/header.js';
import type { Pictures } from './route.js';

export interface PictureLimits {
  /** Bytes of one encoded picture. */
  readonly maxBytes: number;
  /** Of one picture; checked against its header before anything is decoded. */
  readonly maxPixels: number;
}

/** What a picture may cost over HTTP: a telephone's 50 megapixels. */
export const MAX_PIXELS = 50_000_000;

/**
 * How many pictures may be under way at once: more are refused with `busy` before a byte of them is read. Bounds the
 * memory for uploads to the number times the size of one.
 */
export class PictureGate {
  readonly #limit: number;
  #inside = 0;

  constructor(limit: number) {
    this.#limit = limit;
  }

  get inside(): number {
    return this.#inside;
  }

  /** Answers the way out, to be called once the request is over. */
  enter(): () => void {
    if (this.#inside >= this.#limit)
      throw new FacedError('busy', `${this.#inside} requests with pictures are under way already`, {
        fix: 'send fewer at a time, and try again after Retry-After',
      });
    this.#inside++;
    let left = false;
    return () => {
      if (left) return;
      left = true;
      this.#inside--;
    };
  }
}

export interface ReadBody {
  readonly pictures: readonly Uint8Array[];
  /** The other fields: of a form as text, of JSON as they are. */
  readonly fields: Record<string, unknown>;
}

/** The pictures of a request: raw, the files of a multipart form, or base64 in the JSON fields `image` or `images`. */
export async function readPictures(
  request: FastifyRequest,
  wanted: Pictures,
  limits: PictureLimits,
): Promise<ReadBody> {
  const read = request.isMultipart() ? await fromForm(request, wanted, limits) : fromBody(request);
  const { pictures } = read;
  if (pictures.length < wanted.least || pictures.length > wanted.most) {
    const count = wanted.least === wanted.most ? `${wanted.least}` : `${wanted.least} to ${wanted.most}`;
    throw new FacedError('http.invalid', `this takes ${count} pictures (there are ${pictures.length})`, {
      fix: 'send a picture as the body, as files of a multipart form, or as base64 in the JSON field image',
    });
  }
  for (const picture of pictures) checkPicture(picture, limits);
  return read;
}

async function fromForm(
  request: FastifyRequest,
  { most }: Pictures,
  { maxBytes }: PictureLimits,
): Promise<ReadBody> {
  const pictures: Uint8Array[] = [];
  const fields: Record<string, unknown> = {};
  const parts = request.parts({
    limits: {
      // One more than is allowed: that it came is how a file that is too large shows.
      fileSize: maxBytes + 1,
      files: most,
      fields: 16,
      fieldSize: 4096,
      parts: most + 16,
      headerPairs: 16,
    },
  });
  try {
    for await (const part of parts) {
      if (part.type === 'file') pictures.push(await contentOf(part.file, maxBytes));
      else if (!FORBIDDEN_FIELDS.has(part.fieldname)) fields[part.fieldname] = part.value;
    }
  } catch (error) {
    // Limits have a status of their own; what the parser says of a form that breaks off has none.
    if (error instanceof FacedError || (error instanceof Error && 'statusCode' in error)) throw error;
    throw new FacedError('http.invalid', 'the form is cut off or malformed', { cause: error });
  }
  return { pictures, fields };
}

/** Refuses a file as soon as it is too large: toBuffer() of the form's parser would wait until the sender ends it. */
async function contentOf(file: Readable, maxBytes: number): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of file as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > maxBytes) throw new FacedError('image.too-large', `a picture may have ${maxBytes} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

const FORBIDDEN_FIELDS = new Set(['__proto__', 'constructor', 'prototype']);

function fromBody(request: FastifyRequest): ReadBody {
  const { body } = request;
  if (Buffer.isBuffer(body)) return { pictures: body.length === 0 ? [] : [body], fields: {} };
  if (typeof body !== 'object' || body === null) return { pictures: [], fields: {} };
  const { image, images, ...fields } = body as Record<string, unknown>;
  const encoded = [...(image === undefined ? [] : [image]), ...(Array.isArray(images) ? images : [])];
  return { pictures: encoded.map(fromBase64), fields };
}

/** Plain base64, or a data: address as browsers make them. */
function fromBase64(value: unknown): Uint8Array {
  const text = typeof value === 'string' ? value.replace(/^data:[a-z]+\/[a-z0-9.+-]+;base64,/i, '') : '';
  const bytes = Buffer.from(text, 'base64');
  // Buffer.from passes over what is not base64: what comes out must be about as long as it says.
  if (bytes.length === 0 || bytes.length < Math.floor((text.length * 3) / 4) - 2)
    throw new FacedError('http.invalid', 'an image in JSON has to be base64');
  return bytes;
}

/** From its first bytes, in this thread: what is no picture, or a bomb, never reaches the queue. */
function checkPicture(bytes: Uint8Array, { maxBytes, maxPixels }: PictureLimits): void {
  if (bytes.byteLength > maxBytes)
    throw new FacedError('image.too-large', `a picture may have ${maxBytes} bytes`);
  const header = readHeader(bytes);
  if (header === null)
    throw new FacedError('image.unreadable', 'this is not a JPEG, PNG, WebP, BMP, GIF or TIFF picture');
  if (header.width * header.height > maxPixels)
    throw new FacedError(
      'image.too-large',
      `the picture says that it has ${header.width}x${header.height} pixels; ${maxPixels} are allowed`,
    );
}
