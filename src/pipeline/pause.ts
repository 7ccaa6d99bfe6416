import { Serial } from '../lib/serial.js';
import type { Store } from './ports.js';

export interface PauseOptions {
  readonly store: Pick<Store, 'audit'>;
  /** After each change: what was seen before it counts no longer. */
  readonly onChange: (paused: boolean) => void;
}

/**
 * Recognition by the cameras, switched off for a while: whoever stands there then is compared with nobody, and no door
 * opens by a face. It ends with the daemon; what holds for good is the configuration.
 */
export class Pause {
  readonly #options: PauseOptions;
  #paused = false;
  /** One after the other: the last one asked for is the one that holds. */
  readonly #turns = new Serial();

  constructor(options: PauseOptions) {
    this.#options = options;
  }

  get paused(): boolean {
    return this.#paused;
  }

  /** Written down before it holds. */
  set(paused: boolean, actor: string): Promise<void> {
    return this.#turns.run(() => this.#set(paused, actor));
  }

  async #set(paused: boolean, actor: string): Promise<void> {
    if (paused === this.#paused) return;
    const kind = paused ? 'recognition-paused' : 'recognition-resumed';
    await this.#options.store.audit({ kind, actor, detail: {} });
    this.#paused = paused;
    this.#options.onChange(paused);
  }
}
