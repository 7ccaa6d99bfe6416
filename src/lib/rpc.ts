import type { ChildProcess, Serializable } from 'node:child_process';
import type { MessagePort, Transferable, Worker } from 'node:worker_threads';

/**
 * Calls to, and events from, a worker thread or a child process in one form, so that the same code runs in both.
 * Messages are structured clones (a child needs `serialization: 'advanced'`).
 */
export interface Channel {
  post(message: object, transfer?: Transferable[]): void;
  onMessage(listener: (message: unknown) => void): void;
}

/** The thread's or process's side that listens is a MessagePort or `process`; the side that calls is a Worker or ChildProcess. */
export function channelOf(end: Worker | MessagePort | ChildProcess | NodeJS.Process): Channel {
  return {
    post: (message, transfer) => {
      if ('postMessage' in end) end.postMessage(message, transfer);
      else end.send?.(message as Serializable);
    },
    onMessage: (listener) => {
      // The four classes have overloads that no union can call; each of them emits 'message'.
      (end as NodeJS.EventEmitter).on('message', listener);
    },
  };
}

/** An error as plain data; `code` and `fix` are kept where the error has them. */
export interface WireError {
  readonly message: string;
  readonly code?: string;
  readonly fix?: string;
}

type Wire =
  | { readonly kind: 'call'; readonly id: number; readonly method: string; readonly argument: unknown }
  | { readonly kind: 'answer'; readonly id: number; readonly value: unknown }
  | { readonly kind: 'progress'; readonly id: number; readonly value: unknown }
  | { readonly kind: 'failure'; readonly id: number; readonly error: WireError }
  | { readonly kind: 'event'; readonly name: string; readonly payload: unknown };

/** What a method that takes long has of its caller. */
export interface CallContext {
  /** To the caller's `onProgress`, before the answer. */
  progress(value: unknown): void;
  /** Aborted when the caller is gone. */
  readonly signal: AbortSignal;
}

/** A method takes one argument and answers one value; both must survive a structured clone. */
export type Methods = { readonly [name: string]: (argument: never, context: CallContext) => unknown };

/** Serve `methods` on a channel until it closes. Calls are started in order and may overlap when they are asynchronous. */
export function serve(
  channel: Channel,
  methods: Methods,
  gone: AbortSignal = NEVER,
): { emit(name: string, payload: unknown): void } {
  channel.onMessage(async (message) => {
    const wire = message as Wire;
    if (wire.kind !== 'call') return;
    try {
      const method = Object.hasOwn(methods, wire.method) ? methods[wire.method] : undefined;
      if (method === undefined) throw new Error(`no method ${wire.method}`);
      const value = await method(wire.argument as never, {
        progress: (step) => channel.post({ kind: 'progress', id: wire.id, value: step } satisfies Wire),
        signal: gone,
      });
      channel.post({ kind: 'answer', id: wire.id, value } satisfies Wire);
    } catch (thrown) {
      channel.post({ kind: 'failure', id: wire.id, error: toWire(thrown) } satisfies Wire);
    }
  });
  return { emit: (name, payload) => channel.post({ kind: 'event', name, payload } satisfies Wire) };
}

const NEVER = new AbortController().signal;

interface Waiting {
  resolve(value: unknown): void;
  reject(error: Error): void;
  readonly onProgress: ((value: unknown) => void) | undefined;
}

export interface CallerOptions {
  /** Makes the error that a caller sees from what crossed the channel. */
  readonly reviveError: (error: WireError) => Error;
  readonly onEvent?: (name: string, payload: unknown) => void;
}

/** The calling side of {@link serve}. `fail` rejects what waits, for when the other side has ended. */
export class Caller {
  #next = 1;
  #closed: Error | undefined;
  readonly #waiting = new Map<number, Waiting>();
  readonly #channel: Channel;

  constructor(channel: Channel, options: CallerOptions) {
    this.#channel = channel;
    channel.onMessage((message) => {
      const wire = message as Wire;
      if (wire.kind === 'event') options.onEvent?.(wire.name, wire.payload);
      if (wire.kind === 'progress') this.#waiting.get(wire.id)?.onProgress?.(wire.value);
      if (wire.kind !== 'answer' && wire.kind !== 'failure') return;
      const waiting = this.#waiting.get(wire.id);
      this.#waiting.delete(wire.id);
      if (wire.kind === 'answer') waiting?.resolve(wire.value);
      else waiting?.reject(options.reviveError(wire.error));
    });
  }

  /** Calls that wait for an answer: what a bounded queue is measured by. */
  get pending(): number {
    return this.#waiting.size;
  }

  call<Result>(
    method: string,
    argument?: unknown,
    options: { transfer?: Transferable[]; onProgress?: (value: unknown) => void } = {},
  ): Promise<Result> {
    if (this.#closed !== undefined) return Promise.reject(this.#closed);
    const id = this.#next++;
    return new Promise<Result>((resolve, reject) => {
      this.#waiting.set(id, {
        resolve: resolve as (value: unknown) => void,
        reject,
        onProgress: options.onProgress,
      });
      try {
        this.#channel.post({ kind: 'call', id, method, argument } satisfies Wire, options.transfer);
      } catch (error) {
        this.#waiting.delete(id);
        reject(error instanceof Error ? error : new Error(String(error)));
      }
    });
  }

  fail(error: Error): void {
    this.#closed = error;
    for (const { reject } of this.#waiting.values()) reject(error);
    this.#waiting.clear();
  }
}

function toWire(thrown: unknown): WireError {
  if (!(thrown instanceof Error)) return { message: String(thrown) };
  const code = 'code' in thrown && typeof thrown.code === 'string' ? { code: thrown.code } : {};
  const fix = 'fix' in thrown && typeof thrown.fix === 'string' ? { fix: thrown.fix } : {};
  return { message: thrown.message, ...code, ...fix };
}
