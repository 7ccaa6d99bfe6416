import { Type } from '@sinclair/typebox';
import type { Context } from '../context.js';
import { type Route, route } from '../route.js';
import { object } from '../schemas.js';

const Anything = Type.Record(Type.String({ maxLength: 64 }), Type.Unknown(), { maxProperties: 64 });

/** The configuration: read, and changed as far as it is not about what runs here and who may come in. */
export function configRoutes({ settings }: Context): Route[] {
  return [
    route({
      method: 'GET',
      path: '/v1/config',
      tag: 'config',
      summary: 'The settings that hold, with their schema',
      description:
        'Passwords in addresses are left out. `fileOnly` lists what can be changed in the configuration file only: pipelines, paths, addresses, doors, and who may come in.',
      who: 'admin',
      answer: object({
        config: Anything,
        schema: Anything,
        fileOnly: Type.Array(Type.String()),
      }),
      handle: () => settings.read(),
    }),
    route({
      method: 'PATCH',
      path: '/v1/config',
      tag: 'config',
      summary: 'Change settings',
      description:
        'A JSON merge patch (RFC 7396): null brings a default back. The whole is checked before anything is written; comments in the file stay. Where the file may not be written, changes are kept in the state directory and hold in its place. `needRestart` lists what holds from the next start only, `overridden` what a variable of the environment keeps as it is.',
      who: 'admin',
      body: Anything,
      answer: object({
        config: Anything,
        needRestart: Type.Array(Type.String()),
        overridden: Type.Array(Type.String()),
      }),
      handle: ({ body, actor }) => settings.change(body, actor),
    }),
  ];
}
