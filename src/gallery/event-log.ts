import { encodeTime } from 'ulid';
import type { RecognitionEvent } from '../domain/event.js';
import type { OutboxMessage, OutboxStats } from '../pipeline/ports.js';
import type { Db } from './database.js';
import type { Sealer } from './seal.js';

export interface EventLogOptions {
  /** Messages that may wait; the oldest are dropped and counted. */
  readonly outboxLimit: number;
  readonly retentionDays: number;
  readonly eventLimit: number;
}

/** Rows in one answer. */
export const PAGE_LIMIT = 1_000;
const DAY_MS = 86_400_000;

/**
 * Events and the messages that wait for the broker. An event writes two pages (its own and the outbox's) and an
 * acknowledgement two (the outbox's and the counters'). The acknowledgement is not synced by itself: after a power
 * cut a message may be sent again, with the same event id, but none is lost.
 */
export class EventLog {
  readonly #db: Db;
  readonly #sealer: Sealer;
  readonly #options: EventLogOptions;
  #lastSeq = 0;
  #waiting = 0;

  constructor(db: Db, sealer: Sealer, options: EventLogOptions) {
    this.#db = db;
    this.#sealer = sealer;
    this.#options = options;
  }

  load(): void {
    const row = this.#db
      .prepare(
        `SELECT max(acknowledged, (SELECT coalesce(max(seq), 0) FROM outbox)) AS last,
                (SELECT count(*) FROM outbox) AS waiting FROM outbox_state`,
      )
      .get() as { last: number; waiting: number };
    this.#lastSeq = row.last;
    this.#waiting = row.waiting;
  }

  record(event: RecognitionEvent, messages: readonly { topic: string; payload: string }[]): void {
    const body = this.#sealer.seal(JSON.stringify(event), ['event', event.id]);
    const insert = this.#db.prepare('INSERT INTO events VALUES (?, ?) ON CONFLICT DO NOTHING');
    const queue = this.#db.prepare('INSERT INTO outbox VALUES (?, ?, ?)');
    const outcome = this.#db.transaction(() => {
      if (insert.run(event.id, body).changes === 0) return undefined;
      let seq = this.#lastSeq;
      for (const { topic, payload } of messages) {
        seq += 1;
        queue.run(seq, topic, this.#sealer.seal(payload, ['message', String(seq), topic]));
      }
      const surplus = this.#waiting + messages.length - this.#options.outboxLimit;
      return { seq, dropped: surplus > 0 ? this.#drop(surplus) : 0 };
    })();
    if (outcome === undefined) return;
    this.#lastSeq = outcome.seq;
    this.#waiting += messages.length - outcome.dropped;
  }

  events({ limit, before }: { limit: number; before?: string }): RecognitionEvent[] {
    const rows = this.#db
      .prepare('SELECT id, body FROM events WHERE id < ? ORDER BY id DESC LIMIT ?')
      .all(before ?? '~', bounded(limit)) as { id: string; body: Buffer }[];
    return rows.map(
      ({ id, body }) =>
        JSON.parse(this.#sealer.open(body, ['event', id]).toString('utf8')) as RecognitionEvent,
    );
  }

  /** By the time in the event's ULID. */
  prune(now: number): number {
    const { retentionDays, eventLimit } = this.#options;
    const oldest = encodeTime(Math.max(0, Math.round(now - retentionDays * DAY_MS)), 10);
    const old = this.#db.prepare('DELETE FROM events WHERE id < ?');
    const surplus = this.#db.prepare(
      'DELETE FROM events WHERE id <= (SELECT id FROM events ORDER BY id DESC LIMIT 1 OFFSET ?)',
    );
    return this.#db.transaction(() => old.run(oldest).changes + surplus.run(eventLimit).changes)();
  }

  outbox(limit: number): OutboxMessage[] {
    const rows = this.#db
      .prepare('SELECT seq, topic, payload FROM outbox ORDER BY seq LIMIT ?')
      .all(bounded(limit)) as { seq: number; topic: string; payload: Buffer }[];
    return rows.map(({ seq, topic, payload }) => ({
      ...{ seq, topic },
      payload: this.#sealer.open(payload, ['message', String(seq), topic]).toString('utf8'),
    }));
  }

  acknowledge(upToSeq: number): void {
    // A number that was never given would let a later message reuse it.
    const upTo = Math.min(upToSeq, this.#lastSeq);
    const remove = this.#db.prepare('DELETE FROM outbox WHERE seq <= ?');
    const note = this.#db.prepare('UPDATE outbox_state SET acknowledged = max(acknowledged, ?)');
    if (this.#waiting === 0) return;
    this.#db.pragma('synchronous = NORMAL');
    try {
      this.#waiting -= this.#db.transaction(() => {
        const { changes } = remove.run(upTo);
        if (changes > 0) note.run(upTo);
        return changes;
      })();
    } finally {
      this.#db.pragma('synchronous = FULL');
    }
  }

  stats(): OutboxStats {
    const dropped = this.#db.prepare('SELECT dropped FROM outbox_state').pluck().get() as number;
    return { waiting: this.#waiting, limit: this.#options.outboxLimit, dropped };
  }

  #drop(count: number): number {
    const { changes } = this.#db
      .prepare('DELETE FROM outbox WHERE seq IN (SELECT seq FROM outbox ORDER BY seq LIMIT ?)')
      .run(count);
    this.#db.prepare('UPDATE outbox_state SET dropped = dropped + ?').run(changes);
    return changes;
  }
}

export function bounded(limit: number): number {
  return Number.isFinite(limit) ? Math.max(0, Math.min(PAGE_LIMIT, Math.floor(limit))) : PAGE_LIMIT;
}
