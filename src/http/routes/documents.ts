import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Type } from '@sinclair/typebox';
import { ROOT } from '../../lib/program.js';
import type { Context } from '../context.js';
import { openApi } from '../openapi.js';
import { type Route, route } from '../route.js';

/** Pages that need no build: each is a file, so that no path leads anywhere else. */
const STATIC = join(ROOT, 'src/http/static');
const FILES = [
  { path: '/api', file: 'api.html', type: 'text/html; charset=utf-8' },
  { path: '/api/api.js', file: 'api.js', type: 'text/javascript; charset=utf-8' },
  { path: '/api/api.css', file: 'api.css', type: 'text/css; charset=utf-8' },
] as const;

export function documentRoutes(routes: readonly Route[], { options }: Context): Route[] {
  let document: object | undefined;
  return [
    route({
      method: 'GET',
      path: '/openapi.json',
      tag: 'documents',
      summary: 'This API as an OpenAPI 3.1 document',
      who: 'anyone',
      answer: Type.Object({}),
      handle: () => {
        document ??= openApi(routes, options);
        return document;
      },
    }),
    ...FILES.map(({ path, file, type }) =>
      route({
        method: 'GET',
        path,
        tag: 'documents',
        summary: `The page to try the API (${file})`,
        who: 'anyone',
        answer: type,
        handle: async ({ reply }) => {
          reply.type(type).header('cache-control', 'no-cache');
          return readFile(join(STATIC, file));
        },
      }),
    ),
  ];
}
