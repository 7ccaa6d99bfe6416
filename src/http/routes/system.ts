import { Type } from '@sinclair/typebox';
import { NOTICE_KINDS } from '../../pipeline/notices.js';
import type { Context } from '../context.js';
import type { Metrics } from '../metrics.js';
import { healthz, RETRY_READY, readyz } from '../probes.js';
import { type Route, route } from '../route.js';
import { CameraHealth, Id, object, oneOf, orNull, Time } from '../schemas.js';

const Machine = object(
  {
    temperatureC: orNull(Type.Number()),
    diskFree: orNull(Type.Integer()),
    diskTotal: orNull(Type.Integer()),
    memoryFree: orNull(Type.Integer()),
    memoryTotal: orNull(Type.Integer()),
    memoryLevel: orNull(Type.Integer({ description: '0: enough, 1: low, 2: critical.' })),
    heatLevel: Type.Integer({ description: 'The cameras’ pace: 0 full, 3 slowest.' }),
    heatSteps: Type.Integer({ description: 'How often that changed since the start.' }),
  },
  'null: the kernel does not say.',
);

const NoticeForm = object({
  id: Id,
  time: Time,
  kind: oneOf(NOTICE_KINDS),
  state: oneOf(['raised', 'cleared', 'happened'] as const),
  code: Type.String(),
  message: Type.String(),
});

const Health = Type.Object({
  v: Type.Literal(1),
  time: Type.String(),
  device: Type.String(),
  version: Type.String(),
  uptimeS: Type.Integer(),
  state: oneOf(['ok', 'degraded'] as const),
  problems: Type.Array(object({ code: Type.String(), message: Type.String() })),
  cameras: Type.Array(CameraHealth),
  outbox: object({ waiting: Type.Integer(), limit: Type.Integer(), dropped: Type.Integer() }),
  rssBytes: Type.Integer(),
  machine: Machine,
  broker: object({ connected: Type.Boolean() }),
  waiting: object(
    { looks: Type.Integer(), unrecorded: Type.Integer() },
    'What waits to be decided, and to be written down.',
  ),
  stages: Type.Record(
    Type.String(),
    object({ totalMs: Type.Number(), count: Type.Integer(), maxMs: Type.Number() }),
    { description: 'Times since the last sign of life of the vision worker.' },
  ),
});

const Recogniser = Type.Object({
  model: Type.String(),
  threshold: orNull(Type.Number({ description: 'null: the promise cannot be kept.' })),
  margin: orNull(Type.Number({ description: 'What the nearest person has to be ahead of the next one.' })),
  livenessMinimum: orNull(Type.Number({ description: 'null: the liveness model is not asked.' })),
  curve: orNull(
    Type.Object(
      {
        impostorPairs: Type.Integer({ description: 'Pairs of pictures of two people that were compared.' }),
        points: Type.Array(object({ fmr: Type.Number(), threshold: Type.Number(), tmr: Type.Number() })),
      },
      { description: 'False and true match rate of one picture against one, by threshold.' },
    ),
  ),
});

/** How the daemon is. */
export function systemRoutes(
  { health, notices, machine, recogniser, mqtt, waiting }: Context,
  metrics: Metrics,
): Route[] {
  return [
    route({
      method: 'GET',
      path: '/healthz',
      tag: 'system',
      summary: 'Whether the daemon runs',
      who: 'anyone',
      answer: object({ status: Type.Literal('ok') }),
      handle: () => healthz({ health }).body,
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
        const { status, body } = readyz({ health });
        if (status === 503) reply.code(status).header('retry-after', RETRY_READY);
        return body;
      },
    }),
    route({
      method: 'GET',
      path: '/v1/health',
      tag: 'system',
      summary: 'How cameras, broker, disk and memory are',
      who: 'read',
      answer: Health,
      handle: async () => ({
        ...(await health.report()),
        machine: await machine(),
        broker: mqtt(),
        waiting: waiting(),
        stages: Object.fromEntries(
          Object.entries(health.stages()).map(([stage, { totalMs, count, maxMs }]) => [
            stage,
            { totalMs, count, maxMs },
          ]),
        ),
      }),
    }),
    route({
      method: 'GET',
      path: '/v1/recogniser',
      tag: 'system',
      summary: 'The recogniser, what a similarity has to reach, and the curve that this follows from',
      who: 'read',
      answer: Recogniser,
      handle: () => recogniser(),
    }),
    route({
      method: 'GET',
      path: '/v1/notices',
      tag: 'system',
      summary: 'What people should know of: cameras and brokers lost, disk, heat, spoofs, doors',
      description:
        'The last 200 since the daemon began, newest first; also as `notice` among the live events.',
      who: 'read',
      answer: object({ active: Type.Array(NoticeForm), recent: Type.Array(NoticeForm) }),
      handle: () => ({ active: notices.active(), recent: notices.recent() }),
    }),
    route({
      method: 'GET',
      path: '/metrics',
      tag: 'system',
      summary: 'What is measured, for Prometheus',
      who: 'local',
      answer: 'text/plain',
      handle: async ({ reply }) => {
        reply.type(metrics.contentType);
        return metrics.text();
      },
    }),
  ];
}
