import { setMaxListeners } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { type IClientOptions, type IPublishPacket, MqttClient } from 'mqtt';
import { FacedError } from '../domain/errors.js';
import type { Clock } from '../lib/clock.js';
import type { Logger } from '../lib/log.js';
import { type Endpoint, type EndpointOptions, readEndpoint } from './endpoint.js';
import { type Failure, failureOf, lost, unstable } from './failure.js';
import './packet-cache.js';
import { watchPacketSize } from './packet-size.js';
import { type MqttVersion, type Session, sessionOf } from './session.js';

export interface ConnectionOptions extends EndpointOptions {
  readonly clientId: string;
  readonly will: { readonly topic: string; readonly payload: string };
  readonly keepaliveS: number;
  readonly connectTimeoutMs: number;
  /** How long a publication or subscription may stay unanswered before the connection is given up. */
  readonly ackTimeoutMs: number;
  readonly minPauseMs: number;
  readonly maxPauseMs: number;
  /** The largest packet that the broker may send. */
  readonly maxPacketBytes: number;
  /** How long the broker keeps commands for us while we are away (MQTT 5). */
  readonly sessionExpiryS: number;
}

export interface ConnectionDeps {
  readonly clock: Clock;
  readonly log: Logger;
  /** 0 to 1, for the jitter. */
  readonly random: () => number;
  /** A connection is up. */
  readonly up: (session: Session) => void;
  /** It is gone. Not called for attempts that never got so far. */
  readonly down: (reason: string) => void;
  readonly message: (packet: IPublishPacket) => void;
}

/** In one outage these turn into each other, and are one thing to say. */
const NETWORK_KINDS = new Set<Failure['kind']>(['unreachable', 'silent', 'lost', 'refused']);
/** A connection that stood this long ends the outage. */
const STABLE_MS = 10_000;
const FAREWELL_MS = 2_000;
/** Connections in a row that the broker closed soon after they stood: no accident any more. */
const SHORT_LIVED = 3;
/** Connections closed without an answer before a version that worked is doubted. */
const SILENT_ATTEMPTS = 4;

/**
 * Keeps a connection to the broker: MQTT 5, or 3.1.1 where the broker refuses 5; pauses between attempts grow to a bound
 * and have jitter, so that a house full of devices does not return in step.
 */
export class Connection {
  readonly #options: ConnectionOptions;
  readonly #deps: ConnectionDeps;
  readonly #stopping = new AbortController();
  /** What was said in this outage already. */
  readonly #said = new Set<string>();
  #version: MqttVersion = 5;
  /** The broker refused MQTT 5 in words. */
  #refused = false;
  /** The present version is the right one, by a refusal of the other or by being the newest. */
  #proven = false;
  #silent = 0;
  #shortLived = 0;
  #failures = 0;
  #clearSession = false;
  #client: MqttClient | undefined;
  #session: Session | undefined;
  #loop: Promise<void> | undefined;
  #problem: string | null = 'not connected yet';
  /** Saying farewell: that the connection ends now is no failure. */
  #leaving = false;

  constructor(options: ConnectionOptions, deps: ConnectionDeps) {
    this.#options = options;
    this.#deps = deps;
  }

  /** Why there is no connection, for people; null when there is one. */
  get problem(): string | null {
    return this.#problem;
  }

  get session(): Session | undefined {
    return this.#session;
  }

  /**
   * Reads the files once, so that a wrong setting fails here, then connects in the background. The signal counts until
   * this resolves; what was recorded shall still be published while a daemon stops, so the end is `stop()`.
   */
  async start(signal: AbortSignal): Promise<void> {
    const endpoint = await readEndpoint(this.#options);
    signal.throwIfAborted();
    if (endpoint.passwordInClear)
      this.#deps.log.warn(
        { broker: endpoint.label },
        'the MQTT password crosses the network in clear; use mqtts://',
      );
    this.#loop = this.#run();
  }

  /** `farewell` is sent before the connection is closed in an orderly way, which makes the broker forget the Will. */
  async stop(farewell?: (session: Session) => Promise<void>): Promise<void> {
    const client = this.#client;
    this.#leaving = true;
    if (this.#session !== undefined && client !== undefined && !this.#stopping.signal.aborted) {
      const limit = sleep(FAREWELL_MS, undefined, { ref: false });
      await Promise.race([farewell?.(this.#session).catch(() => {}), limit]);
      await Promise.race([client.endAsync().catch(() => {}), limit]);
    }
    this.#stopping.abort();
    await this.#loop;
  }

  /** Ends the connection at once and begins anew. */
  drop(reason: string): void {
    if (this.#client !== undefined) this.#client.stream.destroy(new Error(reason));
  }

  async #run(): Promise<void> {
    const stop = this.#stopping.signal;
    while (!stop.aborted) {
      const tried = this.#version;
      const failure = await this.#connect(tried);
      if (stop.aborted || this.#leaving) return;
      if (this.#fallBack(failure, tried)) continue;
      this.#say(failure);
      await sleep(this.#pause(), undefined, { signal: stop }).catch(() => {});
    }
  }

  /** True when another version of the protocol shall be tried at once. */
  #fallBack(failure: Failure, tried: MqttVersion): boolean {
    if (failure.kind === 'version') {
      this.#version = tried === 5 ? 4 : 5;
      this.#refused = tried === 5;
      return tried === 5;
    }
    // MQTT 3.1.1, 3.1.4 lets a broker close without a word on a version that it does not know; but a broker that is
    // just starting does so too, so a version that worked is kept for some attempts.
    this.#silent = failure.kind === 'silent' ? this.#silent + 1 : 0;
    const patience = this.#proven ? SILENT_ATTEMPTS : 1;
    if (this.#silent > 0 && this.#silent % patience === 0) this.#version = tried === 5 ? 4 : 5;
    // 3.1.1 by silence alone is a guess, made anew at each outage.
    if (failure.kind === 'lost' && !this.#proven) this.#version = 5;
    return false;
  }

  #pause(): number {
    const { minPauseMs, maxPauseMs } = this.#options;
    const full = Math.min(maxPauseMs, minPauseMs * 2 ** Math.min(this.#failures++, 16));
    return full * (0.5 + this.#deps.random() / 2);
  }

  #say(failure: Failure): void {
    this.#problem = failure.message;
    const topic = NETWORK_KINDS.has(failure.kind) ? 'network' : failure.kind;
    if (this.#said.has(topic)) return;
    this.#said.add(topic);
    this.#deps.log.warn(
      { code: 'mqtt.connect-failed', reason: failure.message, fix: failure.fix },
      'no connection to the MQTT broker; trying on',
    );
  }

  /** One attempt and, where it succeeds, the whole life of the connection. Resolves with why it ended. */
  async #connect(version: MqttVersion): Promise<Failure> {
    let endpoint: Endpoint;
    try {
      endpoint = await readEndpoint(this.#options);
    } catch (error) {
      return { kind: 'files', message: FacedError.from(error).message, fix: FacedError.from(error).fix };
    }
    if (this.#stopping.signal.aborted) return lost(endpoint.label);
    const gone = new AbortController();
    // One for each message on its way, which what sends them bounds.
    setMaxListeners(0, gone.signal);
    let cause: unknown;
    let answered = false;
    let upSince: number | undefined;
    const open = () => {
      const stream = endpoint.open();
      stream.on('error', (error) => {
        cause ??= error;
      });
      watchPacketSize(stream, this.#options.maxPacketBytes, () => {
        // The broker would send the same message again at every connection: leave the old session behind.
        this.#clearSession = true;
        stream.destroy(new Error('the broker sent a packet that is too large'));
      });
      return stream;
    };
    const client = new MqttClient(open, this.#clientOptions(endpoint, version));
    this.#client = client;
    const abort = () => client.stream.destroy();
    this.#stopping.signal.addEventListener('abort', abort, { once: true });
    client.on('packetreceive', () => {
      answered = true;
    });
    client.on('error', (error) => {
      // A refusal that names its code says more than the end of the stream that follows it.
      cause ??= error;
      client.stream.destroy();
    });
    client.on('disconnect', (packet) => {
      cause ??= Object.assign(new Error('the broker ended the connection'), { code: packet.reasonCode });
    });
    client.on('message', (_topic, _payload, packet) => this.#deps.message(packet));
    client.on('connect', () => {
      upSince = this.#deps.clock.monotonic();
      this.#clearSession = false;
      this.#proven = version === 5 || this.#refused;
      this.#problem = null;
      this.#session = sessionOf(client, this.#options.ackTimeoutMs, {
        version,
        label: endpoint.label,
        gone: gone.signal,
      });
      this.#deps.up(this.#session);
    });
    await new Promise<void>((resolve) => client.once('close', () => resolve()));
    this.#stopping.signal.removeEventListener('abort', abort);
    this.#session = undefined;
    this.#client = undefined;
    gone.abort();
    client.end(true);
    if (upSince === undefined) return failureOf(cause, { answered, label: endpoint.label });
    const lasted = this.#deps.clock.monotonic() - upSince >= STABLE_MS;
    this.#shortLived = lasted ? 0 : this.#shortLived + 1;
    const failure = this.#lossOf(cause, endpoint.label);
    this.#problem = failure.message;
    if (lasted) {
      this.#failures = 0;
      this.#said.clear();
    }
    this.#deps.down(failure.message);
    return failure;
  }

  /** Not every broker says that another client took the id over (mosquitto 2.0 does not, for a session that is resumed). */
  #lossOf(cause: unknown, label: string): Failure {
    if (cause !== undefined) return failureOf(cause, { answered: true, label });
    return this.#shortLived >= SHORT_LIVED ? unstable(label) : lost(label);
  }

  #clientOptions(endpoint: Endpoint, version: MqttVersion): IClientOptions {
    const { clientId, will, keepaliveS, connectTimeoutMs, maxPacketBytes, sessionExpiryS } = this.#options;
    return {
      clientId,
      protocolId: 'MQTT',
      protocolVersion: version,
      clean: this.#clearSession,
      keepalive: keepaliveS,
      connectTimeout: connectTimeoutMs,
      reconnectPeriod: 0,
      resubscribe: false,
      timerVariant: 'native',
      will: { topic: will.topic, payload: Buffer.from(will.payload), qos: 1, retain: true },
      ...(endpoint.username === undefined ? {} : { username: endpoint.username }),
      ...(endpoint.password === undefined ? {} : { password: endpoint.password }),
      ...(version === 5
        ? { properties: { sessionExpiryInterval: sessionExpiryS, maximumPacketSize: maxPacketBytes } }
        : {}),
    };
  }
}
