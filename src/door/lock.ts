import type { TypedEvents } from '../lib/events.js';

/** What a lock says about itself; every time is monotonic milliseconds. */
export interface LockEvents {
  /** The lock moved, by an order or by itself. */
  moved: { readonly to: 'locked' | 'unlocked' | 'jammed'; readonly at: number };
  /** The door contact or the exit button. `active`: the door is open, the button is pressed. */
  input: { readonly name: 'door' | 'exit'; readonly active: boolean; readonly at: number };
  /** It cannot be used for now, for the named reason (a FacedError code); said once. */
  failed: { readonly code: string; readonly message: string };
  /** It can be used again. */
  recovered: Record<string, never>;
}

/**
 * One lock. It opens for a pulse and never until further notice. The way out is not its business: that is a handle or a
 * button wired to the lock itself.
 */
export interface Lock {
  /** Rejects only when it can never work (a program that is not built); a lock that is away is waited for. */
  start(signal: AbortSignal): Promise<void>;
  stop(): Promise<void>;
  /**
   * Opens for so long. Resolves when the lock obeyed, as far as it can tell. Rejects with `door.lock-silent`,
   * `busy`, `door.lock-failed`, `door.line-busy` or `door.line-failed`; it is then never carried out later.
   */
  unlock(pulseMs: number): Promise<void>;
  /** Ends a pulse early. */
  lock(): Promise<void>;
  readonly on: TypedEvents<LockEvents>['on'];
}

/** What to do when the current is gone. Said in each door's settings, since it is wiring and not a preference. */
export type WhenPowerless = 'secure' | 'safe';

export type LockOptions =
  | {
      readonly driver: 'gpio';
      /** `/dev/gpiochip0`. */
      readonly chip: string;
      readonly line: number;
      /** The relay board switches on at a low level. */
      readonly activeLow: boolean;
      readonly whenPowerless: WhenPowerless;
      readonly door?: { readonly line: number; readonly activeLow: boolean };
      readonly exit?: { readonly line: number; readonly activeLow: boolean };
      readonly longestMs: number;
    }
  | {
      readonly driver: 'mqtt';
      readonly commandTopic: string;
      readonly unlockPayload: string;
      readonly lockPayload: string;
      /** Where the lock says how it stands; an unlock counts only when it was said there. */
      readonly stateTopic: string;
      readonly states: { readonly locked: string; readonly unlocked: string; readonly jammed: string };
      readonly answerMs: number;
    }
  | {
      /** Writes down what would have happened: for tests and for trying out a policy. */
      readonly driver: 'recorder';
      readonly file: string;
      readonly feed?: string;
      readonly activeLow?: boolean;
      readonly whenPowerless?: WhenPowerless;
      readonly longestMs: number;
    };

export const LOCK_DRIVERS = ['gpio', 'mqtt', 'recorder'] as const;
