import { Type } from '@sinclair/typebox';
import type { Context } from '../context.js';
import { type Route, route } from '../route.js';
import { DONE, Done, Id, Name, object, PersonRef } from '../schemas.js';

const Group = object({ group: Type.String({ pattern: '^[0-9A-Za-z_-]{1,40}$' }) });
const Milliseconds = Type.Integer({ description: 'Milliseconds since 1970.' });

/** Strangers, where they are kept for a while (gallery.keepUnknownHours). */
export function unknownRoutes({ service }: Context): Route[] {
  const { keeping } = service;
  return [
    route({
      method: 'GET',
      path: '/v1/unknown',
      tag: 'unknown',
      summary: 'Strangers who came, grouped by face; none unless gallery.keepUnknownHours is set',
      who: 'read',
      answer: object({
        groups: Type.Array(
          object({
            group: Type.String(),
            faces: Type.Integer(),
            cameras: Type.Array(Type.String()),
            firstSeen: Milliseconds,
            lastSeen: Milliseconds,
            expiresAt: Milliseconds,
            best: Id,
          }),
        ),
      }),
      handle: async () => ({ groups: await keeping.unknownGroups() }),
    }),
    route({
      method: 'GET',
      path: '/v1/unknown/{group}/image',
      tag: 'unknown',
      summary: 'The best picture of a stranger',
      who: 'read',
      params: Group,
      answer: 'image/jpeg',
      handle: async ({ params, reply }) => {
        reply.type('image/jpeg');
        return Buffer.from(await keeping.unknownImage({ group: params.group }));
      },
    }),
    route({
      method: 'POST',
      path: '/v1/unknown/{group}/name',
      tag: 'unknown',
      summary: 'Make a stranger known',
      who: 'enroll',
      params: Group,
      body: object({ name: Name, force: Type.Optional(Type.Boolean()) }),
      answer: object({ person: PersonRef, samples: Type.Integer(), refused: Type.Integer() }),
      handle: ({ params, body: { name, force = false }, actor }) =>
        keeping.nameUnknown({ group: params.group, name, force, actor }),
    }),
    route({
      method: 'DELETE',
      path: '/v1/unknown/{group}',
      tag: 'unknown',
      summary: 'Forget a stranger',
      who: 'admin',
      params: Group,
      answer: Done,
      handle: async ({ params, actor }) => {
        await keeping.forgetUnknown({ groups: [params.group], actor });
        return DONE;
      },
    }),
  ];
}
