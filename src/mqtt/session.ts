import type { IClientPublishOptions, MqttClient } from 'mqtt';

/** 4 is MQTT 3.1.1, as in the CONNECT packet. */
export type MqttVersion = 4 | 5;

/** One network connection from CONNACK to its end. A new one is made from nothing each time: what must survive is in the outbox. */
export interface Session {
  readonly version: MqttVersion;
  readonly label: string;
  readonly receiveMaximum: number;
  readonly gone: AbortSignal;
  /** Bytes that wait for the socket. */
  readonly backlog: number;
  publish(topic: string, payload: string | Uint8Array, options: IClientPublishOptions): Promise<void>;
  subscribe(topic: string): Promise<void>;
}

/** @param ackTimeoutMs After this long without an acknowledgement the connection is given up. */
export function sessionOf(
  client: MqttClient,
  ackTimeoutMs: number,
  about: { version: MqttVersion; label: string; gone: AbortSignal },
): Session {
  // mqtt.js keeps the callback of an unacknowledged message for a reconnect that never comes here.
  const orGone = <Value>(work: Promise<Value>): Promise<Value> => {
    const { promise, reject } = deferred<Value>();
    const timer = setTimeout(() => {
      reject(new Error('the broker did not acknowledge in time'));
      client.stream.destroy(new Error('the broker did not acknowledge in time'));
    }, ackTimeoutMs);
    const lost = () => reject(new Error('the connection was lost'));
    about.gone.addEventListener('abort', lost, { once: true });
    if (about.gone.aborted) lost();
    return Promise.race([work, promise]).finally(() => {
      clearTimeout(timer);
      about.gone.removeEventListener('abort', lost);
    });
  };
  return {
    ...about,
    receiveMaximum: client.serverProperties?.receiveMaximum ?? 65_535,
    get backlog() {
      return client.stream.writableLength;
    },
    publish: async (topic, payload, options) => {
      const body =
        typeof payload === 'string'
          ? payload
          : Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength);
      await orGone(client.publishAsync(topic, body, options));
    },
    subscribe: async (topic) => {
      // Retain As Published: without it a retained command would look like a live one (MQTT 5, 3.8.3.1).
      const options = about.version === 5 ? ({ qos: 1, rap: true } as const) : ({ qos: 1 } as const);
      await orGone(client.subscribeAsync(topic, options));
    },
  };
}

function deferred<Value>(): { promise: Promise<Value>; reject: (error: Error) => void } {
  let reject: (error: Error) => void = () => {};
  const promise = new Promise<Value>((_resolve, no) => {
    reject = no;
  });
  promise.catch(() => {});
  return { promise, reject };
}
