import { setTimeout as sleep } from 'node:timers/promises';
import type { Embedding } from '../domain/embedding.js';
import { FacedError } from '../domain/errors.js';
import type { RecognitionEvent } from '../domain/event.js';
import type { Match } from '../domain/person.js';
import type { Logger } from '../lib/log.js';
import { buildEvent, type EventContext } from './event.js';
import type { Judged, Sighting, Store, VisionEvents } from './ports.js';
import type { Presence } from './presence.js';

export interface RecognitionOptions {
  readonly presence: Presence;
  readonly store: Pick<Store, 'search' | 'recordEvent'>;
  /** Looks wait until this resolves: the gallery is open. When it rejects, which is said by whoever opens it, they are dropped. */
  readonly ready: Promise<void>;
  readonly context: EventContext;
  readonly log: Logger;
  /** What to publish about an event; goes into the outbox in the event's own transaction. */
  readonly messages: (event: RecognitionEvent) => readonly { topic: string; payload: string }[];
  /** After the event is on disk, or, while the disk takes nothing, when it was decided. */
  readonly onEvent: (event: RecognitionEvent) => void;
  /** After the disk took events that had waited: the outbox holds messages that no {@link onEvent} will tell of. */
  readonly onRecovered?: () => void;
  /** Every look that was judged, whatever came of it. `own`: whom this look alone resembles, where {@link eachLook} asks for that. */
  readonly onLook?: (sighting: Sighting, match: Match | null, own: Match | null) => void;
  /** Cameras whose looks are also searched for one by one: the mean over a track would let one look vote several times. */
  readonly eachLook?: (camera: string) => boolean;
  /** After each look, whatever came of it, also when it was dropped: whoever can wait sends the next one. */
  readonly onJudged?: () => void;
  /** Pauses before the gallery is asked again about a look that it did not answer for, milliseconds. */
  readonly retryPausesMs?: readonly number[];
}

export interface RecognitionStats {
  readonly waiting: number;
  readonly dropped: number;
  readonly lost: number;
  /** Events that wait in memory, and why the database does not take them; null when none waits. */
  readonly unrecorded: { readonly events: number; readonly problem: FacedError } | null;
  /** Why the gallery does not answer; null when it does. */
  readonly searchProblem: FacedError | null;
}

type Input =
  | { readonly kind: 'sighted'; readonly sighting: Sighting }
  | { readonly kind: 'lively'; readonly change: VisionEvents['livenessChanged'] }
  | { readonly kind: 'ended'; readonly track: VisionEvents['trackEnded'] }
  | { readonly kind: 'all-ended' }
  | { readonly kind: 'retry' };

/** Looks that wait for the store: more than any camera sends in a second; beyond it the oldest is dropped. */
const MAX_WAITING = 256;
/** Events that the disk did not take yet. */
const MAX_UNRECORDED = 1000;
/** A store that has crashed is back within these. */
const RETRY_PAUSES_MS = [50, 250, 1000];

/** The second half of a frame's way, in main: presence, match, decide, record. Everything in the order in which it was seen. */
export class Recognition {
  readonly #options: RecognitionOptions;
  readonly #waiting: Input[] = [];
  #unrecorded: RecognitionEvent[] = [];
  #running: Promise<void> | null = null;
  #dropped = 0;
  #lost = 0;
  /** What the store last said to a search, when it did not answer. */
  #searchProblem: FacedError | null = null;
  /** What the database last said to an event that it did not take. */
  #recordProblem: FacedError | null = null;

  constructor(options: RecognitionOptions) {
    this.#options = options;
  }

  sighted(sighting: Sighting): void {
    this.#push({ kind: 'sighted', sighting });
  }

  livenessChanged(change: VisionEvents['livenessChanged']): void {
    this.#push({ kind: 'lively', change });
  }

  trackEnded(track: VisionEvents['trackEnded']): void {
    this.#push({ kind: 'ended', track });
  }

  /** The vision worker was started again: its tracks are gone, and what they had shown is decided. */
  allTracksEnded(): void {
    this.#push({ kind: 'all-ended' });
  }

  /** `lost`: looks for which the gallery had no answer even when asked again. */
  stats(): RecognitionStats {
    return {
      waiting: this.#waiting.length,
      dropped: this.#dropped,
      lost: this.#lost,
      unrecorded:
        this.#recordProblem === null
          ? null
          : { events: this.#unrecorded.length, problem: this.#recordProblem },
      searchProblem: this.#searchProblem,
    };
  }

  /** Resolves when all that was pushed has been decided and, as far as the disk allows, recorded. */
  async settled(): Promise<void> {
    while (this.#running !== null) await this.#running;
  }

  /** Tries again what the disk did not take; called now and then. In the queue, so that nothing is recorded beside it. */
  async retry(): Promise<void> {
    await this.settled();
    if (this.#searchProblem !== null) await this.#search([]).catch(() => undefined);
    if (this.#unrecorded.length > 0) this.#push({ kind: 'retry' });
    await this.settled();
  }

  #push(input: Input): void {
    if (this.#waiting.length >= MAX_WAITING) {
      const [given] = this.#waiting.splice(leastMissed(this.#waiting), 1);
      this.#dropped++;
      if (given?.kind === 'sighted') this.#options.onJudged?.();
    }
    this.#waiting.push(input);
    this.#running ??= this.#work();
  }

  async #work(): Promise<void> {
    for (let input = this.#waiting.shift(); input !== undefined; input = this.#waiting.shift()) {
      try {
        const judged = await this.#judge(input);
        if (judged.length > 0 || input.kind === 'retry')
          await this.#record(judged.map((one) => buildEvent(one, this.#options.context)));
      } catch (error) {
        // A search that failed has been said.
        if (error !== this.#searchProblem)
          this.#options.log.error({ error: String(error) }, 'a look at a face could not be judged');
      }
      if (input.kind === 'sighted') this.#options.onJudged?.();
    }
    // In the same turn in which the queue was found empty: whoever pushes next begins anew.
    this.#running = null;
  }

  async #judge(input: Input): Promise<Judged[]> {
    const { presence, onLook, eachLook } = this.#options;
    const isOpen = await this.#options.ready.then(
      () => true,
      () => false,
    );
    if (!isOpen && input.kind === 'sighted') this.#dropped++;
    if (!isOpen) return [];
    if (input.kind === 'retry') return [];
    if (input.kind === 'all-ended') return presence.endAll();
    if (input.kind === 'ended') return asList(presence.trackEnded(input.track));
    if (input.kind === 'lively')
      return asList(presence.livenessChanged(input.change.track, input.change.liveness));
    const { sighting } = input;
    const embedding = presence.sight(sighting);
    const own = eachLook?.(sighting.camera) === true ? (sighting.embedding ?? []) : [];
    const matches = embedding === null ? [] : await this.#search([embedding].concat(own));
    const match = matches[0];
    onLook?.(sighting, match ?? null, matches[1] ?? null);
    return asList(presence.judge(sighting.track, match ?? null));
  }

  /** Asks again, since the next look at somebody who passes by may never come; in an outage that is known already, once is enough. */
  async #search(embeddings: readonly Embedding[]): Promise<(Match | null)[]> {
    const { store, retryPausesMs = RETRY_PAUSES_MS, log } = this.#options;
    const pauses = this.#searchProblem === null ? [...retryPausesMs] : [];
    for (;;) {
      try {
        const found = await store.search(embeddings);
        if (this.#searchProblem !== null) log.info({ lost: this.#lost }, 'the gallery answers again');
        this.#searchProblem = null;
        return found;
      } catch (thrown) {
        const error = FacedError.from(thrown);
        const pause = error.code === 'gallery.closed' ? undefined : pauses.shift();
        if (pause !== undefined) {
          await sleep(pause);
          continue;
        }
        this.#lost += Math.min(1, embeddings.length);
        if (this.#searchProblem === null)
          log.error(
            { code: error.code, reason: error.message, lost: this.#lost },
            'the gallery does not answer; looks are lost',
          );
        this.#searchProblem = error;
        throw error;
      }
    }
  }

  /** In order: what waited before comes first, so that the outbox keeps the order of decisions. */
  async #record(events: readonly RecognitionEvent[]): Promise<void> {
    const { store, messages, onEvent, onRecovered, log } = this.#options;
    const before = this.#unrecorded.length;
    const waiting = [...this.#unrecorded, ...events];
    let recorded = 0;
    try {
      for (const event of waiting) {
        await store.recordEvent(event, messages(event));
        recorded++;
      }
      if (before > 0) log.info({ events: recorded }, 'the database takes events again');
      this.#unrecorded = [];
      this.#recordProblem = null;
    } catch (thrown) {
      const error = FacedError.from(thrown);
      this.#recordProblem = error;
      if (before === 0)
        log.error(
          { code: error.code, reason: error.message, fix: error.fix },
          'events wait in memory: the database does not take them',
        );
      const left = waiting.slice(recorded);
      this.#dropped += Math.max(0, left.length - MAX_UNRECORDED);
      this.#unrecorded = left.slice(-MAX_UNRECORDED);
    }
    if (before > 0 && recorded > 0) onRecovered?.();
    for (const event of events) onEvent(event);
  }
}

/** The oldest look that others follow, else the oldest look: without its end a track would count as in view for ever. */
function leastMissed(inputs: readonly Input[]): number {
  const passing = inputs.findIndex((one) => one.kind === 'sighted' && !one.sighting.final);
  const look = passing >= 0 ? passing : inputs.findIndex((one) => one.kind === 'sighted');
  return Math.max(look, 0);
}

function asList(judged: Judged | null): Judged[] {
  return judged === null ? [] : [judged];
}
