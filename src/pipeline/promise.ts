import type { Decision } from '../domain/decision.js';
import type { EmbeddingSpace } from '../domain/embedding.js';
import { FacedError } from '../domain/errors.js';
import type { Match } from '../domain/person.js';
import { type DecisionPolicy, decide } from './decide.js';
import type { AnalysedFace, GalleryCounts, Store } from './ports.js';
import type { Judge } from './service.js';

export interface PromiseSettings {
  /** Of a thousand strangers, how many may be taken for somebody. */
  readonly strangersPerThousand: number;
  readonly margin: number;
  readonly livenessMinimum: number | null;
}

export interface PromiseOptions {
  readonly store: Pick<Store, 'counts'>;
  readonly space: EmbeddingSpace;
  /** The threshold that keeps the promise for a gallery of this size; throws promise.unmeasured where no measurement supports it. */
  readonly thresholdFor: (gallery: {
    people: number;
    samples: number;
    strangersPerThousand: number;
  }) => number;
  readonly settings: PromiseSettings;
}

/** Holds the threshold to the owner's promise while the gallery grows and shrinks. */
export class PromiseKeeper implements Judge {
  readonly #options: PromiseOptions;
  #settings: PromiseSettings;
  #counts: GalleryCounts = { version: 0, people: 0, samples: 0, otherSpaces: 0 };
  /** An error when the promise cannot be kept for this gallery: then nothing is decided, and people can still be removed. */
  #policy: DecisionPolicy | FacedError | undefined;

  constructor(options: PromiseOptions) {
    this.#options = options;
    this.#settings = options.settings;
  }

  /** What a decision is held to now. Valid after the first {@link refresh}; throws promise.unmeasured when the promise cannot be kept. */
  policy(): DecisionPolicy {
    if (this.#policy instanceof FacedError) throw this.#policy;
    if (this.#policy === undefined) throw new Error('the promise was not refreshed before its first use');
    return this.#policy;
  }

  /** Why the promise cannot be kept; null when it can. */
  problem(): FacedError | null {
    return this.#policy instanceof FacedError ? this.#policy : null;
  }

  counts(): GalleryCounts {
    return this.#counts;
  }

  judge(face: AnalysedFace, match: Match | null): Decision {
    return decide(
      { match, liveness: face.liveness, poor: face.embedding === null ? (face.poor ?? 'too-blurred') : null },
      this.policy(),
    );
  }

  async refresh(): Promise<void> {
    const counts = await this.#options.store.counts(this.#options.space);
    this.#counts = counts;
    try {
      this.#policy = this.#policyFor(counts, this.#settings);
    } catch (thrown) {
      const error = FacedError.from(thrown);
      if (error.code !== 'promise.unmeasured') throw error;
      this.#policy = error;
    }
  }

  /** Takes another promise; throws promise.unmeasured, and keeps the one before, when it cannot be kept. */
  async change(settings: PromiseSettings): Promise<void> {
    const counts = await this.#options.store.counts(this.#options.space);
    this.#policy = this.#policyFor(counts, settings);
    this.#settings = settings;
    this.#counts = counts;
  }

  async allow(more: { people: number; samples: number }): Promise<void> {
    const { people, samples } = await this.#options.store.counts(this.#options.space);
    this.#threshold({ people: people + more.people, samples: samples + more.samples }, this.#settings);
  }

  #policyFor(counts: GalleryCounts, settings: PromiseSettings): DecisionPolicy {
    const { margin, livenessMinimum } = settings;
    return { threshold: this.#threshold(counts, settings), margin, livenessMinimum };
  }

  #threshold(
    { people, samples }: { people: number; samples: number },
    { strangersPerThousand }: PromiseSettings,
  ): number {
    return this.#options.thresholdFor({
      people: Math.max(1, people),
      samples: Math.max(1, samples),
      strangersPerThousand,
    });
  }
}
