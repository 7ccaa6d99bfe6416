/** Commands that came from outside, as they are carried out. */

/** A command that came over MQTT and passed every check of form, freshness and repetition. */
export type Command =
  | {
      readonly kind: 'enroll';
      readonly id: string;
      readonly name: string;
      readonly image: Uint8Array | null;
      readonly camera: string | null;
    }
  | { readonly kind: 'snapshot'; readonly id: string; readonly camera: string }
  | { readonly kind: 'pause'; readonly id: string; readonly paused: boolean }
  | {
      readonly kind: 'lock';
      readonly id: string;
      readonly door: string;
      readonly action: 'lock' | 'unlock';
    }
  | {
      /** A code, badge or QR text that was shown. */
      readonly kind: 'lock';
      readonly id: string;
      readonly door: string;
      readonly action: 'present';
      readonly shown: ShownSecret;
    };

export interface ShownSecret {
  readonly method: 'code' | 'badge' | 'qr';
  readonly secret: string;
  /** The reader's own name; null when it has none. */
  readonly reader: string | null;
}

/** Answers a command; the answer is published as its result. Rejects with a FacedError that is published instead. */
export type CommandHandler = (command: Command) => Promise<object>;
