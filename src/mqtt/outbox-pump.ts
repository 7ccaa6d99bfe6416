import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from '../lib/log.js';
import type { OutboxMessage, Store } from '../pipeline/ports.js';

/** The part of the store that the pump needs. */
export type Outbox = Pick<Store, 'outbox' | 'acknowledge' | 'outboxStats'>;

/** One connection, as the pump sees it. */
export interface Publisher {
  /** Resolves when the broker has acknowledged (PUBACK); rejects when it refused, or when the connection is gone. */
  publish(topic: string, payload: string): Promise<void>;
  /** Aborted when the connection is gone. */
  readonly gone: AbortSignal;
  /** How many unacknowledged messages the broker takes (MQTT 5 Receive Maximum). */
  readonly receiveMaximum: number;
}

export interface PumpDeps {
  readonly outbox: Outbox;
  readonly log: Logger;
  readonly published: (message: { seq: number; topic: string }) => void;
}

/** Unacknowledged messages at a time, and how many are read and deleted at once. */
const WINDOW = 8;
const BATCH = 64;
const MIN_PAUSE_MS = 250;
const MAX_PAUSE_MS = 30_000;

/**
 * Carries the outbox to the broker: in order, at least once, deleted only after the acknowledgement.
 * It reads the store when it was told that there is something (or at a new connection), never on a clock.
 */
export class OutboxPump {
  readonly #deps: PumpDeps;
  readonly #waiters = new Set<() => void>();
  #publisher: Publisher | undefined;
  #loop: Promise<void> | undefined;
  #dirty = true;
  #wake: (() => void) | undefined;
  #pauseMs = MIN_PAUSE_MS;
  #problemSaid = false;

  constructor(deps: PumpDeps) {
    this.#deps = deps;
  }

  /** Something was recorded. */
  notify(): void {
    this.#dirty = true;
    this.#wake?.();
  }

  /** A connection is up; what was not acknowledged on the last one is sent again. */
  attach(publisher: Publisher): void {
    this.#publisher = publisher;
    this.#dirty = true;
    const before = this.#loop ?? Promise.resolve();
    // The loop of the last connection ends first: it may still be writing its acknowledgement.
    this.#loop = before.then(() => this.#run(publisher));
  }

  /** Resolves when the loop has ended; its connection must be gone. */
  async settled(): Promise<void> {
    await this.#loop;
  }

  /** True once nothing waits any more; false when that took longer than the limit, or when `signal` was aborted. */
  async drained(limitMs: number, signal?: AbortSignal): Promise<boolean> {
    const limit = AbortSignal.any([AbortSignal.timeout(limitMs), ...(signal ? [signal] : [])]);
    while (true) {
      const idle = this.#nextIdle(limit);
      this.notify();
      const { waiting } = await this.#deps.outbox.outboxStats();
      if (waiting === 0) return true;
      await idle;
      if (limit.aborted) return false;
    }
  }

  async #run(publisher: Publisher): Promise<void> {
    while (!publisher.gone.aborted && this.#publisher === publisher) {
      if (!this.#dirty) {
        this.#sayIdle();
        await this.#woken(publisher.gone);
        continue;
      }
      this.#dirty = false;
      try {
        if (await this.#carry(publisher)) this.#dirty = true;
        this.#recovered();
      } catch (error) {
        this.#dirty = true;
        if (publisher.gone.aborted) return;
        await this.#retryLater(error, publisher.gone);
      }
    }
  }

  /** One batch; true when there may be more. What was acknowledged before a failure is deleted all the same. */
  async #carry(publisher: Publisher): Promise<boolean> {
    const batch = await this.#deps.outbox.outbox(BATCH);
    if (batch.length === 0) return false;
    const { acknowledged, failure } = await this.#send(batch, publisher);
    if (acknowledged !== undefined) await this.#deps.outbox.acknowledge(acknowledged);
    if (failure !== undefined) throw failure.error;
    return true;
  }

  /**
   * Sends in order and keeps at most a window unacknowledged. After a failure nothing more is sent; a message after the
   * failed one that was already under way comes again later, which at-least-once allows.
   */
  async #send(
    batch: readonly OutboxMessage[],
    publisher: Publisher,
  ): Promise<{ acknowledged: number | undefined; failure: { error: unknown } | undefined }> {
    const window = Math.max(1, Math.min(WINDOW, publisher.receiveMaximum));
    const underWay: { message: OutboxMessage; done: Promise<{ error: unknown } | undefined> }[] = [];
    let acknowledged: number | undefined;
    let next = 0;
    while (true) {
      for (; underWay.length < window && next < batch.length; next++) {
        const message = batch[next];
        if (message === undefined) break;
        const done = publisher.publish(message.topic, message.payload).then(
          () => undefined,
          (error: unknown) => ({ error }),
        );
        underWay.push({ message, done });
      }
      const first = underWay.shift();
      if (first === undefined) return { acknowledged, failure: undefined };
      const failure = await first.done;
      if (failure !== undefined) {
        await Promise.all(underWay.map(({ done }) => done));
        return { acknowledged, failure };
      }
      acknowledged = first.message.seq;
      this.#deps.published({ seq: first.message.seq, topic: first.message.topic });
    }
  }

  async #retryLater(error: unknown, gone: AbortSignal): Promise<void> {
    if (!this.#problemSaid) {
      this.#problemSaid = true;
      const reason = error instanceof Error ? error.message : String(error);
      this.#deps.log.warn({ reason }, 'events cannot be published now; they wait in the outbox');
    }
    const pause = this.#pauseMs;
    this.#pauseMs = Math.min(MAX_PAUSE_MS, this.#pauseMs * 2);
    await sleep(pause, undefined, { signal: gone }).catch(() => {});
  }

  #recovered(): void {
    this.#pauseMs = MIN_PAUSE_MS;
    this.#problemSaid = false;
  }

  async #woken(gone: AbortSignal): Promise<void> {
    await new Promise<void>((resolve) => {
      const done = () => {
        gone.removeEventListener('abort', done);
        this.#wake = undefined;
        resolve();
      };
      this.#wake = done;
      gone.addEventListener('abort', done);
    });
  }

  #sayIdle(): void {
    for (const waiter of [...this.#waiters]) waiter();
  }

  #nextIdle(limit: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const done = () => {
        this.#waiters.delete(done);
        limit.removeEventListener('abort', done);
        resolve();
      };
      this.#waiters.add(done);
      limit.addEventListener('abort', done);
      if (limit.aborted) done();
    });
  }
}
