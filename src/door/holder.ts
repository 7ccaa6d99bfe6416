import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { FacedError } from '../domain/errors.js';
import type { Clock } from '../lib/clock.js';
import { TypedEvents } from '../lib/events.js';
import { ROOT } from '../lib/program.js';
import type { Lock, LockEvents, LockOptions } from './lock.js';

export const HOLDER = join(ROOT, 'native/lock/build/faced-lock');

/** The holder answers from a poll loop: an answer that takes longer will not come. */
const ANSWER_MS = 1000;
/** One that was silent is asked whether it lives, and ended when it does not say so. */
const LAST_CHANCE_MS = 2000;
/** Within this time after its end a pulse has been reported as over. */
const OVERDUE_MS = 1000;
/** An order is void when the holder reads it so late. */
const LATE_MS = 500;
const RESTART_MS = { first: 50, longest: 10_000 };
const MOST_WAITING = 16;

export interface HolderOptions {
  readonly clock: Clock;
  readonly onError: (error: unknown) => void;
  /** File by which a new holder finds the one before it; in the state directory. */
  readonly owner?: string;
  readonly program?: string;
  /** Environment of the holder; tests put a fake kernel there. */
  readonly env?: NodeJS.ProcessEnv;
}

type WireLock = Extract<LockOptions, { driver: 'gpio' | 'recorder' }>;

interface Waiting {
  resolve(): void;
  reject(error: Error): void;
  readonly timer: NodeJS.Timeout;
}

/** A lock on a wire, which a process of its own holds (native/lock): it ends a pulse whatever becomes of this one. */
export class HolderLock implements Lock {
  readonly #events: TypedEvents<LockEvents>;
  readonly #options: HolderOptions;
  readonly #lock: WireLock;
  readonly #waiting = new Map<string, Waiting>();
  #child: ChildProcess | null = null;
  #ready = false;
  #stopped = true;
  #failed = false;
  /** An input cannot be read any more: only another holder gets it back. */
  #lostInput = false;
  #next = 1;
  #restart: NodeJS.Timeout | null = null;
  #overdue: NodeJS.Timeout | null = null;
  #isAsked = false;
  #pauseMs = RESTART_MS.first;
  #why: FacedError | null = null;
  #ending: Promise<void> | null = null;

  constructor(lock: WireLock, options: HolderOptions) {
    this.#lock = lock;
    this.#options = options;
    this.#events = new TypedEvents(options.onError);
  }

  readonly on: Lock['on'] = (name, listener) => this.#events.on(name, listener);

  async start(signal: AbortSignal): Promise<void> {
    const program = this.#options.program ?? HOLDER;
    if (!existsSync(program)) {
      throw new FacedError('door.holder-missing', `${program} is not there`, { fix: 'make -C native/lock' });
    }
    this.#stopped = false;
    this.#ending = null;
    signal.addEventListener('abort', () => void this.stop(), { once: true });
    await this.#spawn(program);
  }

  /**
   * A running pulse ends with it. The holder goes to rest and ends; that of a fail-safe door stays, because the door would
   * be open without it, and keeps it locked until the next one takes the wire over.
   */
  stop(): Promise<void> {
    this.#ending ??= this.#end();
    return this.#ending;
  }

  async #end(): Promise<void> {
    this.#stopped = true;
    if (this.#restart !== null) clearTimeout(this.#restart);
    this.#pulseIsOver();
    const child = this.#child;
    if (child === null || child.exitCode !== null || child.signalCode !== null) return;
    if (this.#lock.whenPowerless === 'safe' && this.#options.owner !== undefined && this.#ready) {
      // Also when it does not answer: ended, it would let go of the magnet.
      await this.lock().catch(() => {});
      this.#ready = false;
      return letGo(child);
    }
    const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
    child.kill('SIGTERM');
    const lastChance = setTimeout(() => child.kill('SIGKILL'), LAST_CHANCE_MS);
    await ended;
    clearTimeout(lastChance);
  }

  unlock(pulseMs: number): Promise<void> {
    const notAfter = Math.ceil(this.#options.clock.monotonic() + LATE_MS);
    const pulse = Math.max(1, Math.round(pulseMs));
    this.#pulseIsOver();
    this.#overdue = setTimeout(() => this.#askWhetherItLives(), pulse + OVERDUE_MS).unref();
    return this.#order((id) => `unlock ${id} ${pulse} ${notAfter}`);
  }

  lock(): Promise<void> {
    return this.#order((id) => `lock ${id}`);
  }

  #order(line: (id: string) => string, answerMs = ANSWER_MS): Promise<void> {
    const stdin = this.#child?.stdin;
    if (!this.#ready || stdin === null || stdin === undefined || !stdin.writable) {
      return Promise.reject(
        this.#why ?? new FacedError('door.lock-failed', 'the lock’s holder is not running'),
      );
    }
    if (this.#waiting.size >= MOST_WAITING) {
      return Promise.reject(new FacedError('busy', 'too many orders wait for the lock'));
    }
    const id = `o${this.#next++}`;
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#waiting.delete(id);
        reject(new FacedError('door.lock-silent', `the lock’s holder did not answer within ${answerMs} ms`));
        this.#askWhetherItLives();
      }, answerMs);
      this.#waiting.set(id, { resolve, reject, timer });
      stdin.write(`${line(id)}\n`);
    });
  }

  /** A holder that hangs keeps the wire as it is, open perhaps: the next one brings it to rest. */
  #askWhetherItLives(): void {
    const child = this.#child;
    if (this.#isAsked || this.#stopped || child === null) return;
    this.#isAsked = true;
    this.#order((id) => `ping ${id}`, LAST_CHANCE_MS)
      .catch((error: unknown) => {
        if (FacedError.from(error).code === 'door.lock-silent') child.kill('SIGKILL');
      })
      .finally(() => {
        this.#isAsked = false;
      });
  }

  #pulseIsOver(): void {
    if (this.#overdue !== null) clearTimeout(this.#overdue);
    this.#overdue = null;
  }

  /** Resolves when the holder has the wire, or has said why not: a busy wire is tried again, it does not stop the house. */
  #spawn(program: string): Promise<void> {
    const child = this.#fork(program);
    this.#child = child;
    if (child === null) {
      this.#ended(program);
      return Promise.resolve();
    }
    return new Promise((resolve) => {
      const over = () => {
        if (this.#child === child) this.#ended(program);
        resolve();
      };
      child.once('error', (cause) => {
        this.#why = cannotStart(cause);
        // Out of descriptors: there is no process, and none that closes.
        if (child.pid === undefined) over();
      });
      child.once('close', over);
      // Without a descriptor left there are no pipes either, whatever the types say.
      const { stdin, stdout } = child as Partial<typeof child>;
      stdin?.on('error', () => {});
      let rest = '';
      stdout?.setEncoding('utf8').on('data', (chunk: string) => {
        const lines = (rest + chunk).split('\n');
        rest = lines.pop() ?? '';
        for (const line of lines) {
          this.#heard(line);
          if (line === 'ready') resolve();
        }
      });
    });
  }

  /** Null when there is no process: what the kernel says then, out of memory for one, Node throws or emits, as it likes. */
  #fork(program: string) {
    try {
      // A session of its own: Ctrl-C at a terminal and a signal to the daemon's group must not reach it.
      return spawn(program, holderArguments(this.#lock, this.#options.owner), {
        stdio: ['pipe', 'pipe', 'inherit'],
        detached: true,
        env: this.#options.env ?? {},
      });
    } catch (cause) {
      this.#why = cannotStart(cause);
      return null;
    }
  }

  #heard(line: string): void {
    const [word = '', subject = '', detail = ''] = line.split(' ');
    const at = this.#options.clock.monotonic();
    switch (word) {
      case 'ready':
        this.#ready = true;
        this.#pauseMs = RESTART_MS.first;
        this.#events.emit('moved', { to: 'locked', at });
        this.#lostInput = false;
        this.#recover();
        this.#why = null;
        return;
      case 'done':
        this.#settle(subject)?.resolve();
        return;
      case 'refused':
        this.#settle(subject)?.reject(refusal(detail));
        return;
      case 'line':
        if (subject === 'locked') this.#pulseIsOver();
        if (subject === 'locked' || subject === 'unlocked') this.#events.emit('moved', { to: subject, at });
        this.#recover();
        return;
      case 'input':
        if (subject !== 'door' && subject !== 'exit') return;
        this.#events.emit('input', { name: subject, active: detail === 'open' || detail === 'pressed', at });
        return;
      case 'lost':
        this.#lostInput = true;
        this.#fail(
          new FacedError('door.line-failed', `the input ${subject} cannot be read any more (${detail})`),
        );
        return;
      case 'fault':
        this.#fail(new FacedError('door.line-failed', `the kernel refused to switch the line (${subject})`));
        return;
      case 'fatal':
        this.#why = cannotHold(this.#lock, subject, detail);
    }
  }

  #ended(program: string): void {
    this.#ready = false;
    this.#pulseIsOver();
    this.#child = null;
    const why = this.#why ?? new FacedError('door.lock-failed', 'the lock’s holder ended unexpectedly');
    for (const id of [...this.#waiting.keys()]) this.#settle(id)?.reject(why);
    if (this.#stopped) return;
    this.#fail(why);
    // Soon the first time: a new holder brings the wire to rest, which the dead one may have left open.
    this.#restart = setTimeout(() => void this.#spawn(program), this.#pauseMs);
    this.#pauseMs = Math.min(RESTART_MS.longest, this.#pauseMs * 2);
  }

  #fail({ code, message }: FacedError): void {
    if (this.#failed) return;
    this.#failed = true;
    this.#events.emit('failed', { code, message });
  }

  #recover(): void {
    if (!this.#failed || this.#lostInput) return;
    this.#failed = false;
    this.#events.emit('recovered', {});
  }

  #settle(id: string): Waiting | undefined {
    const waiting = this.#waiting.get(id);
    if (waiting !== undefined) clearTimeout(waiting.timer);
    this.#waiting.delete(id);
    return waiting;
  }
}

/** It lives on without us. */
function letGo(child: ChildProcess): void {
  child.stdin?.end();
  child.stdout?.destroy();
  child.unref();
}

function holderArguments(lock: WireLock, owner: string | undefined): string[] {
  const common = [
    ['--longest', String(lock.longestMs)],
    lock.activeLow === true ? ['--active-low'] : [],
    lock.whenPowerless === 'safe' ? ['--fail-safe'] : [],
    owner === undefined ? [] : ['--owner', owner],
  ].flat();
  if (lock.driver === 'recorder') {
    return [
      ...common,
      '--recorder',
      lock.file,
      ...(lock.feed === undefined ? [] : ['--recorder-feed', lock.feed]),
    ];
  }
  const input = (name: 'door' | 'exit') => {
    const wire = lock[name];
    if (wire === undefined) return [];
    return [`--${name}`, String(wire.line), ...(wire.activeLow ? [`--${name}-active-low`] : [])];
  };
  return [...common, '--chip', lock.chip, '--line', String(lock.line), ...input('door'), ...input('exit')];
}

function cannotStart(cause: unknown): FacedError {
  return new FacedError('door.line-failed', 'the lock’s holder cannot be started', { cause });
}

function refusal(reason: string): FacedError {
  if (reason === 'late') return new FacedError('door.lock-silent', 'the order reached the lock too late');
  if (reason === 'resting')
    return new FacedError('busy', 'a pulse has just ended, and the lock rests a second');
  return new FacedError('door.lock-failed', `the lock’s holder refused: ${reason}`);
}

function cannotHold(lock: WireLock, what: string, errno: string): FacedError {
  const wire = lock.driver === 'gpio' ? `${lock.chip} (${what})` : what;
  if (errno === 'EBUSY') {
    return new FacedError('door.line-busy', `${wire} is used by another program`, {
      fix: 'gpioinfo names it; stop it, or choose another line',
    });
  }
  const fix =
    errno === 'EACCES' ? 'let the user of faced into the group gpio' : 'check chip and line with gpioinfo';
  return new FacedError('door.line-failed', `${wire} cannot be used (${errno})`, { fix });
}
