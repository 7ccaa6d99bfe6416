import { randomBytes, timingSafeEqual } from 'node:crypto';
import { createServer, type Server, type Socket } from 'node:net';
import { Aedes, type AuthenticateError, type Client, type PublishPacket } from 'aedes';
import { FacedError } from '../domain/errors.js';
import type { Logger } from '../lib/log.js';
import './packet-cache.js';
import { watchPacketSize } from './packet-size.js';
import { ROOT_LEVEL, SUFFIXES } from './topics.js';

export interface BrokerOptions {
  /** Default 127.0.0.1: whoever may run programs here may read events; nobody else can connect. */
  readonly host?: string;
  /** Default 1883; when it is taken the next free one, 0 for any. */
  readonly port?: number;
  readonly maxClients?: number;
  readonly maxPacketBytes?: number;
  /** Retained messages of clients, in number and in bytes of payload all together. */
  readonly maxRetained?: number;
  readonly maxRetainedBytes?: number;
  readonly maxSubscriptions?: number;
  /** Topics beside `faced/` that only the daemon's own link may write: what Home Assistant is told of us. */
  readonly reserved?: readonly string[];
}

export interface EmbeddedBroker {
  start(signal: AbortSignal): Promise<void>;
  stop(): Promise<void>;
  /** Valid after start: `mqtt://127.0.0.1:<port>`. */
  readonly url: string;
  /** By these the daemon's own link is told from everybody else's; new at each start, never written anywhere. */
  readonly credentials: { readonly username: string; readonly password: string };
  stats(): { clients: number; refused: number };
}

const OWN_USER = 'faced';
const PORTS_TO_TRY = 20;
/** CONNACK return codes, MQTT 3.1.1, 3.2.2.3. */
const UNAVAILABLE = 3;
const NOT_AUTHORIZED = 5;
const COMMAND_SUFFIXES = new Set([SUFFIXES.enrollSet, SUFFIXES.lockSet, SUFFIXES.controlSet]);

/** A small MQTT 3.1.1 broker for machines that have none. It keeps nothing on disk and no sessions of clients that are away. */
export function createBroker(options: BrokerOptions, deps: { log: Logger }): EmbeddedBroker {
  return new Broker(options, deps.log);
}

class Broker implements EmbeddedBroker {
  readonly credentials = { username: OWN_USER, password: randomBytes(24).toString('base64url') };
  readonly #limits: Required<BrokerOptions>;
  readonly #log: Logger;
  readonly #own = new WeakSet<Client>();
  readonly #subscriptions = new WeakMap<Client, Set<string>>();
  readonly #retained = new Map<string, number>();
  #retainedBytes = 0;
  readonly #sockets = new Set<Socket>();
  #refused = 0;
  #aedes: Aedes | undefined;
  #server: Server | undefined;
  #url = '';

  constructor(options: BrokerOptions, log: Logger) {
    this.#limits = {
      host: '127.0.0.1',
      port: 1883,
      maxClients: 32,
      maxPacketBytes: 4_000_000,
      maxRetained: 256,
      maxRetainedBytes: 8_000_000,
      maxSubscriptions: 64,
      reserved: [],
      ...options,
    };
    this.#log = log;
  }

  get url(): string {
    return this.#url;
  }

  stats(): { clients: number; refused: number } {
    return { clients: this.#sockets.size, refused: this.#refused };
  }

  async start(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    const aedes = new Aedes({
      connectTimeout: 10_000,
      // Half-open QoS 2 deliveries are kept in memory at up to a packet each.
      maxInflightInbound: 8,
      // Nothing is queued for a client that is away: such a queue has no bound in memory.
      preConnect: (_client, packet, done) => {
        packet.clean = true;
        done(null, true);
      },
      authenticate: (client, username, password, done) => {
        const verdict = this.#authenticate(client, username, password);
        done(verdict, verdict === null);
      },
      authorizePublish: (client, packet, done) => {
        const problem = this.#forbidden(client, packet);
        if (problem !== undefined) this.#refuse(problem);
        done(problem === undefined ? null : new Error(problem));
      },
      authorizeSubscribe: (client, subscription, done) => {
        done(null, this.#maySubscribe(client, subscription.topic) ? subscription : null);
      },
    });
    await aedes.listen();
    aedes.on('unsubscribe', (topics, client) => {
      for (const topic of topics) this.#subscriptions.get(client)?.delete(topic);
    });
    aedes.on('clientError', (_client, error) =>
      this.#log.debug({ reason: error.message }, 'an MQTT client failed'),
    );
    aedes.on('connectionError', (_client, error) =>
      this.#log.debug({ reason: error.message }, 'an MQTT connection failed'),
    );
    this.#aedes = aedes;
    const { host, port } = this.#limits;
    try {
      this.#server = await this.#listen(aedes, signal);
    } catch (error) {
      await this.stop();
      throw error;
    }
    const address = this.#server.address();
    const bound = typeof address === 'object' && address !== null ? address.port : port;
    this.#url = `mqtt://${host.includes(':') ? `[${host}]` : host}:${bound}`;
    if (port !== 0 && bound !== port)
      this.#log.warn(
        { wanted: port, port: bound },
        'the MQTT port is taken; the embedded broker uses another one',
      );
    if (!/^(127\.|::1$|localhost$)/.test(host))
      this.#log.warn({ host }, 'the embedded broker can be reached from the network, without a password');
    this.#log.info({ url: this.#url }, 'the embedded MQTT broker listens');
  }

  async stop(): Promise<void> {
    const server = this.#server;
    const aedes = this.#aedes;
    this.#server = undefined;
    this.#aedes = undefined;
    server?.close();
    if (aedes !== undefined) await new Promise<void>((resolve) => aedes.close(() => resolve()));
    for (const socket of this.#sockets) socket.destroy();
  }

  async #listen(aedes: Aedes, signal: AbortSignal): Promise<Server> {
    const { host, port } = this.#limits;
    const last = port === 0 ? 0 : Math.min(65_535, port + PORTS_TO_TRY);
    for (let candidate = port; candidate <= last; candidate++) {
      signal.throwIfAborted();
      const server = createServer((socket) => this.#accept(aedes, socket));
      if (await listening(server, host, candidate)) return server;
    }
    throw new FacedError(
      'mqtt.connect-failed',
      `No free port from ${port} to ${last} for the embedded broker.`,
      {
        fix: 'Set mqtt.url to a broker of yours.',
      },
    );
  }

  #accept(aedes: Aedes, socket: Socket): void {
    if (this.#sockets.size >= this.#limits.maxClients) {
      this.#refuse('too many clients');
      socket.destroy();
      return;
    }
    this.#sockets.add(socket);
    socket.setNoDelay(true);
    socket.on('error', () => {});
    socket.once('close', () => this.#sockets.delete(socket));
    watchPacketSize(socket, this.#limits.maxPacketBytes, () => {
      this.#refuse('a packet is too large');
      socket.destroy();
    });
    aedes.handle(socket);
  }

  #authenticate(
    client: Client,
    username: string | undefined,
    password: Buffer | undefined,
  ): AuthenticateError | null {
    const secret = Buffer.from(this.credentials.password);
    const own =
      username === OWN_USER && password?.length === secret.length && timingSafeEqual(password, secret);
    if (own) {
      this.#own.add(client);
      return null;
    }
    if (username === OWN_USER) return refusal('wrong password', NOT_AUTHORIZED);
    // A second client of the same id would push the daemon's own link out (MQTT-3.1.4-2).
    const holder = this.#aedes === undefined ? undefined : clientsOf(this.#aedes)[client.id];
    if (holder !== undefined && this.#own.has(holder)) return refusal('the client id is taken', UNAVAILABLE);
    return null;
  }

  /** Why a client must not publish this; also asked for Wills. */
  #forbidden(client: Client | null, packet: PublishPacket): string | undefined {
    if (client === null || this.#own.has(client)) return undefined;
    const { topic, retain } = packet;
    if (topic.startsWith('$')) return 'topics with $ are reserved';
    const levels = topic.split('/');
    if (levels[0] === ROOT_LEVEL) {
      if (!COMMAND_SUFFIXES.has(levels.slice(2).join('/'))) return 'only faced writes this topic';
      return retain ? 'a command must not be retained' : undefined;
    }
    if (this.#limits.reserved.includes(topic)) return 'only faced writes this topic';
    return retain ? this.#retain(topic, packet.payload.length) : undefined;
  }

  #retain(topic: string, bytes: number): string | undefined {
    const before = this.#retained.get(topic) ?? 0;
    const total = this.#retainedBytes - before + bytes;
    if (bytes > 0 && (total > this.#limits.maxRetainedBytes || this.#full(topic)))
      return 'too many retained messages';
    this.#retainedBytes = total;
    if (bytes === 0) this.#retained.delete(topic);
    else this.#retained.set(topic, bytes);
    return undefined;
  }

  #full(topic: string): boolean {
    return !this.#retained.has(topic) && this.#retained.size >= this.#limits.maxRetained;
  }

  #maySubscribe(client: Client, topic: string): boolean {
    const topics = this.#subscriptions.get(client) ?? new Set<string>();
    this.#subscriptions.set(client, topics);
    if (!topics.has(topic) && topics.size >= this.#limits.maxSubscriptions) return false;
    topics.add(topic);
    return true;
  }

  #refuse(reason: string): void {
    if (this.#refused++ === 0)
      this.#log.warn({ reason }, 'the embedded broker refused a client; further refusals are only counted');
  }
}

function refusal(message: string, returnCode: number): AuthenticateError {
  return Object.assign(new Error(message), { returnCode });
}

/** Aedes has this table, its types have not. */
function clientsOf(aedes: Aedes): Readonly<Record<string, Client | undefined>> {
  return (aedes as unknown as { clients: Record<string, Client | undefined> }).clients;
}

/** False when the port is taken; rejects for every other reason. */
function listening(server: Server, host: string, port: number): Promise<boolean> {
  return new Promise((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EADDRINUSE') resolve(false);
      else reject(error);
    });
    server.listen({ host, port, exclusive: true }, () => resolve(true));
  });
}
