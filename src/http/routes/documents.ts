import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Type } from '@sinclair/typebox';
import { ROOT } from '../../lib/program.js';
import type { Context } from '../context.js';
import { openApi } from '../openapi.js';
import { Page } from '../page.js';
import { type Asked, type Route, route } from '../route.js';
import { object } from '../schemas.js';

/** Pages that need no build: each is a file, so that no path leads anywhere else. */
const STATIC = join(ROOT, 'src/http/static');
const FILES = [
  { path: '/api', file: 'api.html', type: 'text/html; charset=utf-8' },
  { path: '/api/api.js', file: 'api.js', type: 'text/javascript; charset=utf-8' },
  { path: '/api/api.css', file: 'api.css', type: 'text/css; charset=utf-8' },
] as const;

export function documentRoutes(routes: readonly Route[], { options }: Context): Route[] {
  let document: object | undefined;
  const page = new Page();
  const send = async (
    name: string,
    { request, reply }: Asked<unknown, unknown, unknown>,
    caching: string,
  ) => {
    const { type, content, gzipped } = await page.file(name);
    reply.type(type).header('cache-control', caching).header('vary', 'accept-encoding');
    if (!/\bgzip\b/.test(String(request.headers['accept-encoding'] ?? ''))) return content;
    reply.header('content-encoding', 'gzip');
    return gzipped;
  };
  return [
    route({
      method: 'GET',
      path: '/',
      tag: 'documents',
      summary: 'The page',
      who: 'anyone',
      answer: 'text/html',
      handle: (asked) => send('index.html', asked, 'no-cache'),
    }),
    route({
      method: 'GET',
      path: '/assets/{file}',
      tag: 'documents',
      summary: 'What the page is made of: names that change with the content',
      who: 'anyone',
      params: object({ file: Type.String({ pattern: '^[0-9A-Za-z_.-]{1,80}$' }) }),
      answer: 'text/javascript',
      handle: (asked) => send(`assets/${asked.params.file}`, asked, 'public, max-age=31536000, immutable'),
    }),
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
