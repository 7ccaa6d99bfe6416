import type { Check } from '../domain/check.js';
import type { RecognitionEvent } from '../domain/event.js';
import type { MachineLook } from '../domain/machine.js';
import type { Clock } from '../lib/clock.js';
import type { Logger } from '../lib/log.js';
import type { Access } from '../pipeline/access.js';
import type { Looked } from '../pipeline/event.js';
import type { Health } from '../pipeline/health.js';
import type { Notices } from '../pipeline/notices.js';
import type { Store, Vision } from '../pipeline/ports.js';
import type { FacedService, Judge } from '../pipeline/service.js';
import type { FalseMatchCurve } from '../pipeline/threshold.js';
import type { Tally } from './tally.js';

/** What the HTTP interface needs of the rooms around it. */
export interface HttpParts {
  readonly service: FacedService;
  readonly access: Access;
  readonly vision: Pick<Vision, 'analyse' | 'snapshot' | 'on' | 'watch' | 'label'>;
  readonly store: Store;
  readonly judge: Judge;
  readonly health: Pick<Health, 'report' | 'stages' | 'sinceBeat'>;
  readonly events: EventFeed;
  readonly tally: Tally;
  /** Each look that was judged, whatever came of it. */
  readonly looks: { on(listener: (look: Looked) => void): () => void };
  readonly notices: Notices;
  /** By which whoever guesses has to wait. Default: the system's. */
  readonly clock?: Clock;
  readonly machine: () => Promise<MachineLook>;
  readonly recogniser: () => RecogniserLook;
  readonly gallery: () => { readonly people: number; readonly samples: number };
  readonly mqtt: () => { readonly connected: boolean };
  readonly waiting: () => { readonly looks: number; readonly unrecorded: number };
  readonly cameras: readonly string[];
  readonly settings: {
    read(): { config: object; schema: object; fileOnly: string[] };
    /** Rejects with `config.invalid` or `http.forbidden`. */
    change(
      patch: Readonly<Record<string, unknown>>,
      actor: string,
    ): Promise<{ config: object; needRestart: string[]; overridden: string[] }>;
  };
  readonly doctor: () => Promise<readonly Check[]>;
  readonly backups: {
    /** Writes one and answers its path, which is the caller's to remove. */
    create(actor: string): Promise<string>;
    /** A path in the state directory for what is being uploaded. */
    place(): string;
    /** Puts a backup into the place of the gallery. Accounts and tokens stay as they are. Rejects with `gallery.*`, and has changed nothing then. */
    restore(path: string, actor: string): Promise<{ people: number; samples: number; madeAt: number }>;
  };
  readonly doors: DoorsPart;
  readonly log: Logger;
}

/** The recogniser and what it is held to. */
export interface RecogniserLook {
  /** Id of its card. */
  readonly model: string;
  /** What the similarity has to reach now; null when the promise cannot be kept. */
  readonly threshold: number | null;
  /** What the nearest person has to be ahead of the next one. */
  readonly margin: number | null;
  /** Null where the liveness model is not asked. */
  readonly livenessMinimum: number | null;
  /** Null without a measurement. */
  readonly curve: FalseMatchCurve | null;
}

/** The doors of the house. How a door is asked, and what it makes of it, is its own business. */
export interface DoorsPart {
  status(): readonly DoorState[];
  /** @param order `actor` is who asks, as the audit names them */
  command(order: { door: string; action: 'lock' | 'unlock'; actor: string }): Promise<DoorOutcome>;
  present(shown: { door: string; method: 'code' | 'badge' | 'qr'; secret: string }): Promise<DoorOutcome>;
}

export interface DoorOutcome {
  readonly outcome: 'granted' | 'denied' | 'face-wanted';
  readonly reason: string | null;
}

export interface DoorState {
  readonly door: string;
  readonly state: string;
  /** Null without a door contact. */
  readonly open: boolean | null;
}

/** Each final decision, as it is made. */
export interface EventFeed {
  /** Answers its own unsubscribe function. */
  on(listener: (event: RecognitionEvent) => void): () => void;
}

export interface HttpOptions {
  readonly host: string;
  /** 0: any. */
  readonly port: number;
  /** Names beside the machine's own under which it is reached. */
  readonly names: readonly string[];
  readonly trustedProxies: readonly string[];
  readonly maxUploadBytes: number;
  readonly version: string;
  readonly device: string;
  readonly stateDir: string;
  /** How long the lines, and the whole, of a request may take to arrive, milliseconds. Default 10 s and 60 s. */
  readonly headersMs?: number;
  readonly requestMs?: number;
  /** This machine's addresses in the home network; for tests. */
  readonly homeAddresses?: () => string[];
  /** PEM files for TLS; without them a certificate of its own is made beyond loopback. */
  readonly certificate: { readonly certFile: string; readonly keyFile: string } | null;
}
