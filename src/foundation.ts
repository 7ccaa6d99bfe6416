/** What everything else in the daemon stands on: made in order, and nothing of it works yet. */
import {
  isolationOf,
  openCard,
  openHeads,
  openStore,
  openVision,
  type Place,
  promiseFor,
} from './assemble.js';
import type { FacedError } from './domain/errors.js';
import type { ModelCard } from './inference/card.js';
import type { Logger } from './lib/log.js';
import { createEventEncoder, type EventEncoder } from './mqtt/signature.js';
import type { ClockWatch } from './pipeline/clock-watch.js';
import type { Store, Vision } from './pipeline/ports.js';
import type { PromiseKeeper } from './pipeline/promise.js';
import { sameFaceLimits } from './pipeline/same-face.js';
import { SteadyClock } from './pipeline/steady-clock.js';
import type { CameraSettings } from './pipeline/vision-options.js';
import { clockWatch, type Kept, readKept } from './scheduled.js';
import { Notifier } from './system/notify.js';
import type { NamedHead } from './vision/head.js';

export interface FoundationOptions extends Place {
  readonly cameras: readonly CameraSettings[];
  readonly log: Logger;
  readonly env: NodeJS.ProcessEnv;
  /** Where the photographs of the demo are. */
  readonly photographs?: string;
  /** A part that cannot be done without has failed while running. */
  readonly onFatal: (error: FacedError) => void;
}

export interface Foundation {
  readonly isolation: 'thread' | 'process';
  readonly notifier: Notifier;
  /** Of the recogniser in use. */
  readonly card: ModelCard;
  /** Its embedding space. */
  readonly space: string;
  /** Cosine from which two looks are of one face. */
  readonly sameFace: number;
  readonly heads: readonly NamedHead[];
  readonly encoder: EventEncoder;
  readonly store: Store;
  /** What the last process wrote down. */
  readonly kept: Kept;
  readonly clock: ClockWatch;
  readonly steady: SteadyClock;
  readonly vision: Vision;
  readonly keeper: PromiseKeeper;
}

export async function layFoundation(options: FoundationOptions, signal: AbortSignal): Promise<Foundation> {
  const { config, log, cameras, env, photographs, onFatal } = options;
  const isolation = isolationOf(options);
  const notifier = new Notifier({ env, onProblem: (reason) => log.warn({ reason }, 'systemd was not told') });
  const card = await openCard(options);
  const heads = await openHeads(options, card);
  const encoder = await createEventEncoder(config.mqtt.signKeyFile ?? undefined);
  const store = openStore(options, log, { onFailed: onFatal, onProgress: () => notifier.progress() });
  const kept = await readKept(options.stateDir);
  const clock = clockWatch(options, kept, signal);
  const steady = new SteadyClock({
    check: () => clock.check(),
    onLooked: (state) => store.clockLooked(state),
  });
  const vision = openVision(options, {
    ...{ isolation, cameras, log, onFailed: onFatal, awaitMemory: true },
    ...(photographs === undefined ? {} : { photographs }),
  });
  const keeper = promiseFor(options, card, store);
  const space = card.space ?? card.id;
  return {
    ...{ isolation, notifier, card, space, heads, encoder },
    sameFace: sameFaceLimits(card.curve).sameFace,
    ...{ store, kept, clock, steady, vision, keeper },
  };
}

/** Resolves when the gallery is open, the time is known, and the promise can be kept: whoever cannot keep it does not begin to decide. */
export async function openGallery(
  { store, steady, keeper, kept }: Foundation,
  signal: AbortSignal,
): Promise<void> {
  await store.start(signal);
  const newest = await store.latestEvent();
  await steady.start(latest(kept.seenAt, newest?.timeMs ?? null), newest?.id);
  await keeper.refresh();
  keeper.policy();
}

function latest(...times: readonly (number | null)[]): number | null {
  const known = times.filter((time) => time !== null);
  return known.length === 0 ? null : Math.max(...known);
}
