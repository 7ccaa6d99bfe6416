import { Type } from '@sinclair/typebox';
import { FacedError } from '../../domain/errors.js';
import type { Context } from '../context.js';
import { type Route, route } from '../route.js';
import { DONE, Done, Id, Name, object, orNull, Person, PersonRef, Quality } from '../schemas.js';

const One = object({ person: Id });
const Sample = object({
  id: Id,
  space: Type.String({ description: 'The embedding space of the sample.' }),
  quality: Quality,
  createdAt: Type.Integer({ description: 'Milliseconds since 1970.' }),
});
const Enrolled = object({
  accepted: Type.Boolean(),
  person: orNull(PersonRef),
  quality: orNull(Quality),
  code: orNull(Type.String({ description: 'Why it was refused; stable.' })),
  reason: orNull(Type.String({ description: 'The same for people.' })),
});

/** Who is in the gallery. */
export function peopleRoutes({ service, store }: Context): Route[] {
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
      method: 'GET',
      path: '/v1/people/{person}',
      tag: 'people',
      summary: 'One person, with the samples',
      who: 'read',
      params: One,
      answer: object({ person: Person, samples: Type.Array(Sample) }),
      handle: async ({ params }) => ({
        person: await find(params.person),
        samples: (await store.samples(params.person)).map(({ id, space, quality, createdAt }) => ({
          ...{ id, space, quality, createdAt },
        })),
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
      path: '/v1/enroll',
      tag: 'people',
      summary: 'Learn a person from a picture',
      description:
        'The picture shows one face. The person is made with the first sample that is accepted; one that is refused is no error: `code` says why.',
      who: 'enroll',
      pictures: { least: 1, most: 1 },
      body: object({ name: Name }),
      answer: Enrolled,
      handle: async ({ body, pictures, actor }) => {
        const [image] = pictures;
        if (image === undefined) throw new FacedError('http.invalid', 'there is no picture in the request');
        const outcome = await service.enroll({ name: body.name, image, actor });
        return outcome.accepted
          ? { accepted: true, person: outcome.person, quality: outcome.quality, code: null, reason: null }
          : { ...outcome, person: null };
      },
    }),
  ];

  async function find(id: string) {
    const person = (await service.people()).find((one) => one.id === id);
    if (person === undefined) throw new FacedError('gallery.not-found', 'nobody has this id');
    return person;
  }
}
