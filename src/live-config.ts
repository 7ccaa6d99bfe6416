/** The configuration that holds now, and how another one takes its place without a restart. */
import { promiseSettings } from './assemble.js';
import { type Config, changes, changesNeedingRestart } from './config/index.js';
import { FacedError } from './domain/errors.js';
import type { HouseDoors } from './doors.js';
import { Serial } from './lib/serial.js';
import type { Store } from './pipeline/ports.js';
import type { PromiseKeeper } from './pipeline/promise.js';
import type { Notifier } from './system/notify.js';

/** Who changed the configuration, and which settings they named. */
export interface ConfigChange {
  /** As the audit names them. */
  readonly actor: string;
  readonly settings: readonly string[];
}

export interface LiveConfigParts {
  readonly config: Config;
  readonly store: Pick<Store, 'audit'>;
  readonly keeper: Pick<PromiseKeeper, 'change'>;
  readonly doors: Pick<HouseDoors, 'prepare'> | null;
  readonly notifier: Pick<Notifier, 'reloading' | 'ready'>;
}

const BY_SIGNAL: ConfigChange = { actor: 'daemon', settings: [] };

export class LiveConfig {
  readonly #parts: LiveConfigParts;
  #now: Config;
  /** What was written down last: a setting that waits for a restart is no change of whoever comes next. */
  #written: Config;
  /** A signal and a change over HTTP can meet: each is taken over whole before the next. */
  readonly #turns = new Serial();

  constructor(parts: LiveConfigParts) {
    this.#parts = parts;
    this.#now = parts.config;
    this.#written = parts.config;
  }

  get now(): Config {
    return this.#now;
  }

  /** Takes over what needs no restart; answers the settings that do. Without `by`, somebody sent the signal. */
  reload(next: Config, by: ConfigChange = BY_SIGNAL): Promise<string[]> {
    return this.#turns.run(() => this.#takeOver(next, by));
  }

  async #takeOver(next: Config, { actor, settings: named }: ConfigChange): Promise<string[]> {
    const { store, keeper, doors, notifier } = this.#parts;
    const needRestart = changesNeedingRestart(this.#now, next);
    const changed = changes(this.#written, next).map(({ path }) => path);
    await notifier.reloading();
    try {
      const settings = [...new Set([...named, ...changed])];
      if (settings.length > 0)
        await store.audit({ kind: 'config', actor, detail: { settings, needRestart } });
      // Whatever can be refused is, before anything has changed.
      const changeDoors = await doors?.prepare(next);
      await keeper.change(promiseSettings(next));
      await changeDoors?.();
      const { samplesPerPerson, keepImages } = next.gallery;
      const gallery = { ...this.#now.gallery, samplesPerPerson, keepImages };
      const { recognition, liveness, audit } = next;
      this.#now = { ...this.#now, recognition, liveness, gallery, audit };
      this.#written = next;
    } catch (error) {
      const { code } = FacedError.from(error);
      await store.audit({ kind: 'config-refused', actor, detail: { code } });
      throw error;
    } finally {
      await notifier.ready();
    }
    return needRestart;
  }
}
