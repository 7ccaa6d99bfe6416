import type { IPublishPacket } from 'mqtt';
import { type Clock, systemClock } from '../lib/clock.js';
import { TypedEvents } from '../lib/events.js';
import type { Logger } from '../lib/log.js';
import type { CommandHandler, SignedHead } from '../pipeline/ports.js';
import type { CommandKind, DoorPort } from './command-forms.js';
import {
  CommandGate,
  type CommandLimits,
  type CommandMemory,
  type CommandStats,
  DEFAULT_LIMITS,
} from './commands.js';
import { Connection } from './connection.js';
import type { EndpointOptions } from './endpoint.js';
import { HealthThrottle } from './health.js';
import { HomeAssistant, type HomeAssistantOptions } from './home-assistant.js';
import { Others, type OtherTopics } from './others.js';
import { type Outbox, OutboxPump } from './outbox-pump.js';
import { ReplyQueue } from './reply-queue.js';
import type {
  AttemptEvent,
  ControlState,
  EnrollProgress,
  GalleryReport,
  HealthReport,
  LivenessReport,
  LockEvent,
  LockState,
} from './schemas.js';
import type { MqttVersion, Session } from './session.js';
import { type Topics, topicsOf } from './topics.js';

export interface MqttLinkOptions extends EndpointOptions {
  /** One topic level: `faced/<device>/…`. */
  readonly device: string;
  /** Default: `faced-` and the device. */
  readonly clientId?: string;
  /** Publish each try on `attempt`; default false. */
  readonly attempts?: boolean;
  /** Publish pictures on `snapshot`; default false. */
  readonly snapshots?: boolean;
  /** Take `control/set`; default false. */
  readonly controls?: boolean;
  /** Take `enroll/set`; default true. */
  readonly enrolling?: boolean;
  /** A health report without news is published at most this often; default 30,000. */
  readonly healthEveryMs?: number;
  readonly keepaliveS?: number;
  readonly connectTimeoutMs?: number;
  readonly ackTimeoutMs?: number;
  /** First and longest pause between attempts to connect; default 500 and 30,000. */
  readonly minPauseMs?: number;
  readonly maxPauseMs?: number;
  readonly commands?: Partial<CommandLimits>;
  /** Without it Home Assistant is never spoken of; see `enabled` in it. */
  readonly homeAssistant?: HomeAssistantOptions;
}

export interface MqttLinkDeps {
  readonly outbox: Outbox;
  readonly handler: CommandHandler;
  /** Ids of commands that were carried out, kept over a restart. */
  readonly memory: CommandMemory;
  /** Given, `lock/set` is taken and goes to the handler as a command of the kind `lock`. */
  readonly door?: DoorPort;
  readonly log: Logger;
  readonly clock?: Clock;
  readonly random?: () => number;
}

export interface MqttLinkEvents {
  /** Status is online and commands are subscribed. `broker` holds no credentials. */
  connected: { readonly version: MqttVersion; readonly broker: string };
  disconnected: { readonly reason: string };
  /** The broker has acknowledged an event of the outbox. */
  published: { readonly seq: number; readonly topic: string };
}

export interface MqttLinkStats {
  readonly connected: boolean;
  readonly version: MqttVersion | null;
  /** Why there is no connection, for people; null when there is one. */
  readonly problem: string | null;
  readonly commands: CommandStats;
  /** Attempts, snapshots and results that were dropped because nobody could take them. */
  readonly dropped: number;
  /** Messages on topics that nobody asked for. */
  readonly strange: number;
}

export interface MqttLink {
  readonly topics: Topics;
  readonly others: OtherTopics;
  /** Checks settings and files, then connects in the background: a broker that is away is no reason to fail. */
  start(signal: AbortSignal): Promise<void>;
  stop(): Promise<void>;
  on<Name extends keyof MqttLinkEvents>(
    name: Name,
    listener: (payload: MqttLinkEvents[Name]) => void,
  ): () => void;
  /** Something was recorded in the outbox. */
  notify(): void;
  /** True once the broker has acknowledged all of the outbox; false after the limit. */
  drained(limitMs: number): Promise<boolean>;
  /** May be called at every beat; published retained when it is due. */
  health(report: HealthReport): void;
  gallery(report: GalleryReport): void;
  /** The audit's newest row, signed; retained. */
  auditHead(head: SignedHead): void;
  /** Dropped when nobody can take it now. */
  enrollProgress(progress: EnrollProgress): void;
  attempt(event: AttemptEvent): void;
  liveness(report: LivenessReport): void;
  snapshot(camera: string, jpeg: Uint8Array): void;
  /** All doors as they are now; retained. */
  lockState(state: LockState): void;
  lockEvent(event: LockEvent): void;
  /** Retained; only where controls are taken. */
  controlState(state: ControlState): void;
  stats(): MqttLinkStats;
}

/** What waits in the socket before unimportant messages are dropped. */
const MAX_BACKLOG_BYTES = 4_000_000;
/** Room for the topic and the properties beside the payload; beyond it the connection is cut. */
const PACKET_SLACK = 2;

export function createMqttLink(options: MqttLinkOptions, deps: MqttLinkDeps): MqttLink {
  return new Link(options, deps);
}

class Link implements MqttLink {
  readonly topics: Topics;
  readonly others = new Others(() => this.#connection.session);
  readonly #options: MqttLinkOptions;
  readonly #log: Logger;
  readonly #events: TypedEvents<MqttLinkEvents>;
  readonly #connection: Connection;
  readonly #pump: OutboxPump;
  readonly #gate: CommandGate;
  readonly #throttle: HealthThrottle;
  /** The newest retained payloads, said again at each connection: the broker may have lost them. */
  readonly #retained = new Map<string, string>();
  readonly #replies: ReplyQueue;
  readonly #homeAssistant: HomeAssistant | undefined;
  readonly #commandTopics: ReadonlyMap<string, CommandKind>;
  readonly #stopped = new AbortController();
  #dropped = 0;
  #strange = 0;

  constructor(options: MqttLinkOptions, deps: MqttLinkDeps) {
    const { log, clock = systemClock, random = Math.random, outbox, handler } = deps;
    const limits = { ...DEFAULT_LIMITS, ...options.commands };
    this.topics = topicsOf(options.device);
    this.#options = options;
    this.#log = log;
    this.#events = new TypedEvents((error) => log.error({ error: String(error) }, 'a listener failed'));
    this.#throttle = new HealthThrottle(options.healthEveryMs ?? 30_000, () => clock.monotonic());
    const { lockSet, lockResult, enrollSet, enrollResult, controlSet, controlResult } = this.topics;
    const results = { lock: lockResult, enroll: enrollResult, control: controlResult };
    this.#commandTopics = new Map<string, CommandKind>([
      ...(options.enrolling === false ? [] : [[enrollSet, 'enroll'] as const]),
      ...(deps.door === undefined ? [] : [[lockSet, 'lock'] as const]),
      ...(options.controls === true ? [[controlSet, 'control'] as const] : []),
    ]);
    this.#replies = new ReplyQueue(() => this.#connection.session, log);
    this.#gate = new CommandGate(limits, {
      handler,
      memory: deps.memory,
      ...(deps.door && { door: deps.door }),
      clock,
      log,
      reply: (kind, result) => this.#replies.push(results[kind], result),
    });
    this.#homeAssistant =
      options.homeAssistant && new HomeAssistant(options.device, options.homeAssistant, { log, random });
    this.#pump = new OutboxPump({
      outbox,
      log,
      published: (message) => this.#events.emit('published', message),
    });
    this.#connection = new Connection(
      {
        ...options,
        clientId: options.clientId ?? `faced-${options.device}`,
        will: { topic: this.topics.status, payload: 'offline' },
        keepaliveS: options.keepaliveS ?? 30,
        connectTimeoutMs: options.connectTimeoutMs ?? 10_000,
        ackTimeoutMs: options.ackTimeoutMs ?? 30_000,
        minPauseMs: options.minPauseMs ?? 500,
        maxPauseMs: options.maxPauseMs ?? 30_000,
        maxPacketBytes: limits.maxBytes * PACKET_SLACK,
        sessionExpiryS: Math.ceil(limits.maxAheadMs / 1000),
      },
      {
        clock,
        log,
        random,
        up: (session) => void this.#welcome(session),
        down: (reason) => this.#events.emit('disconnected', { reason }),
        message: (packet) => this.#receive(packet),
      },
    );
  }

  async start(signal: AbortSignal): Promise<void> {
    await this.#connection.start(signal);
  }

  async stop(): Promise<void> {
    this.#stopped.abort();
    this.#homeAssistant?.stop();
    await this.#connection.stop((session) =>
      session.publish(this.topics.status, 'offline', { qos: 1, retain: true }),
    );
    await this.#pump.settled();
  }

  on<Name extends keyof MqttLinkEvents>(
    name: Name,
    listener: (payload: MqttLinkEvents[Name]) => void,
  ): () => void {
    return this.#events.on(name, listener);
  }

  notify(): void {
    this.#pump.notify();
  }

  drained(limitMs: number): Promise<boolean> {
    return this.#pump.drained(limitMs, this.#stopped.signal);
  }

  health(report: HealthReport): void {
    if (this.#throttle.due(report)) this.#retain(this.topics.health, JSON.stringify(report));
  }

  gallery(report: GalleryReport): void {
    const payload = JSON.stringify(report);
    if (this.#retained.get(this.topics.gallery) !== payload) this.#retain(this.topics.gallery, payload);
  }

  auditHead(head: SignedHead): void {
    this.#retain(this.topics.auditHead, JSON.stringify(head));
  }

  enrollProgress(progress: EnrollProgress): void {
    this.#offer(this.topics.enrollProgress, JSON.stringify(progress));
  }

  attempt(event: AttemptEvent): void {
    if (this.#options.attempts === true) this.#offer(this.topics.attempt, JSON.stringify(event));
  }

  liveness(report: LivenessReport): void {
    this.#offer(this.topics.liveness, JSON.stringify(report));
  }

  snapshot(camera: string, jpeg: Uint8Array): void {
    if (this.#options.snapshots !== true) return;
    this.#offer(this.topics.snapshot, jpeg, { contentType: 'image/jpeg', userProperties: { camera } });
  }

  lockState(state: LockState): void {
    this.#retain(this.topics.lockState, JSON.stringify(state));
  }

  lockEvent(event: LockEvent): void {
    this.#replies.push(this.topics.lockEvent, event);
  }

  controlState(state: ControlState): void {
    if (this.#options.controls === true) this.#retain(this.topics.controlState, JSON.stringify(state));
  }

  stats(): MqttLinkStats {
    const session = this.#connection.session;
    return {
      connected: session !== undefined,
      version: session?.version ?? null,
      problem: this.#connection.problem,
      commands: this.#gate.stats(),
      dropped: this.#dropped + this.#replies.dropped,
      strange: this.#strange,
    };
  }

  /** After each connection: commands first, then `online`, so that who sees `online` can send one; then what waited. */
  async #welcome(session: Session): Promise<void> {
    const say = (topic: string, payload: string) => session.publish(topic, payload, { qos: 1, retain: true });
    const steps = [
      ...[...this.#commandTopics.keys(), ...this.others.topics].map(
        (topic) => () => session.subscribe(topic),
      ),
      () => say(this.topics.status, 'online'),
      ...[...this.#retained].map(
        ([topic, payload]) =>
          () =>
            say(topic, payload),
      ),
    ];
    for (const step of steps) {
      // After stop() has said `offline`, nothing may say `online` again.
      if (this.#stopped.signal.aborted) return;
      await step().catch((error: unknown) => this.#saySetback(session, error));
    }
    if (session.gone.aborted) return;
    this.#log.info(
      { broker: session.label, mqtt: session.version === 5 ? '5' : '3.1.1' },
      'connected to MQTT',
    );
    this.#pump.attach({
      gone: session.gone,
      receiveMaximum: session.receiveMaximum,
      publish: (topic, payload) => session.publish(topic, payload, { qos: 1 }),
    });
    this.#events.emit('connected', { version: session.version, broker: session.label });
    void this.#replies.flush();
    void this.#homeAssistant?.welcome(session);
  }

  #saySetback(session: Session, error: unknown): void {
    if (session.gone.aborted) return;
    const reason = error instanceof Error ? error.message : String(error);
    this.#log.warn({ reason }, 'the broker refuses our subscription or status; its access rules may lack us');
  }

  #receive(packet: IPublishPacket): void {
    const payload = typeof packet.payload === 'string' ? Buffer.from(packet.payload) : packet.payload;
    const kind = this.#commandTopics.get(packet.topic);
    if (kind !== undefined) this.#gate.receive(kind, payload, packet.retain);
    else if (this.others.receive(packet.topic, payload)) return;
    else if (this.#homeAssistant?.receive(packet.topic, payload) !== true) this.#strange++;
  }

  #retain(topic: string, payload: string): void {
    this.#retained.set(topic, payload);
    this.#connection.session?.publish(topic, payload, { qos: 1, retain: true }).catch((error: unknown) => {
      this.#log.debug({ topic, reason: String(error) }, 'a retained message waits for the broker');
    });
  }

  /** For what is worth nothing later: sent now, or dropped and counted. */
  #offer(
    topic: string,
    payload: string | Uint8Array,
    properties?: { contentType: string; userProperties: Record<string, string> },
  ): void {
    const session = this.#connection.session;
    if (session === undefined || session.backlog > MAX_BACKLOG_BYTES) {
      this.#dropped++;
      return;
    }
    session.publish(topic, payload, { qos: 0, ...(properties && { properties }) }).catch(() => {
      this.#dropped++;
    });
  }
}
