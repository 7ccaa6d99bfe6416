import { Type } from '@sinclair/typebox';
import { FacedError } from '../../domain/errors.js';
import type { RecognitionEvent } from '../../domain/event.js';
import type { Context } from '../context.js';
import type { LiveHub } from '../live.js';
import { type Route, route } from '../route.js';
import { Box, DecisionKind, Id, object, orNull, PersonRef, Quality, Time } from '../schemas.js';
import { openStream } from '../sse.js';

export const Event = object({
  v: Type.Literal(1),
  id: Id,
  time: Time,
  device: Type.String(),
  camera: Type.String(),
  track: Type.String(),
  decision: DecisionKind,
  person: orNull(PersonRef),
  similarity: orNull(Type.Number()),
  runnerUp: orNull(Type.Number()),
  threshold: orNull(Type.Number()),
  liveness: orNull(Type.Number()),
  box: Box,
  frame: Type.Unsafe<readonly number[]>({
    type: 'array',
    items: { type: 'number' },
    description: 'Width, height.',
  }),
  quality: Quality,
  model: Type.String(),
  latencyMs: Type.Number(),
  attributes: Type.Optional(
    Type.Record(Type.String(), Type.Object({ value: Type.String(), share: Type.Number() }), {
      description: 'What the heads in `models.heads` say of the face.',
    }),
  ),
});

const FILTER = {
  before: Type.Optional(
    Type.String({ pattern: Id.pattern ?? '', description: 'Older than this event: to page on.' }),
  ),
  camera: Type.Optional(Type.String({ minLength: 1, maxLength: 64 })),
  decision: Type.Optional(DecisionKind),
  person: Type.Optional(Id),
  from: Type.Optional(Type.String({ format: 'date-time', description: 'Not before.' })),
  to: Type.Optional(Type.String({ format: 'date-time', description: 'Before.' })),
} as const;
const LIMIT = Type.Integer({ minimum: 1, maximum: 500, default: 50 });

interface Filter {
  readonly before?: string;
  readonly camera?: string;
  readonly decision?: string;
  readonly person?: string;
  readonly from?: string;
  readonly to?: string;
}

/** Rows read at once, and pages of them that one request may go through before it has to be continued. */
const PAGE = 500;
const MOST_PAGES = 8;
const EXPORT_LIMIT = 100_000;

/** Who came. */
export function eventRoutes(context: Context, live: LiveHub): Route[] {
  const { store, events, notices, stopping } = context;
  return [
    route({
      method: 'GET',
      path: '/v1/events',
      tag: 'events',
      summary: 'Who came, newest first',
      description:
        '`next` is what `before` takes to go on; null when there is no more. A page may have fewer events than `limit`, even none, and still have a `next`.',
      who: 'read',
      query: object({ ...FILTER, limit: LIMIT }),
      answer: object({ events: Type.Array(Event), next: orNull(Id) }),
      handle: ({ query }) => page(query as Filter & { limit: number }),
    }),
    route({
      method: 'GET',
      path: '/v1/events/export',
      tag: 'events',
      summary: 'Events as lines of JSON',
      description: 'At most 100,000, newest first, one document a line.',
      who: 'read',
      query: object(FILTER),
      answer: 'application/x-ndjson',
      handle: async ({ query, reply }) => {
        reply
          .type('application/x-ndjson')
          .header('content-disposition', 'attachment; filename="faced-events.ndjson"');
        const { Readable } = await import('node:stream');
        return reply.send(Readable.from(lines(query as Filter)));
      },
    }),
    route({
      method: 'GET',
      path: '/v1/events/live',
      tag: 'events',
      summary: 'Events as they happen',
      description:
        'Server-sent events: `recognition` carries an event, `notice` a notice. With `Last-Event-ID` what was missed since comes first.',
      who: 'read',
      answer: 'text/event-stream',
      handle: async ({ request, reply }) => {
        const stream = openStream(reply, stopping);
        if (stream === null) return reply;
        const last = request.headers['last-event-id'];
        const since = typeof last === 'string' && /^[0-9A-Z]{26}$/.test(last) ? last : null;
        const waiting: RecognitionEvent[] = [];
        let caughtUp = since === null;
        const say = (event: RecognitionEvent) => stream.send('recognition', event, event.id);
        stream.onClose(events.on((event) => (caughtUp ? say(event) : waiting.push(event))));
        stream.onClose(notices.on((notice) => stream.send('notice', notice)));
        if (since !== null) {
          const missed = (await store.events({ limit: PAGE })).filter(({ id }) => id > since).reverse();
          const seen = new Set(missed.map(({ id }) => id));
          for (const event of [...missed, ...waiting.filter(({ id }) => !seen.has(id))]) say(event);
          caughtUp = true;
        }
        return reply;
      },
    }),
    route({
      method: 'GET',
      path: '/v1/events/{event}',
      tag: 'events',
      summary: 'One event',
      who: 'read',
      params: object({ event: Id }),
      answer: Event,
      handle: ({ params }) => one(params.event),
    }),
    route({
      method: 'GET',
      path: '/v1/events/{event}/looks',
      tag: 'events',
      summary: 'The looks that an event was decided by',
      description:
        'The last 16 looks at the face, oldest first, each with what it alone would have decided. They are remembered for the last 256 faces and never written down: none for an older event.',
      who: 'read',
      params: object({ event: Id }),
      answer: object({
        looks: Type.Array(
          object({
            time: Time,
            decision: DecisionKind,
            person: orNull(PersonRef),
            similarity: orNull(Type.Number()),
            runnerUp: orNull(Type.Number()),
            liveness: orNull(Type.Number()),
            poor: orNull(Type.String()),
            quality: Quality,
          }),
        ),
      }),
      handle: async ({ params }) => {
        const { track } = await one(params.event);
        return {
          looks: live
            .looksAt(track)
            .map(({ time, decision, person, similarity, runnerUp, liveness, poor, quality }) => ({
              ...{ time, decision, person, similarity, runnerUp, liveness, poor, quality },
            })),
        };
      },
    }),
  ];

  async function one(id: string): Promise<RecognitionEvent> {
    // Ids are in order, and `before` leaves its own out: the next higher one includes it.
    const [found] = await store.events({ limit: 1, before: `${id}~` });
    if (found?.id === id) return found;
    throw new FacedError('http.not-found', 'there is no such event, or it is too old to be kept');
  }

  async function page({ limit, before, ...filter }: Filter & { limit: number }) {
    const found: RecognitionEvent[] = [];
    let last = before;
    for (let count = 0; count < MOST_PAGES; count++) {
      const rows = await store.events({ limit: PAGE, ...(last === undefined ? {} : { before: last }) });
      for (const event of rows) {
        last = event.id;
        if (tooOld(event, filter)) return { events: found, next: null };
        if (fits(event, filter)) found.push(event);
        if (found.length === limit) return { events: found, next: last };
      }
      if (rows.length < PAGE) return { events: found, next: null };
    }
    return { events: found, next: last ?? null };
  }

  async function* lines(filter: Filter): AsyncGenerator<string> {
    let last = filter.before;
    for (let count = 0; count < EXPORT_LIMIT; count += PAGE) {
      const rows = await store.events({ limit: PAGE, ...(last === undefined ? {} : { before: last }) });
      for (const event of rows) if (fits(event, filter)) yield `${JSON.stringify(event)}\n`;
      last = rows.at(-1)?.id;
      if (rows.length < PAGE) return;
    }
  }
}

function fits(event: RecognitionEvent, { camera, decision, person, from, to }: Filter): boolean {
  const at = Date.parse(event.time);
  return (
    (camera === undefined || event.camera === camera) &&
    (decision === undefined || event.decision === decision) &&
    (person === undefined || event.person?.id === person) &&
    (from === undefined || at >= Date.parse(from)) &&
    (to === undefined || at < Date.parse(to))
  );
}

/** Ids go by the time of the decision, a little after that of the picture: nothing older can follow. */
function tooOld(event: RecognitionEvent, { from }: Filter): boolean {
  return from !== undefined && Date.parse(event.time) < Date.parse(from) - 60_000;
}
