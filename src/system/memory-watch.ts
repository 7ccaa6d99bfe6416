import type { Logger } from '../lib/log.js';
import type { MemoryLevel } from '../pipeline/ports.js';
import { memoryFigures, memoryStalls } from './memory.js';
import { MemoryLevels } from './memory-levels.js';

export interface MemoryWatchOptions {
  readonly log: Logger;
  readonly onLevel: (level: MemoryLevel) => void;
  /** What the daemon may have in memory, bytes; null: what the machine and its control group allow. */
  readonly budget: number | null;
  /** Where /proc and /sys are, for tests. */
  readonly root?: string;
  readonly now?: () => number;
}

const SAID = ['enough', 'low', 'critical'] as const;

/** Looks at the memory with each report of health, and tells the vision worker the level. */
export class MemoryWatch {
  readonly #options: MemoryWatchOptions;
  readonly #levels = new MemoryLevels();
  #told: MemoryLevel = 0;

  constructor(options: MemoryWatchOptions) {
    this.#options = options;
  }

  /** 0: enough, 1: low, 2: critical; null when the kernel tells nothing. */
  get level(): MemoryLevel | null {
    return this.#levels.state.level;
  }

  problems(): { code: 'system.memory-low'; message: string }[] {
    const { level, why } = this.#levels.state;
    if (level === null || level === 0) return [];
    const does = level === 1 ? 'what is idle is let go' : 'the recogniser runs in parts where it can';
    return [{ code: 'system.memory-low', message: `memory is ${SAID[level]}, ${why}: ${does}` }];
  }

  /** To be called about once a second. Reads a dozen small files of /proc and /sys, which takes well under a millisecond. */
  beat(resident: number | null): void {
    const { log, onLevel, budget, root = '/', now = () => performance.now() } = this.#options;
    const reading = { ...memoryFigures(root), stalled: memoryStalls(root), resident, budget };
    const change = this.#levels.read(reading, now());
    if (change === null) return;
    // Where nothing is known there is nothing to save for.
    const level = change.level ?? 0;
    if (level === this.#told) return;
    const say = level > this.#told ? log.warn.bind(log) : log.info.bind(log);
    this.#told = level;
    say({ memory: SAID[level], why: change.why }, 'the level of memory has changed');
    onLevel(level);
  }
}
