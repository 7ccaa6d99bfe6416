/** What is known of a lock and its door. Times are monotonic milliseconds. */
export interface LockView {
  /** The end of the pulse that was ordered last; null when none is. */
  readonly pulseUntil: number | null;
  /** What the lock said last; null when it never says anything. */
  readonly said: 'locked' | 'unlocked' | 'jammed' | null;
  /** When it was last asked to move or moved by itself: it is given time from then on. */
  readonly changedAt: number;
  /** It cannot be used at all. */
  readonly broken: boolean;
  /** Of the door contact; null without one. */
  readonly doorOpenSince: number | null;
  /** The door was opened in a way that nobody allowed. */
  readonly forced: boolean;
}

export type LockStateName = 'locked' | 'unlocked' | 'jammed' | 'open too long';

export interface LockStateRules {
  /** How long a lock may take to move. */
  readonly moveMs: number;
  readonly openTooLongMs: number;
  /** A door that opens so long after a pulse or the exit button was let out by it. */
  readonly letOutMs: number;
}

export const DEFAULT_LOCK_STATE: LockStateRules = { moveMs: 2000, openTooLongMs: 60_000, letOutMs: 10_000 };

export const NEW_LOCK_VIEW: LockView = {
  pulseUntil: null,
  said: null,
  changedAt: 0,
  broken: false,
  doorOpenSince: null,
  forced: false,
};

/** The gravest thing first. */
export function lockStateOf(view: LockView, rules: LockStateRules, now: number): LockStateName {
  const { pulseUntil, said, changedAt, broken, doorOpenSince } = view;
  if (doorOpenSince !== null && now - doorOpenSince >= rules.openTooLongMs) return 'open too long';
  if (broken || said === 'jammed') return 'jammed';
  const wanted = pulseUntil !== null && now < pulseUntil ? 'unlocked' : 'locked';
  if (said === null || said === wanted) return wanted;
  // It was asked and does not move; while it may still be moving it stands as it says.
  const movesSince = Math.max(changedAt, pulseUntil !== null && now >= pulseUntil ? pulseUntil : changedAt);
  return now - movesSince > rules.moveMs ? 'jammed' : said;
}

/** The door contact opened: whether anybody had a reason to open it. */
export function isForced(
  { pulseUntil }: LockView,
  rules: LockStateRules,
  at: { readonly now: number; readonly exitPressedAt: number | null },
): boolean {
  const afterPulse = pulseUntil !== null && at.now - pulseUntil <= rules.letOutMs;
  const afterExit = at.exitPressedAt !== null && at.now - at.exitPressedAt <= rules.letOutMs;
  return !afterPulse && !afterExit;
}
