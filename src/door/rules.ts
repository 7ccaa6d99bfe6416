import type { BackoffRules } from './backoff.js';
import { DEFAULT_SURE, type SureRules } from './sure.js';

/**
 * What opens a door: a sure face alone (a convenience, not a lock: a face is no secret), a sure face and a valid code,
 * badge or QR of the same person, or one of these alone.
 */
export type DoorMode = 'face' | 'face+code' | 'code';

/** Everything that is decided about one door beside who may pass it when. */
export interface DoorRules {
  readonly id: string;
  /** Any of these opens. */
  readonly modes: readonly DoorMode[];
  /** With `face+code`: the code names the person and the face is compared with that person alone, one to one. */
  readonly claim: boolean;
  /** Cameras whose sightings may open this door. Files, folders and pictures sent over the network are never among them. */
  readonly trustedCameras: readonly string[];
  /** Where codes, badges and QR texts may come from: `wiegand:front`, `mqtt`, `http`. */
  readonly credentialSources: readonly string[];
  /** Whether an authorised `lock/set` command may open. */
  readonly remoteUnlock: boolean;
  readonly sure: SureRules;
  /** How long face and code may lie apart. */
  readonly secondFactorMs: number;
  readonly pulseMs: number;
  /** After an unlock no face opens again for so long, and no remote command. */
  readonly coolDownMs: number;
  /** A spoof in view closes the face path for so long, for everybody: what stands beside a photograph is not to be trusted. */
  readonly spoofHoldMs: number;
  /** Between the decision and the lock's command at most: a grant that waited longer (a slow disk) is void. */
  readonly grantMs: number;
  /** Spoofs and failed claims close the face path; never code, badge, command or the way out. */
  readonly faceBackoff: BackoffRules;
  /** Wrong codes close the keypad, and nothing else: 4 digits can be tried out otherwise. */
  readonly guessBackoff: BackoffRules;
}

/** Not sure means no: both factors, both kinds of liveness, no camera and no source trusted until it is named. */
export const DEFAULT_RULES: Omit<DoorRules, 'id'> = {
  modes: ['face+code'],
  claim: false,
  trustedCameras: [],
  credentialSources: [],
  remoteUnlock: false,
  sure: DEFAULT_SURE,
  secondFactorMs: 10_000,
  pulseMs: 3000,
  coolDownMs: 10_000,
  spoofHoldMs: 3000,
  grantMs: 2000,
  faceBackoff: { failures: 5, firstMs: 30_000, longestMs: 3_600_000, forgetMs: 3_600_000 },
  guessBackoff: { failures: 5, firstMs: 10_000, longestMs: 600_000, forgetMs: 3_600_000 },
};

/** Only a camera that is wired to the machine can be trusted with a door unless its owner says otherwise. */
export function isTrustedByDefault(sourceUri: string): boolean {
  return /^(v4l2|csi):/.test(sourceUri);
}

/** These can never be: anybody can put a picture there. */
export function canBeTrusted(sourceUri: string): boolean {
  return /^(v4l2|csi|rtsps?|gstreamer):/.test(sourceUri);
}
