import type { MemoryLevel } from '../pipeline/ports.js';

/** One look at the memory. Bytes; null: it is not known, or nobody set it. */
export interface MemoryReading {
  /** What the machine can give without swapping (MemAvailable), and what it has. */
  readonly available: number | null;
  readonly total: number | null;
  /** What our control groups can still give, and the least limit of them. */
  readonly room: number | null;
  readonly limit: number | null;
  /** What the daemon has in memory, and what it may have by its configuration. */
  readonly resident: number | null;
  readonly budget: number | null;
  /** Share of the last 10 s in which some task waited for memory, percent (`some avg10` of psi.rst). */
  readonly stalled: number | null;
}

export interface MemoryState {
  /** null: the kernel tells nothing. */
  readonly level: MemoryLevel | null;
  readonly why: string;
}

interface Edge {
  /** The level begins below so many bytes, or below this share of the whole when that is less. */
  readonly bytes: number;
  readonly share: number;
  /** And from so much waiting on. */
  readonly stalled: number;
}

const MB = 2 ** 20;
/** A picture that is sent, decoded and looked at twice takes some 50 MB for a moment; all shipped models together 60. */
const LOW: Edge = { bytes: 128 * MB, share: 0.15, stalled: 10 };
/** Less than one more model, and no room for a picture. */
const CRITICAL: Edge = { bytes: 48 * MB, share: 0.06, stalled: 40 };
/** A level ends with twice as much room and half the waiting, for so long: what was let go needs that much to come back. */
const BACK_FACTOR = 2;
const BACK_AFTER_MS = 30_000;

/**
 * From readings to a level: worse at once, since memory does not wait; better by one level at a time, and only after a
 * while of twice the room. Whatever is not known does not count.
 */
export class MemoryLevels {
  #state: MemoryState = { level: null, why: 'nothing is known yet' };
  #betterSince: number | null = null;

  get state(): MemoryState {
    return this.#state;
  }

  /** Takes a reading of `now` (monotonic milliseconds); answers the change, or null when there is none. */
  read(reading: MemoryReading, now: number): MemoryState | null {
    const at = this.#state.level;
    const found = worst(reading, 1);
    if (found === null || at === null || found.level > at) return this.#become(found ?? UNKNOWN);
    // What would have to hold for the level below, with room to spare.
    const spare = worst(reading, BACK_FACTOR) ?? found;
    if (spare.level >= at) {
      this.#betterSince = null;
      return null;
    }
    this.#betterSince ??= now;
    if (now - this.#betterSince < BACK_AFTER_MS) return null;
    return this.#become({ level: at === 2 ? 1 : 0, why: spare.why });
  }

  #become(state: MemoryState): MemoryState | null {
    this.#betterSince = null;
    const changed = state.level !== this.#state.level;
    this.#state = state;
    return changed ? state : null;
  }
}

const UNKNOWN: MemoryState = { level: null, why: 'the kernel does not say how much memory there is' };

/** The worst of all that is known; null when nothing is. */
function worst(reading: MemoryReading, factor: number): { level: MemoryLevel; why: string } | null {
  const { available, total, room, limit, resident, budget, stalled } = reading;
  const left = resident === null || budget === null ? null : Math.max(0, budget - resident);
  const found = [
    ofRoom('of the machine’s memory', available, total, factor),
    ofRoom('of the control group’s limit', room, limit, factor),
    ofRoom('of the daemon’s own budget', left, budget, factor),
    ofStalls(stalled, factor),
  ].filter((one) => one !== null);
  return found.reduce<(typeof found)[number] | null>(
    (worse, one) => (worse === null || one.level > worse.level ? one : worse),
    null,
  );
}

function ofRoom(whose: string, free: number | null, whole: number | null, factor: number) {
  if (free === null) return null;
  const below = ({ bytes, share }: Edge): boolean =>
    free < factor * Math.min(bytes, whole === null ? bytes : whole * share);
  return { level: levelOf(below), why: `${Math.round(free / MB)} MB ${whose} are left` };
}

function ofStalls(stalled: number | null, factor: number) {
  if (stalled === null) return null;
  const from = (edge: Edge): boolean => stalled >= edge.stalled / factor;
  return { level: levelOf(from), why: `tasks waited ${stalled} % of the time for memory` };
}

function levelOf(holds: (edge: Edge) => boolean): MemoryLevel {
  return holds(CRITICAL) ? 2 : holds(LOW) ? 1 : 0;
}
