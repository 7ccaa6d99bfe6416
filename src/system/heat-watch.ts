import type { Logger } from '../lib/log.js';
import { HeatGovernor, type HeatReading, PACES, type Pace } from '../pipeline/heat-governor.js';
import { readHeat } from './heat.js';

export interface HeatWatchOptions {
  readonly log: Logger;
  readonly onPace: (pace: Pace) => void;
  /** For tests. */
  readonly read?: () => Promise<HeatReading>;
  readonly now?: () => number;
}

/** Temperatures of boards move over seconds. */
const LOOK_MS = 5000;

/** Looks at the machine's heat now and then, and tells the cameras' loops how fast to go. */
export class HeatWatch {
  readonly #options: HeatWatchOptions;
  readonly #governor = new HeatGovernor();
  readonly #now: () => number;
  #lookedAt = Number.NEGATIVE_INFINITY;
  #looking: Promise<void> | null = null;
  #steps = 0;
  #weak = false;
  #hadSensor = false;

  constructor(options: HeatWatchOptions) {
    this.#options = options;
    this.#now = options.now ?? (() => performance.now());
  }

  /** 0: full pace. */
  get heatLevel(): number {
    return this.#governor.state.level;
  }

  /** How often the level changed since the start. */
  get heatSteps(): number {
    return this.#steps;
  }

  problems(): { code: 'system.slowed' | 'system.weak-supply'; message: string }[] {
    const { level, why } = this.#governor.state;
    const share = Math.round(this.#governor.pace.share * 100);
    return [
      ...(level === 0
        ? []
        : [{ code: 'system.slowed' as const, message: `the cameras go at ${share}% of their pace: ${why}` }]),
      ...(this.#weak
        ? [{ code: 'system.weak-supply' as const, message: 'the board’s supply gives too little voltage' }]
        : []),
    ];
  }

  /** To be called about once a second; looks when it is time. Never rejects. */
  beat(): Promise<void> {
    if (this.#looking === null && this.#now() - this.#lookedAt >= LOOK_MS) {
      this.#lookedAt = this.#now();
      this.#looking = this.#look()
        .catch((error: unknown) =>
          this.#options.log.warn({ error: String(error) }, 'the heat could not be looked at'),
        )
        .finally(() => {
          this.#looking = null;
        });
    }
    return this.#looking ?? Promise.resolve();
  }

  async #look(): Promise<void> {
    const { log, onPace, read = readHeat } = this.#options;
    const reading = await read();
    const { temperatureC } = reading;
    if (this.#hadSensor && temperatureC === null)
      log.warn({}, 'no thermal sensor gives a reading any more; nothing is slowed down by heat');
    this.#hadSensor = temperatureC !== null;
    this.#weak = reading.underVoltage === true;
    const before = this.heatLevel;
    const change = this.#governor.read(reading, this.#now());
    if (change === null) return;
    this.#steps++;
    const { level, why } = change;
    const say = level > before ? log.warn.bind(log) : log.info.bind(log);
    const of = PACES.length - 1;
    const { share, frame } = this.#governor.pace;
    say({ step: level, of, why, share, frame }, 'the cameras’ pace has changed');
    onPace(this.#governor.pace);
  }
}
