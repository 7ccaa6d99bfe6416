import { Type } from '@sinclair/typebox';
import type { Context } from '../context.js';
import { type Route, route } from '../route.js';
import { object, oneOf, orNull } from '../schemas.js';

const Health = Type.Object({
  v: Type.Literal(1),
  time: Type.String(),
  device: Type.String(),
  version: Type.String(),
  uptimeS: Type.Integer(),
  state: oneOf(['ok', 'degraded'] as const),
  problems: Type.Array(object({ code: Type.String(), message: Type.String() })),
  cameras: Type.Array(
    object({
      camera: Type.String(),
      state: Type.String(),
      received: Type.Integer(),
      dropped: Type.Integer(),
      reopened: Type.Integer(),
      problem: orNull(Type.String()),
    }),
  ),
  outbox: object({ waiting: Type.Integer(), limit: Type.Integer(), dropped: Type.Integer() }),
  rssBytes: Type.Integer(),
  stages: Type.Record(
    Type.String(),
    object({ totalMs: Type.Number(), count: Type.Integer(), maxMs: Type.Number() }),
    { description: 'Times since the last sign of life of the vision worker.' },
  ),
});

/** Without a sign of life for so long the daemon is not ready. */
const BEAT_PATIENCE_MS = 15_000;

/** How the daemon is. */
export function systemRoutes({ health }: Context): Route[] {
  return [
    route({
      method: 'GET',
      path: '/healthz',
      tag: 'system',
      summary: 'Whether the daemon runs',
      who: 'anyone',
      answer: object({ status: Type.Literal('ok') }),
      handle: () => ({ status: 'ok' }),
    }),
    route({
      method: 'GET',
      path: '/readyz',
      tag: 'system',
      summary: 'Whether the daemon watches: its vision worker gives signs of life',
      description: '503 when it does not.',
      who: 'anyone',
      answer: object({ status: oneOf(['ready', 'not-ready'] as const) }),
      handle: ({ reply }) => {
        const ready = health.sinceBeat() < BEAT_PATIENCE_MS;
        if (!ready) reply.code(503).header('retry-after', '5');
        return { status: ready ? 'ready' : 'not-ready' };
      },
    }),
    route({
      method: 'GET',
      path: '/v1/health',
      tag: 'system',
      summary: 'How cameras, broker, disk and memory are',
      who: 'read',
      answer: Health,
      handle: async () => ({ ...(await health.report()), stages: health.stages() }),
    }),
  ];
}
