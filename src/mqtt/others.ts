import type { IClientPublishOptions } from 'mqtt';
import type { Session } from './session.js';

/** Topics that are not ours: a lock of others behind the same broker. */
export interface OtherTopics {
  /**
   * QoS 1, not retained, now or never: rejects without a connection, and when the connection is lost before the broker
   * has acknowledged. A message that waits for somebody would do its work at another time, for somebody else.
   */
  publish(topic: string, payload: string): Promise<void>;
  /** Returns its unsubscribe function. Retained messages are told too: they say how something stands. */
  subscribe(topic: string, listener: (payload: string) => void): () => void;
}

/** With MQTT 5 the broker itself throws away what it could not deliver for so long. */
const EXPIRY_S = 5;
const MAX_BYTES = 1024;

export class Others implements OtherTopics {
  readonly #session: () => Session | undefined;
  readonly #listeners = new Map<string, Set<(payload: string) => void>>();

  constructor(session: () => Session | undefined) {
    this.#session = session;
  }

  get topics(): string[] {
    return [...this.#listeners.keys()];
  }

  async publish(topic: string, payload: string): Promise<void> {
    const session = this.#session();
    if (session === undefined) throw new Error('there is no connection to the broker');
    const options: IClientPublishOptions = { qos: 1 };
    if (session.version === 5) options.properties = { messageExpiryInterval: EXPIRY_S };
    await session.publish(topic, payload, options);
  }

  subscribe(topic: string, listener: (payload: string) => void): () => void {
    const known = this.#listeners.get(topic) ?? new Set();
    this.#listeners.set(topic, known);
    known.add(listener);
    // Without a connection, or when it is lost meanwhile: the next one begins with every subscription.
    this.#session()
      ?.subscribe(topic)
      .catch(() => {});
    return () => known.delete(listener);
  }

  /** True when the topic is one of these. */
  receive(topic: string, payload: Buffer): boolean {
    const listeners = this.#listeners.get(topic);
    if (listeners === undefined) return false;
    if (payload.length <= MAX_BYTES) for (const listener of listeners) listener(payload.toString('utf8'));
    return true;
  }
}
