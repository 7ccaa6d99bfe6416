import { Type } from '@sinclair/typebox';
import { mayDo } from '../../domain/access.js';
import { FacedError } from '../../domain/errors.js';
import { facesOf, type RecognisedFace, recognisePicture } from '../../pipeline/recognise-picture.js';
import { similarity } from '../../vision/similarity.js';
import type { HttpParts } from '../parts.js';
import { type Asked, type Route, route } from '../route.js';
import { Box, Face, object, orNull } from '../schemas.js';

const Vector = Type.Array(Type.Number());
const ONE = { least: 1, most: 1 } as const;

/** Questions about pictures. None of them causes an event or moves a door. */
export function recogniseRoutes(parts: HttpParts): Route[] {
  const recognised = async (asked: Asked<unknown, unknown, unknown>) => {
    const faces = await recognisePicture(parts, picture(asked.pictures));
    return { faces, seesAll: asked.principal !== null && mayDo(asked.principal.scopes, 'read') };
  };
  return [
    route({
      method: 'POST',
      path: '/v1/recognize',
      tag: 'recognise',
      summary: 'Who is in a picture',
      description:
        'Every face, best first. How similar a face is, and its embedding, are told with the read scope only: a token that may merely recognise cannot climb towards a face. No event and no door follows from it.',
      who: 'recognize',
      pictures: ONE,
      answer: object({ faces: Type.Array(Face) }),
      handle: async (asked) => {
        const { faces, seesAll } = await recognised(asked);
        return { faces: faces.map((face) => told(face, seesAll)) };
      },
    }),
    route({
      method: 'POST',
      path: '/recognize',
      tag: 'recognise',
      summary: 'Who is in a picture, and the embedding of its main face',
      description: 'An alias of /v1/recognize. The embedding is null without the read scope.',
      who: 'recognize',
      pictures: ONE,
      answer: object({ embedding: orNull(Vector), faces: Type.Array(Face) }),
      handle: async (asked) => {
        const { faces, seesAll } = await recognised(asked);
        return {
          embedding: seesAll ? mainVector(faces) : null,
          faces: faces.map((face) => told(face, seesAll)),
        };
      },
    }),
    route({
      method: 'POST',
      path: '/v1/embed',
      tag: 'recognise',
      summary: 'The embeddings of the faces of a picture',
      who: 'read',
      pictures: ONE,
      answer: object({
        faces: Type.Array(
          object({
            box: Box,
            poor: orNull(Type.String()),
            space: orNull(Type.String()),
            embedding: orNull(Vector),
          }),
        ),
      }),
      handle: async ({ pictures }) => {
        const faces = await facesOf(parts, picture(pictures));
        return {
          faces: faces.map(({ face: { box }, poor, embedding }) => ({
            box: [box.x, box.y, box.width, box.height],
            poor,
            space: embedding?.space ?? null,
            embedding: embedding === null ? null : [...embedding.vector],
          })),
        };
      },
    }),
    route({
      method: 'POST',
      path: '/v1/compare',
      tag: 'recognise',
      summary: 'Whether two pictures show the same person',
      description: 'The main face of each: the largest near the middle.',
      who: 'read',
      pictures: { least: 2, most: 2 },
      answer: object({ similarity: Type.Number({ description: 'Cosine, -1 to 1.' }) }),
      handle: async ({ pictures }) => {
        const [first, second] = [
          await mainEmbedding(parts, picture(pictures)),
          await mainEmbedding(parts, picture(pictures.slice(1))),
        ];
        return { similarity: similarity(first, second) };
      },
    }),
  ];
}

function picture([first]: readonly Uint8Array[]): Uint8Array {
  if (first === undefined) throw new FacedError('http.invalid', 'there is no picture in the request');
  return first;
}

function told({ embedding, similarity, runnerUp, threshold, ...face }: RecognisedFace, seesAll: boolean) {
  if (!seesAll) return face;
  return { ...face, similarity, runnerUp, threshold, embedding: embedding && [...embedding.vector] };
}

/** The largest of those that could be embedded. */
function mainVector(faces: readonly RecognisedFace[]): number[] | null {
  const area = ({ box }: RecognisedFace) => box[2] * box[3];
  const [main] = faces.filter((face) => face.embedding !== null).sort((a, b) => area(b) - area(a));
  return main?.embedding ? [...main.embedding.vector] : null;
}

async function mainEmbedding(parts: HttpParts, image: Uint8Array) {
  const faces = await facesOf(parts, image, { largestOnly: true });
  const found = faces.find(({ embedding }) => embedding !== null)?.embedding;
  if (found) return found;
  const [main] = faces;
  if (main === undefined) throw new FacedError('enroll.no-face', 'no face was found in one of the pictures');
  throw new FacedError('enroll.poor', `a face is too poor to be compared (${main.poor ?? 'quality'})`);
}
