import { setTimeout as pause } from 'node:timers/promises';
import { controlSocketPath, openCard, openStore, openVision, promiseFor } from '../assemble.js';
import { FacedError } from '../domain/errors.js';
import { callSocket } from '../lib/socket-rpc.js';
import { Access } from '../pipeline/access.js';
import { HOUSE_METHODS, type House, houseMethods } from '../pipeline/house.js';
import type { AnalyseOptions, Vision } from '../pipeline/ports.js';
import { FacedService } from '../pipeline/service.js';
import type { CommandIo } from './command.js';
import { type Settings, settings } from './settings.js';

/** A daemon that is just starting has the lock and no socket yet; so has another command. */
const LOCK_PATIENCE_MS = 15_000;
const LOCK_PAUSE_MS = 200;

export function withHouse<Result>(
  io: CommandIo,
  values: { readonly config?: string | undefined },
  use: (house: House) => Promise<Result>,
): Promise<Result> {
  return withHouseAt(settings(io, values), io, use);
}

export async function withHouseAt<Result>(
  found: Settings,
  io: CommandIo,
  use: (house: House) => Promise<Result>,
): Promise<Result> {
  const until = Date.now() + LOCK_PATIENCE_MS;
  for (;;) {
    const remote = await callSocket(controlSocketPath(found.stateDir), { reviveError: FacedError.from });
    if (remote !== null) {
      const house = Object.fromEntries(
        HOUSE_METHODS.map((name) => [name, (argument: unknown) => remote.call(name, argument)]),
      );
      // A signal ends what waits for the daemon's answer; what the daemon has begun it finishes.
      const giveUp = () => remote.close();
      io.signal.addEventListener('abort', giveUp, { once: true });
      if (io.signal.aborted) giveUp();
      // Each method takes one argument and answers a promise, here and there.
      return use(house as unknown as House).finally(() => {
        io.signal.removeEventListener('abort', giveUp);
        remote.close();
      });
    }
    try {
      return await locally(io, found, use);
    } catch (thrown) {
      const error = FacedError.from(thrown);
      if (error.code !== 'gallery.locked' || Date.now() > until) throw error;
      await pause(LOCK_PAUSE_MS, undefined, { signal: io.signal });
    }
  }
}

async function locally<Result>(
  io: CommandIo,
  found: Settings,
  use: (house: House) => Promise<Result>,
): Promise<Result> {
  const store = openStore(found, io.log);
  await store.start(io.signal);
  const vision = new LazyVision(
    () => openVision(found, { isolation: 'thread', cameras: [], log: io.log }),
    io.signal,
  );
  try {
    const judge = promiseFor(found, await openCard(found), store);
    await judge.refresh();
    const parts = { service: new FacedService({ vision, store, judge }), access: new Access(store) };
    return await use(houseMethods(parts) as unknown as House);
  } finally {
    await vision.stop();
    await store.stop();
  }
}

/** Models are loaded when the first picture comes: `people list` needs none. */
class LazyVision implements Pick<Vision, 'analyse' | 'stop'> {
  readonly #open: () => Vision;
  readonly #signal: AbortSignal;
  #vision: Promise<Vision> | undefined;

  constructor(open: () => Vision, signal: AbortSignal) {
    this.#open = open;
    this.#signal = signal;
  }

  async analyse(image: Uint8Array, options?: AnalyseOptions) {
    this.#vision ??= this.#start();
    return (await this.#vision).analyse(image, options);
  }

  async stop(): Promise<void> {
    await (await this.#vision?.catch(() => undefined))?.stop();
  }

  async #start(): Promise<Vision> {
    const vision = this.#open();
    await vision.start(this.#signal);
    return vision;
  }
}
