import { createReadStream, createWriteStream } from 'node:fs';
import { rm, stat } from 'node:fs/promises';
import { Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { Type } from '@sinclair/typebox';
import { FacedError } from '../../domain/errors.js';
import type { Context } from '../context.js';
import { type Route, route } from '../route.js';
import { object } from '../schemas.js';

export const BACKUP_TYPE = 'application/vnd.sqlite3';
/** Far more than any gallery with its events. */
const MOST_BYTES = 2 * 2 ** 30;

const Row = object({
  seq: Type.Integer(),
  time: Type.Integer({ description: 'Milliseconds since 1970.' }),
  kind: Type.String(),
  actor: Type.String(),
  detail: Type.Record(Type.String(), Type.Unknown()),
  previous: Type.String(),
  hash: Type.String(),
});

/** Doctor, audit, backups. */
export function keepingRoutes({ doctor, service, backups }: Context): Route[] {
  return [
    route({
      method: 'GET',
      path: '/v1/doctor',
      tag: 'system',
      summary: 'What is wrong with this machine, with a mend for each fault',
      who: 'admin',
      answer: object({
        checks: Type.Array(
          object({
            name: Type.String(),
            ok: Type.Boolean(),
            detail: Type.String(),
            fix: Type.Optional(Type.String()),
          }),
        ),
      }),
      handle: async () => ({ checks: await doctor() }),
    }),
    route({
      method: 'GET',
      path: '/v1/audit',
      tag: 'audit',
      summary: 'What was done, by whom: rows of the chain, oldest first',
      who: 'admin',
      query: object({
        after: Type.Integer({
          minimum: 0,
          default: 0,
          description: 'The seq of the last row that was seen.',
        }),
        limit: Type.Integer({ minimum: 1, maximum: 1000, default: 100 }),
      }),
      answer: object({ rows: Type.Array(Row) }),
      handle: async ({ query }) => ({ rows: await service.exportAudit(query) }),
    }),
    route({
      method: 'GET',
      path: '/v1/backup',
      tag: 'backup',
      summary: 'A backup of the gallery, its events and the audit',
      description:
        'An SQLite file, sealed with this machine’s key: keep the key too (`faced doctor` says where it is), and not beside it.',
      who: 'admin',
      answer: BACKUP_TYPE,
      handle: async ({ actor, reply }) => {
        const path = await backups.create(actor);
        const { size } = await stat(path);
        const file = createReadStream(path);
        // Open by now or never: the name may go, the content stays until it is closed.
        await new Promise((resolve, reject) => file.once('open', resolve).once('error', reject));
        await rm(path, { force: true });
        reply
          .type(BACKUP_TYPE)
          .header('content-length', String(size))
          .header(
            'content-disposition',
            `attachment; filename="faced-${new Date().toISOString().slice(0, 10)}.db"`,
          );
        return reply.send(file);
      },
    }),
    route({
      method: 'POST',
      path: '/v1/restore',
      tag: 'backup',
      summary: 'Put a backup into the place of the gallery',
      description:
        'Who was deleted since the backup is deleted in it too; accounts and tokens stay as they are now. Looks wait until it is done.',
      who: 'signed-in',
      stream: BACKUP_TYPE,
      answer: object({ people: Type.Integer(), samples: Type.Integer(), madeAt: Type.Integer() }),
      handle: async ({ actor, request }) => {
        const path = backups.place();
        try {
          await pipeline(
            request.raw,
            atMost(MOST_BYTES),
            createWriteStream(path, { mode: 0o600, flags: 'wx' }),
          );
          const { people, samples, madeAt } = await backups.restore(path, actor);
          return { people, samples, madeAt };
        } finally {
          await rm(path, { force: true });
        }
      },
    }),
  ];
}

function atMost(bytes: number): Transform {
  let seen = 0;
  return new Transform({
    transform(chunk: Buffer, _encoding, done) {
      seen += chunk.length;
      if (seen > bytes) done(new FacedError('http.too-large', 'the backup is larger than is allowed'));
      else done(null, chunk);
    },
  });
}
