/** One look at the machine. null: it does not say, or says what cannot be. */
export interface HeatReading {
  /** The hottest sensor, degrees Celsius. */
  readonly temperatureC: number | null;
  /** From where on the kernel slows the machine down, degrees Celsius. */
  readonly limitC: number | null;
  /** Slowed down already, by its heat or by a weak supply. */
  readonly throttled: boolean | null;
  /** Less than 4.63 V arrive (Raspberry Pi). */
  readonly underVoltage: boolean | null;
  /** Processes that want to run, of the last minute, for each core. */
  readonly load: number | null;
}

/** What the cameras' loops go by. */
export interface Pace {
  /** Of the frames a second that the configuration asks for, 0 to 1. */
  readonly share: number;
  /** Of the frame's sides that the configuration asks a camera for, 0 to 1; for cameras that can give it. */
  readonly frame: number;
  /** How long between two detections when everybody in view is known already, milliseconds. */
  readonly settledEveryMs: number;
}

/**
 * Level 0 is full pace. Even at the last one somebody before a door is looked at several times a second. A smaller frame
 * costs less to take and decode and shows people from half as far away: so it comes with the second step, and a camera is
 * opened anew for it only twice on the way down and back.
 */
export const PACES: readonly [Pace, ...Pace[]] = [
  { share: 1, frame: 1, settledEveryMs: 200 },
  { share: 0.75, frame: 1, settledEveryMs: 300 },
  { share: 0.5, frame: 0.5, settledEveryMs: 400 },
  { share: 0.3, frame: 0.5, settledEveryMs: 800 },
];

/** A Pi 4 slows itself down from 80 °C on; a Jetson's kernel names its own limit. */
const DEFAULT_LIMIT_C = 80;
/** A level down so far before the limit, by what the temperature will be soon. */
const BEFORE_C = 5;
const AHEAD_MS = 20_000;
/** A level back only when it is so much cooler than that, for so long. */
const COOLER_C = 7;
const BACK_AFTER_MS = 60_000;
const DOWN_EVERY_MS = 10_000;
/** Twice as much to do as there are cores, for so long, costs one level and no more. */
const HEAVY_LOAD = 2;
const EASY_LOAD = 1.2;
const LOADED_MS = 60_000;
/** Longer ago, the last temperature says nothing of how fast it rises. */
const SLOPE_WITHIN_MS = 30_000;

export interface HeatState {
  readonly level: number;
  readonly why: string;
}

/**
 * From readings to a level, one step at a time: down before the board throttles, back slowly. A reading that is missing
 * slows nothing, and one that is alone in being hot is not believed; without any for a while the pace is full again.
 */
export class HeatGovernor {
  #level = 0;
  #why = 'cool';
  #changedAt = Number.NEGATIVE_INFINITY;
  #coolSince: number | null = null;
  #hotBefore = false;
  #loadedSince: number | null = null;
  #last: { at: number; c: number } | null = null;

  get state(): HeatState {
    return { level: this.#level, why: this.#why };
  }

  get pace(): Pace {
    return PACES[this.#level] ?? PACES[0];
  }

  /** Takes a reading of `now` (monotonic milliseconds); answers the change, or null when there is none. */
  read(reading: HeatReading, now: number): HeatState | null {
    const hot = this.#hot(reading, now);
    // One look may be wrong: the next has to agree.
    const believed = hot !== null && this.#hotBefore;
    this.#hotBefore = hot !== null;
    if (believed) return this.#down(hot, now, PACES.length - 1);
    if (hot !== null) {
      this.#coolSince = null;
      return null;
    }
    const loaded = this.#loaded(reading.load, now);
    if (loaded && this.#level < 1) return this.#down('the load is high', now, 1);
    return this.#back(reading, now, loaded);
  }

  #hot({ temperatureC, limitC, throttled, underVoltage }: HeatReading, now: number): string | null {
    const last = this.#last;
    this.#last = temperatureC === null ? null : { at: now, c: temperatureC };
    if (throttled === true) return 'the machine is slowed down already';
    if (underVoltage === true) return 'the supply is too weak';
    if (temperatureC === null) return null;
    const ms = last === null ? 0 : now - last.at;
    const rise = last !== null && ms > 0 && ms <= SLOPE_WITHIN_MS ? (temperatureC - last.c) / ms : 0;
    const start = (limitC ?? DEFAULT_LIMIT_C) - BEFORE_C;
    // Far below the limit a quick rise is the start of work, and no heat.
    const soon =
      temperatureC >= start - COOLER_C ? temperatureC + Math.max(0, rise) * AHEAD_MS : temperatureC;
    return soon >= start ? `${Math.round(temperatureC)} °C` : null;
  }

  #loaded(load: number | null, now: number): boolean {
    if (load === null || load < (this.#level > 0 ? EASY_LOAD : HEAVY_LOAD)) {
      this.#loadedSince = null;
      return false;
    }
    this.#loadedSince ??= now;
    return now - this.#loadedSince >= LOADED_MS;
  }

  #down(why: string, now: number, most: number): HeatState | null {
    this.#coolSince = null;
    if (this.#level >= most || now - this.#changedAt < DOWN_EVERY_MS) return null;
    return this.#to(this.#level + 1, why, now);
  }

  #back({ temperatureC, limitC }: HeatReading, now: number, loaded: boolean): HeatState | null {
    const cool = temperatureC === null || temperatureC <= (limitC ?? DEFAULT_LIMIT_C) - BEFORE_C - COOLER_C;
    if (this.#level === 0 || !cool || (loaded && this.#level === 1)) {
      this.#coolSince = null;
      return null;
    }
    this.#coolSince ??= now;
    if (now - this.#coolSince < BACK_AFTER_MS) return null;
    // The next step has to be earned anew.
    this.#coolSince = now;
    const why = temperatureC === null ? 'no sensor says that it is hot' : `${Math.round(temperatureC)} °C`;
    return this.#to(this.#level - 1, why, now);
  }

  #to(level: number, why: string, now: number): HeatState {
    this.#level = level;
    this.#why = why;
    this.#changedAt = now;
    return this.state;
  }
}
