import { FacedError } from '../domain/errors.js';
import type { Clock } from '../lib/clock.js';
import { TypedEvents } from '../lib/events.js';
import type { Lock, LockEvents, LockOptions } from './lock.js';

/** What a lock over MQTT needs of the broker's connection. */
export interface MqttLockPort {
  /**
   * QoS 1, not retained. Rejects when there is no connection; it must never keep the message for later: a door that
   * opens minutes afterwards opens for somebody else.
   */
  publish(topic: string, payload: string): Promise<void>;
  /** Returns its unsubscribe function. */
  subscribe(topic: string, listener: (payload: string) => void): () => void;
}

type MqttLockOptions = Extract<LockOptions, { driver: 'mqtt' }>;

/**
 * A lock of others behind the broker (zigbee2mqtt, Nuki, ESPHome). It has to say on its state topic that it moved;
 * what it does not confirm counts as not known. It has its own longest pulse, or is locked by a second message here;
 * that message is lost when faced or the broker dies in between, which is why docs/door.md prefers a wire.
 */
export class MqttLock implements Lock {
  readonly #events: TypedEvents<LockEvents>;
  readonly #options: MqttLockOptions;
  readonly #port: MqttLockPort;
  readonly #clock: Clock;
  #unsubscribe: (() => void) | null = null;
  #relock: NodeJS.Timeout | null = null;
  #heard: ((state: 'locked' | 'unlocked' | 'jammed') => void) | null = null;

  constructor(
    options: MqttLockOptions,
    deps: { port: MqttLockPort; clock: Clock; onError: (error: unknown) => void },
  ) {
    this.#options = options;
    this.#port = deps.port;
    this.#clock = deps.clock;
    this.#events = new TypedEvents(deps.onError);
  }

  readonly on: Lock['on'] = (name, listener) => this.#events.on(name, listener);

  async start(signal: AbortSignal): Promise<void> {
    signal.addEventListener('abort', () => void this.stop(), { once: true });
    const names = Object.entries(this.#options.states) as ['locked' | 'unlocked' | 'jammed', string][];
    this.#unsubscribe = this.#port.subscribe(this.#options.stateTopic, (payload) => {
      const state = names.find(([, text]) => text === payload)?.[0];
      if (state === undefined) return;
      this.#events.emit('moved', { to: state, at: this.#clock.monotonic() });
      this.#heard?.(state);
    });
  }

  async stop(): Promise<void> {
    this.#unsubscribe?.();
    this.#unsubscribe = null;
    if (this.#relock === null) return;
    clearTimeout(this.#relock);
    this.#relock = null;
    await this.#port.publish(this.#options.commandTopic, this.#options.lockPayload).catch(() => {});
  }

  async unlock(pulseMs: number): Promise<void> {
    const { commandTopic, unlockPayload } = this.#options;
    const obeyed = this.#waitFor('unlocked');
    try {
      await this.#port.publish(commandTopic, unlockPayload);
    } catch (cause) {
      obeyed.cancel();
      throw new FacedError('door.lock-failed', 'the broker could not be reached', { cause });
    }
    if (this.#relock !== null) clearTimeout(this.#relock);
    // Also when it does not answer: it may have opened all the same.
    this.#relock = setTimeout(() => {
      this.#relock = null;
      this.lock().catch((error: unknown) => {
        const { code, message } = FacedError.from(error);
        this.#events.emit('failed', { code, message });
      });
    }, pulseMs);
    await obeyed.answer;
  }

  async lock(): Promise<void> {
    const { commandTopic, lockPayload } = this.#options;
    const obeyed = this.#waitFor('locked');
    try {
      await this.#port.publish(commandTopic, lockPayload);
    } catch (cause) {
      obeyed.cancel();
      throw new FacedError('door.lock-failed', 'the broker could not be reached', { cause });
    }
    await obeyed.answer;
  }

  /** The newest order is the one that is waited for. */
  #waitFor(wanted: 'locked' | 'unlocked'): { answer: Promise<void>; cancel(): void } {
    const { answerMs } = this.#options;
    let cancel = () => {};
    const answer = new Promise<void>((resolve, reject) => {
      const done = (settle: () => void) => {
        clearTimeout(timer);
        if (this.#heard === heard) this.#heard = null;
        settle();
      };
      const timer = setTimeout(
        () =>
          done(() =>
            reject(new FacedError('door.lock-silent', `the lock did not answer within ${answerMs} ms`)),
          ),
        answerMs,
      );
      const heard = (state: 'locked' | 'unlocked' | 'jammed') => {
        if (state === wanted) done(resolve);
        if (state === 'jammed')
          done(() => reject(new FacedError('door.lock-failed', 'the lock says it is jammed')));
      };
      this.#heard = heard;
      cancel = () => done(resolve);
    });
    return { answer, cancel };
  }
}
