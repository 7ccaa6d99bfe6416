import type { Logger } from '../lib/log.js';
import { type DiscoveryAbout, discoveryId, discoveryPayload } from './discovery.js';
import type { Session } from './session.js';

export interface HomeAssistantOptions extends Omit<DiscoveryAbout, 'device'> {
  /** False: only what an earlier start has announced is taken away. */
  readonly enabled: boolean;
  /** Default `homeassistant`. */
  readonly prefix?: string;
  /** Where Home Assistant says `online` when it has started; default `homeassistant/status`. */
  readonly statusTopic?: string;
}

export const DEFAULT_PREFIX = 'homeassistant';
export const DEFAULT_STATUS_TOPIC = 'homeassistant/status';

/** Where the one retained announcement of a device stands. */
export function discoveryTopic(device: string, prefix = DEFAULT_PREFIX): string {
  return `${prefix}/device/${discoveryId(device)}/config`;
}

/** After its birth message Home Assistant is busy, and every device of the house answers: each waits a little. */
const BIRTH_SPREAD_MS = 1_000;
const BIRTH_GAP_MS = 5_000;
/** What is read of an older announcement. */
const MAX_OLD_BYTES = 200_000;
const MAX_OLD_COMPONENTS = 200;

/**
 * Announces the device to Home Assistant: one retained message, said again at Home Assistant's birth. What an earlier
 * start had announced and this one has not is taken away by name, since Home Assistant keeps what is only left out.
 */
export class HomeAssistant {
  readonly topic: string;
  readonly #options: HomeAssistantOptions;
  readonly #payload: string;
  readonly #components: ReadonlySet<string>;
  readonly #log: Logger;
  readonly #random: () => number;
  #session: Session | undefined;
  /** The announcement of an earlier start has been looked at, on this connection. */
  #looked = false;
  #timer: NodeJS.Timeout | undefined;
  #saidAt = Number.NEGATIVE_INFINITY;

  constructor(device: string, options: HomeAssistantOptions, deps: { log: Logger; random: () => number }) {
    const payload = discoveryPayload({ ...options, device });
    this.#options = options;
    this.#payload = JSON.stringify(payload);
    this.#components = new Set(Object.keys(payload.components));
    this.topic = discoveryTopic(device, options.prefix);
    this.#log = deps.log;
    this.#random = deps.random;
  }

  get #statusTopic(): string {
    return this.#options.statusTopic ?? DEFAULT_STATUS_TOPIC;
  }

  /** A connection is up. The subscription comes first, so that the broker sends the old announcement before ours. */
  async welcome(session: Session): Promise<void> {
    this.#session = session;
    this.#looked = false;
    try {
      await session.subscribe(this.topic);
      if (!this.#options.enabled) return;
      await session.subscribe(this.#statusTopic);
      await this.#publish(this.#payload);
    } catch (error) {
      if (session.gone.aborted) return;
      const reason = error instanceof Error ? error.message : String(error);
      if (this.#options.enabled)
        this.#log.warn(
          { reason, topic: this.topic },
          'Home Assistant was not told; access rules may lack us',
        );
    }
  }

  /** True when the message was meant for this part. */
  receive(topic: string, payload: Buffer): boolean {
    if (topic === this.topic) {
      this.#lookAt(payload);
      return true;
    }
    if (topic !== this.#statusTopic || !this.#options.enabled) return false;
    if (payload.length <= 16 && payload.toString() === 'online') this.#born();
    return true;
  }

  stop(): void {
    clearTimeout(this.#timer);
  }

  /** Once for each connection: somebody else who writes this topic must not be able to make us answer for ever. */
  #lookAt(payload: Buffer): void {
    if (this.#looked || payload.length === 0) return;
    this.#looked = true;
    const text = payload.length > MAX_OLD_BYTES ? '' : payload.toString('utf8');
    if (text === this.#payload) return;
    if (!this.#options.enabled) {
      this.#say('');
      return;
    }
    const gone = componentsOf(text).filter(([name]) => !this.#components.has(name));
    if (gone.length === 0) return;
    const ours = JSON.parse(this.#payload) as { components: object };
    // A component with its platform alone is how Home Assistant is told to take it away.
    const removed = Object.fromEntries(gone.map(([name, platform]) => [name, { platform }]));
    this.#say(JSON.stringify({ ...ours, components: { ...ours.components, ...removed } }));
    this.#say(this.#payload);
  }

  #born(): void {
    if (this.#timer !== undefined) return;
    const wait = Math.max(0, this.#saidAt + BIRTH_GAP_MS - performance.now());
    this.#timer = setTimeout(
      () => {
        this.#timer = undefined;
        this.#saidAt = performance.now();
        this.#say(this.#payload);
      },
      wait + this.#random() * BIRTH_SPREAD_MS,
    );
    this.#timer.unref();
  }

  #say(payload: string): void {
    this.#publish(payload).catch((error: unknown) =>
      this.#log.debug({ reason: String(error) }, 'Home Assistant was not told'),
    );
  }

  async #publish(payload: string): Promise<void> {
    await this.#session?.publish(this.topic, payload, { qos: 1, retain: true });
  }
}

/** Names and platforms of an announcement, as far as it can be read; without those that are taken away already. */
function componentsOf(text: string): [string, string][] {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return [];
  }
  const components = value instanceof Object && 'components' in value ? value.components : undefined;
  if (!(components instanceof Object)) return [];
  return Object.entries(components)
    .slice(0, MAX_OLD_COMPONENTS)
    .flatMap(([name, one]: [string, unknown]): [string, string][] => {
      const platform = one instanceof Object && 'platform' in one ? one.platform : undefined;
      const living = one instanceof Object && Object.keys(one).length > 1;
      return living && typeof platform === 'string' && /^[a-z_]{1,32}$/.test(platform)
        ? [[name, platform]]
        : [];
    });
}
