import { setTimeout as pause } from 'node:timers/promises';
import {
  controlSocketPath,
  enrolmentRules,
  openCard,
  openStore,
  openVision,
  promiseFor,
} from '../assemble.js';
import { FacedError } from '../domain/errors.js';
import { forgetKeysOfOthers, keysOf } from '../door/index.js';
import type { CallContext } from '../lib/rpc.js';
import { callSocket } from '../lib/socket-rpc.js';
import { Access } from '../pipeline/access.js';
import { HOUSE_METHODS, type House, houseMethods } from '../pipeline/house.js';
import type { AnalyseOptions, Vision } from '../pipeline/ports.js';
import { sameFaceLimits } from '../pipeline/same-face.js';
import { FacedService } from '../pipeline/service.js';
import type { CameraSettings } from '../pipeline/vision-options.js';
import type { CommandIo } from './command.js';
import { type Settings, settings } from './settings.js';

export interface HouseOptions {
  /** Opened when one is asked for a picture; where a daemon runs, it uses its own. */
  readonly cameras?: readonly CameraSettings[];
}

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
  found: Settings & HouseOptions,
  io: CommandIo,
  use: (house: House) => Promise<Result>,
): Promise<Result> {
  const until = Date.now() + LOCK_PATIENCE_MS;
  for (;;) {
    const remote = await callSocket(controlSocketPath(found.stateDir), { reviveError: FacedError.from });
    if (remote !== null) {
      const house = Object.fromEntries(
        HOUSE_METHODS.map((name) => [
          name,
          (argument: unknown, context?: Pick<CallContext, 'progress'>) =>
            remote.call(name, argument, context?.progress),
        ]),
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
      return await locally(found, io, use);
    } catch (thrown) {
      const error = FacedError.from(thrown);
      if (error.code !== 'gallery.locked' || Date.now() > until) throw error;
      await pause(LOCK_PAUSE_MS, undefined, { signal: io.signal });
    }
  }
}

async function locally<Result>(
  found: Settings & HouseOptions,
  io: CommandIo,
  use: (house: House) => Promise<Result>,
): Promise<Result> {
  const { cameras = [] } = found;
  const store = openStore(found, io.log);
  await store.start(io.signal);
  const vision = new LazyVision(
    () => openVision(found, { isolation: 'thread', cameras, log: io.log }),
    io.signal,
  );
  try {
    const card = await openCard(found);
    const judge = promiseFor(found, card, store);
    await judge.refresh();
    const service = new FacedService({
      ...{ vision, store, judge },
      enrolment: () => enrolmentRules(found.config, card, judge),
      space: card.space ?? card.id,
      sameFace: sameFaceLimits(card.curve).sameFace,
      cameras: cameras.map(({ name }) => name),
      keysOf: (person) => keysOf(found.stateDir, person),
      onGalleryChanged: () =>
        forgetKeysOfOthers(found.stateDir, store).catch((error: unknown) =>
          io.log.warn({ error: String(error) }, 'the codes of people who are gone could not be removed'),
        ),
    });
    const parts = { service, access: new Access(store) };
    return await use(houseMethods(parts) as unknown as House);
  } finally {
    await vision.stop();
    await store.stop();
  }
}

/** Models are loaded when the first picture comes: `people list` needs none. */
class LazyVision implements Pick<Vision, 'analyse' | 'embedCrops' | 'snapshot' | 'stop'> {
  readonly #open: () => Vision;
  readonly #signal: AbortSignal;
  #vision: Promise<Vision> | undefined;

  constructor(open: () => Vision, signal: AbortSignal) {
    this.#open = open;
    this.#signal = signal;
  }

  async analyse(image: Uint8Array, options?: AnalyseOptions) {
    return (await this.#started()).analyse(image, options);
  }

  async embedCrops(crops: readonly Uint8Array[]) {
    return (await this.#started()).embedCrops(crops);
  }

  async snapshot(camera: string) {
    return (await this.#started()).snapshot(camera);
  }

  async stop(): Promise<void> {
    await (await this.#vision?.catch(() => undefined))?.stop();
  }

  #started(): Promise<Vision> {
    this.#vision ??= this.#start();
    return this.#vision;
  }

  async #start(): Promise<Vision> {
    const vision = this.#open();
    await vision.start(this.#signal);
    return vision;
  }
}
