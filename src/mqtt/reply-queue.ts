import type { Logger } from '../lib/log.js';
import type { Session } from './session.js';

const MAX_WAITING = 64;

/** Results and door events: in order, at least once while the process lives, bounded; the oldest go first. */
export class ReplyQueue {
  readonly #session: () => Session | undefined;
  readonly #log: Logger;
  readonly #waiting: { readonly topic: string; readonly payload: string }[] = [];
  #flushing = false;
  #dropped = 0;

  constructor(session: () => Session | undefined, log: Logger) {
    this.#session = session;
    this.#log = log;
  }

  get dropped(): number {
    return this.#dropped;
  }

  push(topic: string, message: object): void {
    if (this.#waiting.length >= MAX_WAITING) {
      this.#waiting.shift();
      this.#dropped++;
    }
    this.#waiting.push({ topic, payload: JSON.stringify(message) });
    void this.flush();
  }

  /** One at a time, so that messages keep their order; what fails stays for the next connection. */
  async flush(): Promise<void> {
    if (this.#flushing) return;
    this.#flushing = true;
    try {
      for (let next = this.#waiting[0]; next !== undefined; next = this.#waiting[0]) {
        const session = this.#session();
        if (session === undefined) return;
        await session.publish(next.topic, next.payload, { qos: 1 });
        if (this.#waiting[0] === next) this.#waiting.shift();
      }
    } catch (error) {
      this.#log.debug({ reason: String(error) }, 'a message waits for the broker');
    } finally {
      this.#flushing = false;
    }
  }
}
