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

type LockSays = 'locked' | 'unlocked' | 'jammed';
type MqttLockOptions = Extract<LockOptions, { driver: 'mqtt' }>;

/** Locking is tried again after so long, each time twice as long, until the lock says that it did. */
const RETRY_MS = { first: 1000, longest: 60_000 };
/** A broker that does not answer must not hold up the end. */
const LAST_WORD_MS = 1000;

/**
 * A lock of others behind the broker (zigbee2mqtt, Nuki, ESPHome). It has to say on its state topic that it moved;
 * what it does not confirm counts as not known. It has its own longest pulse, or is locked by a second message here,
 * which is said again until the lock confirms it; it is lost when faced dies in between, which is why docs/door.md
 * prefers a wire.
 */
export class MqttLock implements Lock {
  readonly #events: TypedEvents<LockEvents>;
  readonly #options: MqttLockOptions;
  readonly #port: MqttLockPort;
  readonly #clock: Clock;
  #unsubscribe: (() => void) | null = null;
  #relock: NodeJS.Timeout | null = null;
  readonly #waiting = new Set<(state: LockSays) => void>();
  /** Since the last unlock. */
  #said: LockSays | null = null;
  /** It opened and is shut again, by itself too: it may have nothing new to say when it is told to lock. */
  #hasShut = false;
  #failed = false;
  #stopped = true;

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
    this.#stopped = false;
    const names = Object.entries(this.#options.states) as [LockSays, string][];
    this.#unsubscribe = this.#port.subscribe(this.#options.stateTopic, (payload) => {
      const state = names.find(([, text]) => text === payload)?.[0];
      if (state === undefined) return;
      this.#hasShut = state === 'locked' && (this.#hasShut || this.#said === 'unlocked');
      this.#said = state;
      this.#events.emit('moved', { to: state, at: this.#clock.monotonic() });
      if (this.#failed && state === 'locked') {
        this.#failed = false;
        this.#events.emit('recovered', {});
      }
      for (const heard of [...this.#waiting]) heard(state);
    });
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    this.#unsubscribe?.();
    this.#unsubscribe = null;
    if (this.#relock === null) return;
    clearTimeout(this.#relock);
    this.#relock = null;
    const { commandTopic, lockPayload } = this.#options;
    const said = this.#port.publish(commandTopic, lockPayload).catch(() => {});
    await new Promise<void>((resolve) => {
      const limit = setTimeout(resolve, LAST_WORD_MS);
      void said.then(() => {
        clearTimeout(limit);
        resolve();
      });
    });
  }

  async unlock(pulseMs: number): Promise<void> {
    this.#said = null;
    this.#hasShut = false;
    // Whatever comes of the order: it may open although nobody says so.
    this.#lockAfter(pulseMs, RETRY_MS.first);
    await this.#order('unlocked', this.#options.unlockPayload);
  }

  async lock(): Promise<void> {
    await this.#order('locked', this.#options.lockPayload);
  }

  async #order(wanted: 'locked' | 'unlocked', payload: string): Promise<void> {
    const obeyed = this.#waitFor(wanted);
    // Not waited for: a broker that hangs keeps the message as long as it likes, and the lock says what counts.
    this.#port.publish(this.#options.commandTopic, payload).catch((cause: unknown) => {
      obeyed.fail(new FacedError('door.lock-failed', 'the broker could not be reached', { cause }));
    });
    await obeyed.answer;
  }

  #lockAfter(ms: number, retryMs: number): void {
    if (this.#relock !== null) clearTimeout(this.#relock);
    this.#relock = setTimeout(() => {
      this.#relock = null;
      this.lock().catch((error: unknown) => {
        const { code, message } = FacedError.from(error);
        if (this.#hasShut && code === 'door.lock-silent') return;
        if (!this.#failed) this.#events.emit('failed', { code, message });
        this.#failed = true;
        // A bolt that is stuck is not pushed again and again; an unlock meanwhile has an end of its own.
        if (this.#stopped || this.#relock !== null || this.#said === 'jammed') return;
        this.#lockAfter(retryMs, Math.min(RETRY_MS.longest, 2 * retryMs));
      });
    }, ms);
  }

  #waitFor(wanted: 'locked' | 'unlocked'): { answer: Promise<void>; fail(error: FacedError): void } {
    const { answerMs } = this.#options;
    let fail = (_: FacedError) => {};
    const answer = new Promise<void>((resolve, reject) => {
      const done = (settle: () => void) => {
        clearTimeout(timer);
        this.#waiting.delete(heard);
        settle();
      };
      fail = (error) => done(() => reject(error));
      const timer = setTimeout(
        () => fail(new FacedError('door.lock-silent', `the lock did not answer within ${answerMs} ms`)),
        answerMs,
      );
      const heard = (state: LockSays) => {
        if (state === wanted) done(resolve);
        if (state === 'jammed') fail(new FacedError('door.lock-failed', 'the lock says it is jammed'));
      };
      this.#waiting.add(heard);
    });
    return { answer, fail };
  }
}
