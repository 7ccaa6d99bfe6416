import { decodeTime, encodeTime } from 'ulid';
import type { RecognitionEvent } from '../domain/event.js';
import type { ClockState, OutboxMessage, OutboxStats } from '../pipeline/ports.js';
import { ClockRun, type Correction } from './clock-run.js';
import type { Db } from './database.js';
import { forGood } from './for-good.js';
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
/** An id that is further ahead of its event's time than this was given while the clock had been set back. */
const AHEAD_MS = 60_000;
/** Events opened at a time when all of them have to be. */
const SCAN_PAGE = 500;

interface MessageRow {
  readonly seq: number;
  readonly topic: string;
  readonly payload: Buffer;
}

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

  /** `within` runs in the same transaction, for an event that was not recorded before. */
  record(
    event: RecognitionEvent,
    messages: readonly { topic: string; payload: string }[],
    within: () => void = () => {},
  ): void {
    const insert = this.#db.prepare('INSERT INTO events (id, body) VALUES (?, ?) ON CONFLICT DO NOTHING');
    const queue = this.#db.prepare('INSERT INTO outbox (seq, topic, payload) VALUES (?, ?, ?)');
    const buried = this.#db.prepare('SELECT 1 FROM tombstones WHERE id = ?').pluck();
    const outcome = this.#db.transaction(() => {
      // Decided before the person was removed, and late.
      const gone =
        event.person !== null && buried.get(event.person.id) !== undefined ? event.person.id : null;
      if (insert.run(event.id, this.#sealed(gone === null ? event : withoutName(event))).changes === 0)
        return undefined;
      const time = Date.parse(event.time);
      if (decodeTime(event.id) - time > AHEAD_MS) this.#noteTime(event.id, time);
      within();
      let seq = this.#lastSeq;
      for (const { topic, payload } of messages) {
        const told = gone === null ? payload : redactedPayload(payload, gone);
        if (told === null) continue;
        seq += 1;
        queue.run(seq, topic, this.#sealer.seal(told, ['message', String(seq), topic]));
      }
      const added = seq - this.#lastSeq;
      const surplus = this.#waiting + added - this.#options.outboxLimit;
      return { seq, added, dropped: surplus > 0 ? this.#drop(surplus) : 0 };
    })();
    if (outcome === undefined) return;
    this.#lastSeq = outcome.seq;
    this.#waiting += outcome.added - outcome.dropped;
  }

  /** In pages when a person is asked for, and gives way between them: every event has to be opened then. */
  async events(filter: { limit: number; before?: string; person?: string }): Promise<RecognitionEvent[]> {
    const limit = bounded(filter.limit);
    if (filter.person === undefined) return this.#page(filter.before, limit);
    const found: RecognitionEvent[] = [];
    let { before } = filter;
    for (;;) {
      const page = this.#page(before, SCAN_PAGE);
      found.push(...page.filter(({ person }) => person?.id === filter.person));
      before = page.at(-1)?.id;
      if (page.length < SCAN_PAGE || found.length >= limit) return found.slice(0, limit);
      await new Promise((resolve) => setImmediate(resolve));
    }
  }

  /** Takes a person's name out of every event and waiting message, in steps that may be repeated. */
  async redact(person: string): Promise<void> {
    this.#redactMessages(person);
    const update = this.#db.prepare('UPDATE events SET body = ? WHERE id = ?');
    const step = this.#db.transaction((events: readonly RecognitionEvent[]) => {
      for (const event of events) update.run(this.#sealed(withoutName(event)), event.id);
    });
    let before: string | undefined;
    for (;;) {
      const page = this.#page(before, SCAN_PAGE);
      const named = page.filter((event) => event.person?.id === person && event.person.name !== REMOVED_NAME);
      if (named.length > 0) forGood(this.#db, () => step(named));
      before = page.at(-1)?.id;
      if (page.length < SCAN_PAGE) return;
      await new Promise((resolve) => setImmediate(resolve));
    }
  }

  #redactMessages(person: string): void {
    const rows = this.#db.prepare('SELECT seq, topic, payload FROM outbox').all() as MessageRow[];
    const update = this.#db.prepare('UPDATE outbox SET payload = ? WHERE seq = ?');
    const remove = this.#db.prepare('DELETE FROM outbox WHERE seq = ?');
    const change = this.#db.transaction(() => {
      let count = 0;
      for (const row of rows) {
        const payload = this.#openMessage(row);
        if (!payload.includes(person)) continue;
        const told = redactedPayload(payload, person);
        if (told !== null)
          update.run(this.#sealer.seal(told, ['message', String(row.seq), row.topic]), row.seq);
        else count += remove.run(row.seq).changes;
      }
      if (count > 0) this.#noteGone(count);
      return count;
    });
    this.#waiting -= forGood(this.#db, change);
  }

  #page(before: string | undefined, limit: number): RecognitionEvent[] {
    const rows = this.#db
      .prepare('SELECT id, body FROM events WHERE id < ? ORDER BY id DESC LIMIT ?')
      .all(before ?? '~', limit) as { id: string; body: Buffer }[];
    return rows.map(
      ({ id, body }) =>
        JSON.parse(this.#sealer.open(body, ['event', id]).toString('utf8')) as RecognitionEvent,
    );
  }

  #sealed(event: RecognitionEvent): Buffer {
    return this.#sealer.seal(JSON.stringify(event), ['event', event.id]);
  }

  #openMessage({ seq, topic, payload }: MessageRow): string {
    return this.#sealer.open(payload, ['message', String(seq), topic]).toString('utf8');
  }

  /** By the time in the event's ULID, or by the one that was noted where that is wrong. */
  prune(now: number): number {
    const { retentionDays, eventLimit } = this.#options;
    const oldest = Math.max(0, Math.round(now - retentionDays * DAY_MS));
    const old = this.#db.prepare(
      `DELETE FROM events WHERE id < ? AND id NOT IN (SELECT id FROM event_times)
       OR id IN (SELECT id FROM event_times WHERE at < ?)`,
    );
    const surplus = this.#db.prepare(
      'DELETE FROM events WHERE id <= (SELECT id FROM events ORDER BY id DESC LIMIT 1 OFFSET ?)',
    );
    return this.#db.transaction(
      () => old.run(encodeTime(oldest, 10), oldest).changes + surplus.run(eventLimit).changes,
    )();
  }

  /**
   * Puts the times of events right as far as they can be known now, in steps; what is cut off is done by the next call.
   * Answers by how much the clock had been behind, milliseconds: 0 where it was right, less where it was ahead.
   */
  async clockLooked(state: ClockState, run = new ClockRun(this.#db)): Promise<number> {
    const { moved, unknown, next } = run.correction(state, this.#newest());
    if (unknown !== null)
      await this.#eachPage(unknown, ({ id }) => this.#noteTime(id, Math.round(unknown.atMs)));
    if (moved !== null)
      await this.#eachPage(
        moved,
        (event) => {
          const time = Date.parse(event.time) + moved.byMs;
          this.#noteTime(event.id, time);
          const body = this.#sealed({ ...event, time: new Date(time).toISOString() });
          this.#db.prepare('UPDATE events SET body = ? WHERE id = ?').run(body, event.id);
        },
        (id) => run.movedDownTo(id),
      );
    run.keep(next);
    return moved?.byMs ?? 0;
  }

  latestEvent(): { id: string; timeMs: number } | null {
    const id = this.#newest();
    if (id === '') return null;
    const noted = this.#db.prepare('SELECT at FROM event_times WHERE id = ?').pluck().get(id);
    return { id, timeMs: typeof noted === 'number' ? noted : decodeTime(id) };
  }

  #newest(): string {
    return (this.#db.prepare('SELECT max(id) FROM events').pluck().get() as string | null) ?? '';
  }

  #noteTime(id: string, at: number): void {
    this.#db
      .prepare(
        `INSERT INTO event_times (id, at) VALUES (?, ?)
         ON CONFLICT DO UPDATE SET at = excluded.at`,
      )
      .run(id, at);
  }

  async #eachPage(
    range: NonNullable<Correction['moved'] | Correction['unknown']>,
    change: (event: RecognitionEvent) => void,
    doneDownTo: (id: string) => void = () => {},
  ): Promise<void> {
    const step = this.#db.transaction((events: readonly RecognitionEvent[]) => {
      events.forEach(change);
      const oldest = events.at(-1);
      if (oldest !== undefined) doneDownTo(oldest.id);
    });
    let { before } = range;
    for (;;) {
      const page = this.#page(before, SCAN_PAGE).filter(({ id }) => id > range.after);
      step(page);
      before = page.at(-1)?.id ?? '';
      if (page.length < SCAN_PAGE) return;
      await new Promise((resolve) => setImmediate(resolve));
    }
  }

  outbox(limit: number): OutboxMessage[] {
    const rows = this.#db
      .prepare('SELECT seq, topic, payload FROM outbox ORDER BY seq LIMIT ?')
      .all(bounded(limit)) as MessageRow[];
    return rows.map((row) => ({ seq: row.seq, topic: row.topic, payload: this.#openMessage(row) }));
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
    this.#noteGone(changes);
    return changes;
  }

  /** A number that was given must not be given again, also when its message went without being sent. */
  #noteGone(count: number): void {
    this.#db
      .prepare('UPDATE outbox_state SET dropped = dropped + ?, acknowledged = max(acknowledged, ?)')
      .run(count, this.#lastSeq);
  }
}

/** The id stays as a pseudonym. */
export const REMOVED_NAME = '(removed)';

function withoutName(event: RecognitionEvent): RecognitionEvent {
  return event.person === null ? event : { ...event, person: { ...event.person, name: REMOVED_NAME } };
}

/** The message about a removed person without the name; null when it is signed and so cannot be changed. */
function redactedPayload(payload: string, person: string): string | null {
  const body = JSON.parse(payload) as { person?: { id?: unknown; name?: unknown } | null; sig?: unknown };
  if (body.person?.id !== person || body.person.name === undefined) return payload;
  if (body.sig !== undefined) return null;
  return JSON.stringify({ ...body, person: { ...body.person, name: REMOVED_NAME } });
}

export function bounded(limit: number): number {
  return Number.isFinite(limit) ? Math.max(0, Math.min(PAGE_LIMIT, Math.floor(limit))) : PAGE_LIMIT;
}
