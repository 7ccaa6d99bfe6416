import { Type } from '@sinclair/typebox';
import { mayDo } from '../../domain/access.js';
import { ERROR_CODES, FacedError } from '../../domain/errors.js';
import type { EnrolledPicture } from '../../pipeline/service.js';
import type { Context } from '../context.js';
import { errorReply } from '../errors.js';
import { type Asked, type Route, route } from '../route.js';
import { DONE, Done, Id, Name, object, orNull, Person, PersonRef, Quality } from '../schemas.js';
import { openStream } from '../sse.js';

const One = object({ person: Id });
const TheSample = object({ person: Id, sample: Id });
const Sample = object({
  id: Id,
  space: Type.String({ description: 'The embedding space of the sample.' }),
  quality: Quality,
  createdAt: Type.Integer({ description: 'Milliseconds since 1970.' }),
  image: Type.Boolean({ description: 'Whether its picture was kept.' }),
});
const Enrolled = object({
  accepted: Type.Boolean(),
  person: orNull(PersonRef),
  quality: orNull(Quality),
  code: orNull(Type.String({ description: 'Why it was refused; stable.' })),
  reason: orNull(Type.String({ description: 'The same for people.' })),
});
const Force = Type.Boolean({
  default: false,
  description: 'Take the face although it looks like somebody else’s, or unlike this person’s others.',
});

/** Who is in the gallery. */
export function peopleRoutes({ service, stopping }: Context): Route[] {
  return [
    route({
      method: 'GET',
      path: '/v1/people',
      tag: 'people',
      summary: 'Everybody in the gallery',
      who: 'read',
      answer: object({ people: Type.Array(Person) }),
      handle: async () => ({ people: await service.people() }),
    }),
    route({
      method: 'POST',
      path: '/v1/people',
      tag: 'people',
      summary: 'Make a person from one or several pictures',
      description:
        'The same as /v1/enroll for several pictures of one person, which are judged together. A person without a sample would never be recognised, so nobody is made without one.',
      who: 'enroll',
      pictures: { least: 1, most: 8 },
      body: object({ name: Name, force: Type.Optional(Force) }),
      answer: object({ person: orNull(PersonRef), samples: Type.Array(Enrolled) }),
      handle: async ({ body, pictures, actor, principal }) => {
        const { name, force = false } = body;
        const outcomes = await service.enrollPictures({ name, force, images: pictures, actor });
        const accepted = outcomes.find((one) => one.accepted);
        return {
          person: accepted?.accepted ? accepted.person : null,
          samples: outcomes.map((one) => told(one, { principal })),
        };
      },
    }),
    route({
      method: 'GET',
      path: '/v1/people/{person}',
      tag: 'people',
      summary: 'One person, with the samples',
      who: 'read',
      params: One,
      answer: object({ person: Person, samples: Type.Array(Sample) }),
      handle: async ({ params }) => ({
        person: await find(params.person),
        samples: await service.keeping.samples({ person: params.person }),
      }),
    }),
    route({
      method: 'PATCH',
      path: '/v1/people/{person}',
      tag: 'people',
      summary: 'Give a person another name',
      who: 'enroll',
      params: One,
      body: object({ name: Name }),
      answer: PersonRef,
      handle: async ({ params, body, actor }) => {
        const { id, name } = await service.rename({ person: params.person, name: body.name, actor });
        return { id, name };
      },
    }),
    route({
      method: 'DELETE',
      path: '/v1/people/{person}',
      tag: 'people',
      summary: 'Remove a person and all samples',
      who: 'admin',
      params: One,
      answer: Done,
      handle: async ({ params, actor }) => {
        await service.remove({ person: params.person, actor });
        return DONE;
      },
    }),
    route({
      method: 'POST',
      path: '/v1/people/{person}/merge',
      tag: 'people',
      summary: 'Two entries are the same person: the other’s samples join this one, and the other is removed',
      who: 'admin',
      params: One,
      body: object({ from: Id }),
      answer: PersonRef,
      handle: ({ params, body, actor }) =>
        service.keeping.merge({ into: params.person, from: body.from, actor }),
    }),
    route({
      method: 'POST',
      path: '/v1/people/{person}/samples',
      tag: 'people',
      summary: 'More pictures of a person',
      who: 'enroll',
      params: One,
      pictures: { least: 1, most: 8 },
      body: object({ force: Type.Optional(Force) }),
      answer: object({ samples: Type.Array(Enrolled) }),
      handle: async ({ params, body, pictures, actor, principal }) => {
        const { name } = await find(params.person);
        const { force = false } = body;
        const outcomes = await service.enrollPictures({ name, force, images: pictures, actor });
        return { samples: outcomes.map((one) => told(one, { principal })) };
      },
    }),
    route({
      method: 'DELETE',
      path: '/v1/people/{person}/samples/{sample}',
      tag: 'people',
      summary: 'Remove one sample',
      who: 'admin',
      params: TheSample,
      answer: Done,
      handle: async ({ params, actor }) => {
        await mustBeOf(params);
        await service.keeping.removeSample({ sample: params.sample, actor });
        return DONE;
      },
    }),
    route({
      method: 'GET',
      path: '/v1/people/{person}/samples/{sample}/image',
      tag: 'people',
      summary: 'The picture of a sample, where pictures are kept (gallery.keepImages)',
      who: 'read',
      params: TheSample,
      answer: 'image/jpeg',
      handle: async ({ params, reply }) => {
        await mustBeOf(params);
        const image = await service.keeping.sampleImage({ sample: params.sample });
        reply.type('image/jpeg').header('cache-control', 'private, max-age=3600');
        return Buffer.from(image);
      },
    }),
    route({
      method: 'POST',
      path: '/v1/enroll',
      tag: 'people',
      summary: 'Learn a person from a picture',
      description:
        'The picture shows one face. The person is made with the first sample that is accepted; one that is refused is no error: `code` says why.',
      who: 'enroll',
      pictures: { least: 1, most: 1 },
      body: object({ name: Name, force: Type.Optional(Force) }),
      answer: Enrolled,
      handle: async ({ body, pictures, actor, principal }) => {
        const [image] = pictures;
        if (image === undefined) throw new FacedError('http.invalid', 'there is no picture in the request');
        const { name, force = false } = body;
        return told(await service.enroll({ name, force, image, actor }), { principal });
      },
    }),
    route({
      method: 'POST',
      path: '/v1/enroll/camera',
      tag: 'people',
      summary: 'Lead somebody in front of a camera through an enrolment',
      description:
        'Server-sent events: `progress` says what to change (`advice` and `text`) and how far it is (`taken` of `wanted`), then `done` carries the samples, or `failed` an error. Closing the connection calls it off; nothing is kept then.',
      who: 'enroll',
      body: object({
        name: Name,
        camera: Type.Optional(orNull(Type.String({ minLength: 1, maxLength: 64 }))),
        force: Type.Optional(Force),
      }),
      answer: 'text/event-stream',
      handle: async ({ body, actor, reply, principal }) => {
        const { name, camera = null, force = false } = body;
        const stream = openStream(reply, stopping);
        if (stream === null) return reply;
        const gone = new AbortController();
        stream.onClose(() => gone.abort());
        const context = {
          signal: gone.signal,
          progress: (value: unknown) => stream.send('progress', value as object),
        };
        try {
          const outcomes = await service.enrollFromCamera({ name, camera, force, actor }, context);
          const accepted = outcomes.find((one) => one.accepted);
          stream.send('done', {
            person: accepted?.accepted ? accepted.person : null,
            samples: outcomes.map((one) => told(one, { principal })),
          });
        } catch (error) {
          stream.send('failed', errorReply(error).body);
        }
        stream.end();
        return reply;
      },
    }),
  ];

  async function find(id: string) {
    const person = (await service.people()).find((one) => one.id === id);
    if (person === undefined) throw new FacedError('gallery.not-found', 'nobody has this id');
    return person;
  }

  async function mustBeOf({ person, sample }: { person: string; sample: string }): Promise<void> {
    const samples = await service.keeping.samples({ person });
    if (!samples.some(({ id }) => id === sample))
      throw new FacedError('gallery.not-found', 'this person has no such sample');
  }
}

/** Whose face it is already is for those to know who may read the gallery. */
function told(outcome: EnrolledPicture, { principal }: Pick<Asked<unknown, unknown, unknown>, 'principal'>) {
  if (!outcome.accepted) {
    const { code, quality } = outcome;
    const named = principal !== null && mayDo(principal.scopes, 'read');
    const reason = code === 'enroll.duplicate' && !named ? ERROR_CODES[code] : outcome.reason;
    return { accepted: false, person: null, quality, code, reason };
  }
  const { person, quality } = outcome;
  return { accepted: true, person, quality, code: null, reason: null };
}
